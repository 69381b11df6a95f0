/* command.c: see command.h: how commands read their options. */
#include "command.h"

#include <stdio.h>
#include <string.h>

void print_lines(const char *const *lines)
{
    for (; *lines; lines++)
        puts(*lines);
}

int option_next_with_words(int argc, char **argv, const struct option *options, fault *f)
{
    opterr = 0; /* getopt would print messages of its own form */
    const char *word = optind < argc ? argv[optind] : "";
    int index = -1;
    int answer = getopt_long(argc, argv, ":h", options, &index);
    if (index >= 0 && strncmp(word, "--", 2) == 0 && strcspn(word + 2, "=") != strlen(options[index].name)) {
        /* an abbreviation, which a later version's options might make ambiguous */
        fault_set(f, EXIT_INPUT, "unknown option %s; see \"cldeform %s --help\"", word, argv[0]);
        return OPTION_WRONG;
    }
    if (answer == 'h')
        return OPTION_HELP;
    if (answer != ':' && answer != '?')
        return answer;
    const char *given = argv[optind - 1];
    if (answer == ':')
        fault_set(f, EXIT_INPUT, "option %s needs a value; see \"cldeform %s --help\"", given, argv[0]);
    else if (optopt >= OPTION_HELP)
        fault_set(f, EXIT_INPUT, "option %s takes no value; see \"cldeform %s --help\"", given, argv[0]);
    else if (optopt > 0)
        fault_set(f, EXIT_INPUT, "unknown option -%c; see \"cldeform %s --help\"", optopt, argv[0]);
    else
        fault_set(f, EXIT_INPUT, "unknown or ambiguous option %s; see \"cldeform %s --help\"", given, argv[0]);
    return OPTION_WRONG;
}

int option_next(int argc, char **argv, const struct option *options, fault *f)
{
    int answer = option_next_with_words(argc, argv, options, f);
    if (answer == OPTION_END && optind < argc) {
        fault_set(f, EXIT_INPUT, "unexpected argument \"%s\"; see \"cldeform %s --help\"", argv[optind], argv[0]);
        return OPTION_WRONG;
    }
    return answer;
}
