# Writes a text file into a C file as one string, so that a program needs no file at run time:
#
#   cmake -D INPUT=layers.txt -D OUTPUT=layers.c -D NAME=bench_layers -P embed_text.cmake
#
# defines `const char NAME[]`, which ends in a 0. Kernels, which have includes, have embed_kernels.cmake.
cmake_minimum_required(VERSION 3.22)

# Character constants, not a string: no length limit, nothing to escape, and bytes above 127 fit a signed char.
file(READ "${INPUT}" hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
file(WRITE "${OUTPUT}"
     "/* Written by cmake/embed_text.cmake. */\n"
     "extern const char ${NAME}[];\n"
     "const char ${NAME}[] = {\n${bytes}\n0};\n")
