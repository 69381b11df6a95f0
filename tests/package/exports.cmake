# The shared library exports what the public headers declare: nothing more, nothing less, nothing internal.
include(${SETTINGS})

if(NOT build_shared)
    message("SKIPPED: no shared library")
    return()
endif()

set(declared "")
file(GLOB headers ${prefix}/include/cldeform/*.h)
foreach(header IN LISTS headers)
    file(READ ${header} text)
    string(REGEX MATCHALL "CLDEFORM_API[^(;#]*[ *]cldeform_[a-z0-9_]+\\(" declarations "${text}")
    list(TRANSFORM declarations REPLACE "^.*[ *](cldeform_[a-z0-9_]+)\\($" "\\1")
    list(APPEND declared ${declarations})
endforeach()

set(library ${library_directory}/libcldeform.so.${soversion})
run(${nm} --dynamic --defined-only ${library})
string(REGEX MATCHALL "[^ \n]+\n" exported "${output}")
list(TRANSFORM exported STRIP)

list(LENGTH declared count)
set(missing ${declared})
list(REMOVE_ITEM missing ${exported})
list(REMOVE_ITEM exported ${declared})
set(internal ${declared})
list(FILTER internal INCLUDE REGEX "^cldeform__")
if(missing OR exported OR internal OR count EQUAL 0)
    message(FATAL_ERROR "Declared: ${count} functions\nDeclared, not exported: ${missing}\n"
                        "Exported, not declared: ${exported}\nInternal by name: ${internal}")
endif()

run(${objdump} -p ${library})
if(NOT output MATCHES "SONAME +libcldeform\\.so\\.${soversion}\n")
    message(FATAL_ERROR "The SONAME is not libcldeform.so.${soversion}:\n${output}")
endif()
message(STATUS "${count} functions")
