# Installs, and moves the installation: nothing in it may know where it was.
include(${SETTINGS})

run(${CMAKE_COMMAND} --install ${build_directory} --prefix ${work}/prefix)
file(REMOVE_RECURSE ${prefix})
file(RENAME ${work}/prefix ${prefix})

if(build_tools)
    run(${prefix}/bin/cldeform --version) # finds the moved library
    if(NOT output MATCHES "${version}")
        message(FATAL_ERROR "The tool says ${output} instead of ${version}")
    endif()
endif()
