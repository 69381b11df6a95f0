/* command.h: the commands of the tool, and how each reads its options. A command fills f and returns its exit status;
 * main prints the fault. argv[0] is the command's name. */
#ifndef CLDEFORM_TOOL_COMMAND_H
#define CLDEFORM_TOOL_COMMAND_H

#include <getopt.h>

#include "fault.h"

int command_info(int argc, char **argv, fault *f);
int command_selftest(int argc, char **argv, fault *f);
int command_conv2d(int argc, char **argv, fault *f);
int command_roi_pool(int argc, char **argv, fault *f);
int command_psroi_pool(int argc, char **argv, fault *f);
int command_gradcheck(int argc, char **argv, fault *f);
int command_bench(int argc, char **argv, fault *f);
int command_tune(int argc, char **argv, fault *f);
int command_compare(int argc, char **argv, fault *f);

/* Values of long options begin here, so that none is a character. */
#define OPTION_FIRST 256
#define OPTION_HELP  (OPTION_FIRST - 1)
#define OPTION_END   (-1)

/* The next option of argv: its value, OPTION_HELP for -h and --help, OPTION_END after the last. Unknown options,
 * missing and superfluous values and arguments that are no options fill f and return OPTION_WRONG. options ends in
 * zeros. */
#define OPTION_WRONG (-2)
int option_next(int argc, char **argv, const struct option *options, fault *f);

/* The same for a command whose arguments may be words too: after OPTION_END they are argv[optind] on. */
int option_next_with_words(int argc, char **argv, const struct option *options, fault *f);

/* Lines of help, ended by NULL. */
void print_lines(const char *const *lines);

#endif
