/* bench_options.c: the bench command's options and their help. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "cldeform/problem.h"
#include "command.h"
#include "number.h"

static const char *const help[] = {
    "usage: cldeform bench [--preset NAMES] [--file F] [--problem STRING]... [OPTION...]",
    "",
    "Times the operators on a device. Each case is first compared with the reference (large ones in a sample of their",
    "elements), and is FAIL instead of a time where it is wrong. Prints, for each case, pass and algorithm, "
    "milliseconds",
    "per call by the wall clock: median, least, spread (from the 10th to the 90th percentile, of the median), count of",
    "samples; the device's own time; the workspace; and how near it is to its bound: the time that the device needs "
    "for",
    "the multiplications at the peak rate measured at the start, or for touching every tensor once at the measured",
    "bandwidth, whichever is more.",
    "",
    "cases",
    "  --preset NAMES     r50, r101, x101, rfcn, deeplab, fpn-dcn, roi: deformable layers of networks, or one layer as",
    "                     r50/c3.0; several with commas between. Default: r50",
    "  --file F           a problem on each line; '#' begins a comment",
    "  --problem STRING   any number of times. Fields without a default must be there; one number stands for both axes",
    "      conv2d:in=CxHxW,out=N,kernel=HxW[,batch=N,stride=HxW,pad=TxLxBxR,dilation=HxW,groups=N,offset-groups=N,",
    "             kind=deformable|modulated|plain]",
    "      roi-pool:in=CxHxW,rois=N,output-size=HxW,spatial-scale=S[,batch=N,sampling-ratio=N,gamma=G,mode=align|max,",
    "             offset=0|1,mask=0|1]",
    "      "
    "psroi-pool:in=CxHxW,rois=N,output-dim=N,output-size=HxW,spatial-scale=S[,batch=N,group-size=N,part-size=HxW,",
    "             sample-per-part=HxW,trans-std=S,classes=N,mode=deformable|plain,offset=0|1,mask=0|1]",
    "      and each [,dtype=fp16|fp32|fp64,offset-dtype=...,layout=nchw|nhwc]",
    "  --dtype, --offset-dtype, --batch, --layout, --kind, --offset-groups",
    "                     take a field's place in every case; the last two need cases of conv2d",
    "  --offsets normal|zero|uniform",
    "                     offsets are N(0,1) pixels (default), 0, or from -8 to 8; for RoIs in their own unit",
    "  --list             prints \"CASE PROBLEM\" lines, without a selection of all presets, and does nothing else",
    "",
    "what is measured",
    "  --pass LIST        forward,backward (default): backward is all gradients but the bias's",
    "  --algorithm LIST   of auto (default), im2col, fused, tiled, direct; \"unsupported\" where one cannot do a case",
    "  --device D         as conv2d's",
    "  --cache hot|cold   hot (default): calls use the same buffers. cold: buffers take turns, more than caches hold",
    "  --packed           forward with weights that were packed once, where the algorithm packs them",
    "  --first            the time to the first result too: creation and first call in a fresh context. Drivers may "
    "have",
    "                     compiled kernels on disk: for PoCL's compilation set POCL_CACHE_DIR to an empty folder",
    "  --steps            the device's time of each kernel too",
    "  --no-roofline      does not measure peaks: no bounds",
    "  --min-time S       seconds of samples of a row, default 0.5; up to 8 times as long until the median is known to "
    "2 %",
    "  --samples LEAST[,MOST]",
    "                     default 10,200. A sample is a block of calls of at least 20 ms, divided by their number",
    "",
    "results",
    "  --csv F, --json F  are written when all is done",
    "  --turns            for scripts: prints \"ready CASE PASS ALGORITHM\" when a row is set up, then for each line "
    "\"go\" on",
    "                     standard input takes a sample and prints its milliseconds; \"next\" goes to the next row",
    "",
    "PoCL's threads are pinned to cores unless POCL_AFFINITY is set: programs that call the library gain by it too.",
    "Exit status: 0 done; 1 no device, or OpenCL failed; 2 a wrong file, problem or option; 3 a result differs from "
    "the",
    "reference.",
    "Example: cldeform bench --preset r50,x101/c4.1 --algorithm im2col,fused --kind modulated --json results.json",
    NULL,
};

const char *const bench_pass_names[BENCH_PASSES] = {"forward", "backward"};

static const number_word passes[] = {{"forward", BENCH_FORWARD}, {"backward", BENCH_BACKWARD}};
static const number_word algorithms[BENCH_ALGORITHMS] = {
    {"auto", CLDEFORM_ALGORITHM_AUTO},
    {"im2col", CLDEFORM_ALGORITHM_IM2COL},
    {"fused", CLDEFORM_ALGORITHM_FUSED},
    {"tiled", CLDEFORM_ALGORITHM_TILED},
    {"direct", BENCH_DIRECT},
};
static const number_word distributions[] = {{"normal", BENCH_NORMAL}, {"zero", BENCH_ZERO}, {"uniform", BENCH_UNIFORM}};
static const number_word caches[] = {{"hot", 0}, {"cold", 1}};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Overrides have the values OVERRIDE + BENCH_*. */
enum {
    PRESET = OPTION_FIRST,
    FILE_OF_CASES,
    PROBLEM,
    OFFSETS,
    LIST,
    PASS,
    ALGORITHM,
    DEVICE,
    CACHE,
    PACKED,
    FIRST,
    STEPS,
    NO_ROOFLINE,
    MIN_TIME,
    SAMPLES,
    CSV,
    JSON,
    TURNS,
    OVERRIDE
};

