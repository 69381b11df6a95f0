# C and C++ programs that use find_package.
include(${SETTINGS})

if(NOT cxx_compiler)
    message("SKIPPED: no C++ compiler")
    return()
endif()
function(consume name)
    run(${CMAKE_COMMAND} -S ${source_directory}/tests/package/consumer -B ${work}/${name}
        -D CMAKE_C_COMPILER=${c_compiler} -D CMAKE_CXX_COMPILER=${cxx_compiler} -D CMAKE_PREFIX_PATH=${prefix} ${ARGN})
    run(${CMAKE_COMMAND} --build ${work}/${name})
    run_consumer(${work}/${name}/consumer_c)
    run_consumer(${work}/${name}/consumer_cxx)
endfunction()

consume(default)
if(build_shared)
    consume(shared -D COMPONENTS=shared)
endif()
if(build_static)
    consume(static -D COMPONENTS=static -D TARGET=CLDeform::cldeform_static)
endif()
