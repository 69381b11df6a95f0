# Writes the OpenCL kernels into a C file, so that the library needs no file at run time:
#
#   cmake -D OUTPUT=kernel_sources.c -P embed_kernels.cmake -- a.cl b.cl ...
#
# Each `#include "x.clh"` at the start of a line is replaced by the file of that name beside the including one, the first
# time it is met in a kernel (later ones by an empty line, so headers need no guards). #line directives keep the names
# and lines in build logs true.
#
# No text ever passes through a list or an unquoted argument: CMake would lose `;`, `[` and `\` there.
cmake_minimum_required(VERSION 3.22)

# Appends to the caller's `expanded` the text of directory/name, and to `seen` the headers it took in.
function(expand directory name)
    file(READ "${directory}/${name}" rest)
    string(REPLACE "\r\n" "\n" rest "${rest}")
    string(APPEND expanded "#line 1 \"${name}\"\n")
    set(line 1)
    while("\n${rest}" MATCHES "\n([ \t]*#[ \t]*include[ \t]*\"([^\"\n]*)\"[^\n]*)")
        set(directive "${CMAKE_MATCH_1}")
        set(header "${CMAKE_MATCH_2}")
        # With a newline before both, a match begins a line, and its place is the directive's in the text without.
        string(FIND "\n${rest}" "\n${directive}" before)
        string(SUBSTRING "${rest}" 0 ${before} head)
        string(LENGTH "${directive}" directive_length)
        math(EXPR after "${before} + ${directive_length}")
        string(SUBSTRING "${rest}" ${after} -1 rest)

        string(REGEX REPLACE "[^\n]" "" newlines "${head}")
        string(LENGTH "${newlines}" head_lines)
        math(EXPR line "${line} + ${head_lines}")
        string(APPEND expanded "${head}")
        if(NOT "${header}" IN_LIST seen)
            if(NOT EXISTS "${directory}/${header}")
                message(FATAL_ERROR "${directory}/${name}:${line}: there is no \"${header}\" in ${directory}")
            endif()
            list(APPEND seen "${header}")
            expand("${directory}" "${header}")
            string(APPEND expanded "\n#line ${line} \"${name}\"\n") # names the rest of the directive's own line
        endif()
    endwhile()
    string(APPEND expanded "${rest}")
    set(expanded "${expanded}" PARENT_SCOPE)
    set(seen "${seen}" PARENT_SCOPE)
endfunction()

# Files are the arguments after "--": a list in a -D would need escaping in every generator.
set(files "")
set(in_files FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
    if(in_files)
        list(APPEND files "${CMAKE_ARGV${i}}")
    elseif(CMAKE_ARGV${i} STREQUAL "--")
        set(in_files TRUE)
    endif()
endforeach()

set(arrays "")
set(rows "")
foreach(file IN LISTS files)
    get_filename_component(file "${file}" ABSOLUTE)
    get_filename_component(directory "${file}" DIRECTORY)
    get_filename_component(name "${file}" NAME)
    get_filename_component(kernel "${file}" NAME_WLE)
    set(expanded "")
    set(seen "")
    expand("${directory}" "${name}")
    # Character constants, not a string: no length limit, nothing to escape, and bytes above 127 fit a signed char.
    string(HEX "${expanded}" hex)
    string(REGEX REPLACE "(................................)" "\\1\n" bytes "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
    string(MAKE_C_IDENTIFIER "text_${kernel}" array)
    string(APPEND arrays "\nstatic const char ${array}[] = {\n${bytes}\n0};\n")
    string(APPEND rows "    {\"${kernel}\", ${array}},\n")
endforeach()

file(WRITE "${OUTPUT}"
     "/* Written by cmake/embed_kernels.cmake. */\n"
     "#include \"kernel_sources.h\"\n"
     "${arrays}\n"
     "const cldeform__kernel_source cldeform__kernel_sources[] = {\n${rows}    {0, 0}};\n")
