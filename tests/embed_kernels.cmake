# Embeds kernels full of what CMake, C and the preprocessor like to trip over, and compares what a program then finds.
#
#   cmake -D SOURCE=<CLDeform> -D WORK=<scratch directory> -D COMPILER=<C compiler> -P embed_kernels.cmake

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

file(WRITE ${WORK}/nasty-name.cl [==[// ; ;; a;b [x] ] ]] [[ ${SOURCE} @WORK@ \ \\ \n \; "quoted" 'c' ??/ %s é
#include "outer.clh"
int line3 = 1; // [[[ ;
  #	include  "outer.clh" // a second time
// #include "missing.clh" is a comment
#include "inner.clh"
char line7[] = "\\";\
]==])
file(WRITE ${WORK}/outer.clh [==[#include "inner.clh"
int outer2;]==])
file(WRITE ${WORK}/inner.clh [==[int inner1[2] = {1, 2}; \
int inner2;
]==])
file(WRITE ${WORK}/plain.cl "#include \"inner.clh\"\r\nint plain2;\r\n")
file(WRITE ${WORK}/expected [==[nasty-name:#line 1 "nasty-name.cl"
// ; ;; a;b [x] ] ]] [[ ${SOURCE} @WORK@ \ \\ \n \; "quoted" 'c' ??/ %s é
#line 1 "outer.clh"
#line 1 "inner.clh"
int inner1[2] = {1, 2}; \
int inner2;

#line 1 "outer.clh"

int outer2;
#line 2 "nasty-name.cl"

int line3 = 1; // [[[ ;

// #include "missing.clh" is a comment

char line7[] = "\\";\
.
plain:#line 1 "plain.cl"
#line 1 "inner.clh"
int inner1[2] = {1, 2}; \
int inner2;

#line 1 "plain.cl"

int plain2;
.
]==])
file(WRITE ${WORK}/print.c [==[
#include "kernel_sources.h"
#include <stdio.h>
int main(void)
{
    for (const cldeform__kernel_source *source = cldeform__kernel_sources; source->name != NULL; source++)
        printf("%s:%s.\n", source->name, source->text);
    return 0;
}
]==])

set(embed ${CMAKE_COMMAND} -D OUTPUT=${WORK}/kernel_sources.c -P ${SOURCE}/cmake/embed_kernels.cmake --)
execute_process(COMMAND ${embed} ${WORK}/nasty-name.cl ${WORK}/plain.cl COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${COMPILER} -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Werror -I ${SOURCE}/src
                        ${WORK}/print.c ${WORK}/kernel_sources.c -o ${WORK}/print COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${WORK}/print OUTPUT_FILE ${WORK}/printed COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${WORK}/printed ${WORK}/expected RESULT_VARIABLE differs)
if(differs)
    file(READ ${WORK}/printed printed)
    message(FATAL_ERROR "The embedded text differs from ${WORK}/expected:\n${printed}")
endif()

file(WRITE ${WORK}/wrong.cl "\n#include \"missing.clh\"\n")
execute_process(COMMAND ${embed} ${WORK}/wrong.cl RESULT_VARIABLE failed ERROR_VARIABLE message)
string(REGEX REPLACE "[ \n]+" " " message "${message}") # CMake breaks long lines
if(NOT failed OR NOT message MATCHES "wrong\\.cl:2: there is no \"missing\\.clh\"")
    message(FATAL_ERROR "A missing header was not reported as it should be: ${message}")
endif()
