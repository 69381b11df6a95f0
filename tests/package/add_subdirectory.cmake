# C and C++ programs that have CLDeform's sources within their own, as with FetchContent.
include(${SETTINGS})

if(NOT cxx_compiler)
    message("SKIPPED: no C++ compiler")
    return()
endif()
set(unasked_OFF so)
set(unasked_ON a)
foreach(shared OFF ON)
    run(${CMAKE_COMMAND} -S ${source_directory}/tests/package/consumer -B ${work}/${shared}
        -D CMAKE_C_COMPILER=${c_compiler} -D CMAKE_CXX_COMPILER=${cxx_compiler}
        -D SUBDIRECTORY=${source_directory} -D BUILD_SHARED_LIBS=${shared})
    run(${CMAKE_COMMAND} --build ${work}/${shared})
    run_consumer(${work}/${shared}/consumer_c)
    run_consumer(${work}/${shared}/consumer_cxx)

    # The other project gets the one library that it asked for, and no tests.
    file(GLOB unasked ${work}/${shared}/cldeform/libcldeform.${unasked_${shared}} ${work}/${shared}/cldeform/tests)
    if(unasked)
        message(FATAL_ERROR "Built though not asked for: ${unasked}")
    endif()
endforeach()
