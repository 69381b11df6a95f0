# Everything that CLDeform needs, looked for at once, so that one message names all that is missing.

set(missing "")
set(missing_packages "")
function(cldeform_missing what package)
    set(missing "${missing}\n  ${what}" PARENT_SCOPE)
    set(missing_packages "${missing_packages} ${package}" PARENT_SCOPE)
endfunction()

find_package(Threads REQUIRED)
find_package(OpenCL QUIET)
if(NOT OpenCL_FOUND)
    cldeform_missing("OpenCL headers and ICD loader" "ocl-icd-opencl-dev opencl-c-headers")
endif()

find_package(PkgConfig QUIET)
if(NOT PKG_CONFIG_FOUND)
    cldeform_missing("pkg-config" "pkg-config")
    cldeform_missing("CLBlast 1.5 or newer (looked for with pkg-config)" "libclblast-dev")
else()
    # Not find_package(CLBlast): Debian's has no version file, and its target does not bring OpenCL.
    pkg_check_modules(CLBLAST QUIET IMPORTED_TARGET clblast>=1.5)
    if(NOT CLBLAST_FOUND)
        cldeform_missing("CLBlast 1.5 or newer" "libclblast-dev")
    endif()
    if(CLDEFORM_BUILD_TOOLS OR CLDEFORM_BUILD_TESTS)
        pkg_check_modules(JANSSON QUIET IMPORTED_TARGET jansson)
        if(NOT JANSSON_FOUND)
            cldeform_missing("jansson (for the tool and the tests: CLDEFORM_BUILD_TOOLS, CLDEFORM_BUILD_TESTS)"
                             "libjansson-dev")
        endif()
    endif()
    if(CLDEFORM_BUILD_TESTS)
        pkg_check_modules(CMOCKA QUIET IMPORTED_TARGET cmocka)
        if(NOT CMOCKA_FOUND)
            cldeform_missing("cmocka (for the tests: CLDEFORM_BUILD_TESTS)" "libcmocka-dev")
        endif()
    endif()
endif()

if(missing)
    message(FATAL_ERROR "CLDeform needs, and did not find:${missing}\n"
                        "On Debian and Ubuntu:\n  apt install${missing_packages}")
endif()