static const struct option options[] = {
    {"preset", required_argument, NULL, PRESET},
    {"file", required_argument, NULL, FILE_OF_CASES},
    {"problem", required_argument, NULL, PROBLEM},
    {"offsets", required_argument, NULL, OFFSETS},
    {"list", no_argument, NULL, LIST},
    {"pass", required_argument, NULL, PASS},
    {"algorithm", required_argument, NULL, ALGORITHM},
    {"device", required_argument, NULL, DEVICE},
    {"cache", required_argument, NULL, CACHE},
    {"packed", no_argument, NULL, PACKED},
    {"first", no_argument, NULL, FIRST},
    {"steps", no_argument, NULL, STEPS},
    {"no-roofline", no_argument, NULL, NO_ROOFLINE},
    {"min-time", required_argument, NULL, MIN_TIME},
    {"samples", required_argument, NULL, SAMPLES},
    {"csv", required_argument, NULL, CSV},
    {"json", required_argument, NULL, JSON},
    {"turns", no_argument, NULL, TURNS},
    {"kind", required_argument, NULL, OVERRIDE + BENCH_KIND},
    {"dtype", required_argument, NULL, OVERRIDE + BENCH_DTYPE},
    {"offset-dtype", required_argument, NULL, OVERRIDE + BENCH_OFFSET_DTYPE},
    {"offset-groups", required_argument, NULL, OVERRIDE + BENCH_OFFSET_GROUPS},
    {"batch", required_argument, NULL, OVERRIDE + BENCH_BATCH},
    {"layout", required_argument, NULL, OVERRIDE + BENCH_LAYOUT},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

void bench_print_help(void)
{
    print_lines(help);
}

const char *bench_algorithm_name(int algorithm)
{
    for (size_t i = 0; i < COUNT(algorithms); i++)
        if (algorithms[i].value == algorithm)
            return algorithms[i].word;
    return "";
}

/* Words with commas between, each at most once: so there are no more of them than words. */
static int read_list(const char *option, const char *text, const number_word *words, size_t n_words, int *values,
                     size_t *count, fault *f)
{
    *count = 0;
    for (const char *at = text; at;) {
        char word[40] = "";
        int value = 0;
        const size_t length = strcspn(at, ",");
        memcpy(word, at, length < sizeof word ? length : sizeof word - 1);
        int status = number_read_word(option, word, words, n_words, &value, f);
        if (status != EXIT_FINE)
            return status;
        for (size_t i = 0; i < *count; i++)
            if (values[i] == value)
                return fault_set(f, EXIT_INPUT, "%s is \"%s\", expected each word once", option, text);
        values[(*count)++] = value;
        at = at[length] ? at + length + 1 : NULL;
    }
    return EXIT_FINE;
}

static int read_samples(const char *text, int64_t samples[2], fault *f)
{
    int count = 0;
    int64_t read[2] = {0, 0};
    int status = number_read_list("--samples", text, 1, 2, read, &count, f);
    if (status != EXIT_FINE)
        return status;
    if (count == 2 && read[1] < read[0])
        return fault_set(f, EXIT_INPUT, "--samples is \"%s\", expected LEAST[,MOST] with MOST not below LEAST", text);
    samples[0] = read[0];
    if (count == 2 || samples[1] < samples[0])
        samples[1] = read[count - 1];
    return EXIT_FINE;
}

int bench_add_problem(bench_options *o, const char *text, fault *f)
{
    const char **grown = realloc(o->problem, (o->n_problems + 1) * sizeof *grown);
    if (!grown)
        return fault_memory(f);
    o->problem = grown;
    o->problem[o->n_problems++] = text;
    return EXIT_FINE;
}

int bench_read_offsets(bench_options *o, const char *text, fault *f)
{
    return number_read_word("--offsets", text, distributions, COUNT(distributions), &o->offsets, f);
}

const char *bench_offsets_name(int offsets)
{
    for (size_t i = 0; i < COUNT(distributions); i++)
        if (distributions[i].value == offsets)
            return distributions[i].word;
    return "";
}

int bench_read_passes(bench_options *o, const char *text, fault *f)
{
    return read_list("--pass", text, passes, COUNT(passes), o->pass, &o->n_passes, f);
}

/* Options with a value. */
static int read_value(bench_options *o, int option, const char *text, fault *f)
{
    switch (option) {
    case PRESET:
        o->preset = text;
        return EXIT_FINE;
    case FILE_OF_CASES:
        o->file = text;
        return EXIT_FINE;
    case PROBLEM:
        return bench_add_problem(o, text, f);
    case OFFSETS:
        return bench_read_offsets(o, text, f);
    case PASS:
        return bench_read_passes(o, text, f);
    case ALGORITHM:
        return read_list("--algorithm", text, algorithms, COUNT(algorithms), o->algorithm, &o->n_algorithms, f);
    case DEVICE:
        o->device = text;
        return EXIT_FINE;
    case CACHE:
        return number_read_word("--cache", text, caches, COUNT(caches), &o->cold, f);
    case MIN_TIME:
        return number_read_real("--min-time", text, 1, &o->min_time, f);
    case SAMPLES:
        return read_samples(text, o->samples, f);
    case CSV:
        o->csv = text;
        return EXIT_FINE;
    case JSON:
        o->json = text;
        return EXIT_FINE;
    default:
        o->override[option - OVERRIDE] = text;
        return EXIT_FINE;
    }
}

/* Options without one. NULL: it has one. */
static int *find_flag(bench_options *o, int option)
{
    switch (option) {
    case LIST:
        return &o->list;
    case PACKED:
        return &o->packed;
    case FIRST:
        return &o->first;
    case STEPS:
        return &o->steps;
    case NO_ROOFLINE:
        return &o->no_roofline;
    case TURNS:
        return &o->turns;
    case OPTION_HELP:
        return &o->help;
    default:
        return NULL;
    }
}

void bench_free_options(bench_options *o)
{
    free(o->problem);
}

void bench_default_options(int argc, char **argv, bench_options *o)
{
    *o = (bench_options){
        .pass = {BENCH_FORWARD, BENCH_BACKWARD},
        .n_passes = 2,
        .n_algorithms = 1,
        .min_time = 0.5,
        .samples = {10, 200},
        .argc = argc,
        .argv = argv,
    };
}

int bench_read_options(int argc, char **argv, bench_options *o, fault *f)
{
    bench_default_options(argc, argv, o);
    int option = 0;
    while ((option = option_next(argc, argv, options, f)) != OPTION_END) {
        int status = EXIT_FINE;
        if (option == OPTION_WRONG)
            return f->exit_status;
        int *flag = find_flag(o, option);
        if (flag)
            *flag = 1;
        else
            status = read_value(o, option, optarg, f);
        if (status != EXIT_FINE || o->help)
            return status;
    }
    return EXIT_FINE;
}
