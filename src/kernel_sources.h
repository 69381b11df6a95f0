/* kernel_sources.h: the text of every cl/NAME.cl, embedded by cmake/embed_kernels.cmake with its includes expanded. */
#ifndef CLDEFORM_KERNEL_SOURCES_H
#define CLDEFORM_KERNEL_SOURCES_H

typedef struct cldeform__kernel_source {
    const char *name; /* the file's, without ".cl" */
    const char *text;
} cldeform__kernel_source;

/* Ends with a row whose name is NULL. */
extern const cldeform__kernel_source cldeform__kernel_sources[];

#endif
