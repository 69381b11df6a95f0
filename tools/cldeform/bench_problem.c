/* bench_problem.c: see bench_problem.h. One table says what there is to read, to write and to override. */
#include "bench_problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cldeform/cldeform.h"
#include "number.h"

enum { CONV2D = 1 << BENCH_CONV2D, ROI = 1 << BENCH_ROI_POOL, PS = 1 << BENCH_PSROI_POOL, ALL = CONV2D | ROI | PS };

/* Of a field's value. */
enum { NUMBER, PAIR, TRIPLE, SIDES, REAL, WORD };

#define REQUIRED (-1) /* as a default */

typedef struct field {
    const char *name;
    int operations, form;
    int64_t least, otherwise; /* least number; what holds where it is left out */
    const number_word *words;
    size_t n_words;
} field;

static const number_word kinds[] = {
    {"deformable", CLDEFORM_CONV2D_DEFORMABLE},
    {"modulated", CLDEFORM_CONV2D_MODULATED},
    {"plain", CLDEFORM_CONV2D_PLAIN},
};
static const number_word dtypes[] = {{"fp16", CLDEFORM_F16}, {"fp32", CLDEFORM_F32}, {"fp64", CLDEFORM_F64}};
static const number_word layouts[] = {{"nchw", CLDEFORM_NCHW}, {"nhwc", CLDEFORM_NHWC}};
static const number_word roi_modes[] = {{"align", CLDEFORM_ROI_ALIGN}, {"max", CLDEFORM_ROI_MAX}};
static const number_word ps_modes[] = {{"deformable", CLDEFORM_ROI_PS_ALIGN}, {"plain", CLDEFORM_ROI_PS}};
static const number_word flags[] = {{"0", 0}, {"1", 1}};

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define WORDS(array) (array), COUNT(array)

/* Defaults of 0: group-size is found, part-size is output-size, offset-dtype is dtype. */
static const field fields[BENCH_FIELDS] = {
    [BENCH_BATCH] = {"batch", ALL, NUMBER, 1, 1, NULL, 0},
    [BENCH_IN] = {"in", ALL, TRIPLE, 1, REQUIRED, NULL, 0},
    [BENCH_OUT] = {"out", CONV2D, NUMBER, 1, REQUIRED, NULL, 0},
    [BENCH_KERNEL] = {"kernel", CONV2D, PAIR, 1, REQUIRED, NULL, 0},
    [BENCH_STRIDE] = {"stride", CONV2D, PAIR, 1, 1, NULL, 0},
    [BENCH_PAD] = {"pad", CONV2D, SIDES, 0, 0, NULL, 0},
    [BENCH_DILATION] = {"dilation", CONV2D, PAIR, 1, 1, NULL, 0},
    [BENCH_GROUPS] = {"groups", CONV2D, NUMBER, 1, 1, NULL, 0},
    [BENCH_OFFSET_GROUPS] = {"offset-groups", CONV2D, NUMBER, 1, 1, NULL, 0},
    [BENCH_ROIS] = {"rois", ROI | PS, NUMBER, 1, REQUIRED, NULL, 0},
    [BENCH_OUTPUT_DIM] = {"output-dim", PS, NUMBER, 1, REQUIRED, NULL, 0},
    [BENCH_OUTPUT_SIZE] = {"output-size", ROI | PS, PAIR, 1, REQUIRED, NULL, 0},
    [BENCH_GROUP_SIZE] = {"group-size", PS, NUMBER, 1, 0, NULL, 0},
    [BENCH_PART_SIZE] = {"part-size", PS, PAIR, 1, 0, NULL, 0},
    [BENCH_SAMPLE_PER_PART] = {"sample-per-part", PS, PAIR, 1, 4, NULL, 0},
    [BENCH_SPATIAL_SCALE] = {"spatial-scale", ROI | PS, REAL, 0, REQUIRED, NULL, 0},
    [BENCH_SAMPLING_RATIO] = {"sampling-ratio", ROI, NUMBER, 0, 0, NULL, 0},
    [BENCH_GAMMA] = {"gamma", ROI, REAL, 0, 0, NULL, 0},
    [BENCH_TRANS_STD] = {"trans-std", PS, REAL, 0, 0, NULL, 0},
    [BENCH_CLASSES] = {"classes", PS, NUMBER, 1, 1, NULL, 0},
    [BENCH_ROI_MODE] = {"mode", ROI, WORD, 0, CLDEFORM_ROI_ALIGN, WORDS(roi_modes)},
    [BENCH_PS_MODE] = {"mode", PS, WORD, 0, CLDEFORM_ROI_PS_ALIGN, WORDS(ps_modes)},
    [BENCH_OFFSET] = {"offset", ROI | PS, WORD, 0, 1, WORDS(flags)},
    [BENCH_MASK] = {"mask", ROI | PS, WORD, 0, 0, WORDS(flags)},
    [BENCH_KIND] = {"kind", CONV2D, WORD, 0, CLDEFORM_CONV2D_DEFORMABLE, WORDS(kinds)},
    [BENCH_DTYPE] = {"dtype", ALL, WORD, 0, CLDEFORM_F32, WORDS(dtypes)},
    [BENCH_OFFSET_DTYPE] = {"offset-dtype", ALL, WORD, 0, 0, WORDS(dtypes)},
    [BENCH_LAYOUT] = {"layout", ALL, WORD, 0, CLDEFORM_NCHW, WORDS(layouts)},
};

static const char *const operations[BENCH_OPERATIONS] = {"conv2d", "roi-pool", "psroi-pool"};
static const double usual_scale = 0.1; /* of gamma and trans-std */

const char *bench_field_name(int at)
{
    return fields[at].name;
}

int bench_has_field(const bench_problem *p, int at)
{
    return fields[at].operations >> p->operation & 1;
}

const char *bench_operation_name(int operation)
{
    return operations[operation];
}

/* Whether the mode has neither offsets nor what belongs to them. */
static int is_undeformed(const bench_problem *p)
{
    return p->number[BENCH_ROI_MODE][0] == CLDEFORM_ROI_MAX || p->number[BENCH_PS_MODE][0] == CLDEFORM_ROI_PS;
}

/* ---- reading ---- */

/* Numbers with "x" between. How many there were, or 0. */
static int read_numbers(const char *value, int64_t least, int most, int64_t *numbers)
{
    char text[80];
    fault unused;
    int count = 0;
    const size_t length = strlen(value);
    if (length >= sizeof text || strchr(value, ','))
        return 0;
    for (size_t i = 0; i <= length; i++)
        text[i] = value[i];
    for (char *x = strchr(text, 'x'); x; x = strchr(x, 'x'))
        *x = ',';
    return number_read_list("", text, least, most, numbers, &count, &unused) == EXIT_FINE ? count : 0;
}

static int refuse_form(const field *what, const char *value, fault *f)
{
    static const char *const forms[] = {
        [NUMBER] = "a whole number",
        [PAIR] = "N or HxW, whole numbers",
        [TRIPLE] = "CxHxW, whole numbers",
        [SIDES] = "N, HxW or TxLxBxR, whole numbers",
    };
    return fault_set(f, EXIT_INPUT, "%s is \"%s\", expected %s from %lld to %lld", what->name, value, forms[what->form],
                     (long long)what->least, (long long)NUMBER_MAX);
}

/* One number is all of them, two are those of the height and of the width. */
static int read_form(const field *what, const char *value, int64_t number[4], fault *f)
{
    static const int most[] = {[NUMBER] = 1, [PAIR] = 2, [TRIPLE] = 3, [SIDES] = 4};
    const int count = read_numbers(value, what->least, most[what->form], number);
    if (count == 0 || (what->form == TRIPLE && count != 3) || (what->form == SIDES && count == 3))
        return refuse_form(what, value, f);
    if (count == 1 && what->form != NUMBER)
        number[1] = number[0];
    if (count <= 2 && what->form == SIDES) {
        number[2] = number[0];
        number[3] = number[1];
    }
    return EXIT_FINE;
}

static int read_field(bench_problem *p, int at, const char *value, fault *f)
{
    const field *what = &fields[at];
    int word = 0;
    if (what->form == REAL)
        return number_read_real(what->name, value, at == BENCH_SPATIAL_SCALE, &p->real[at], f);
    if (what->form != WORD)
        return read_form(what, value, p->number[at], f);
    int status = number_read_word(what->name, value, what->words, what->n_words, &word, f);
    p->number[at][0] = word;
    return status;
}

static int find_field(const char *name, const bench_problem *p, fault *f)
{
    char known[300] = "";
    size_t length = 0;
    for (int i = 0; i < BENCH_FIELDS; i++) {
        if (!bench_has_field(p, i))
            continue;
        if (strcmp(name, fields[i].name) == 0)
            return i;
        if (length < sizeof known)
            length +=
                (size_t)snprintf(known + length, sizeof known - length, "%s%s", length ? ", " : "", fields[i].name);
    }
    fault_set(f, EXIT_INPUT, "%s has no \"%s\", expected one of: %s", operations[p->operation], name, known);
    return -1;
}

static int read_operation(const char *text, size_t length, int *operation, fault *f)
{
    for (int i = 0; i < BENCH_OPERATIONS; i++)
        if (strlen(operations[i]) == length && strncmp(text, operations[i], length) == 0) {
            *operation = i;
            return EXIT_FINE;
        }
    return fault_set(f, EXIT_INPUT, "expected \"conv2d:\", \"roi-pool:\" or \"psroi-pool:\", then FIELD=VALUE,...");
}

/* The field of "name=value" or, where it is none, -1. text is cut into pieces. */
static int read_pair(char *text, bench_problem *p, uint64_t *given, fault *f)
{
    char *equals = strchr(text, '=');
    if (!equals)
        return fault_set(f, EXIT_INPUT, "\"%s\" is not of the form FIELD=VALUE", text);
    *equals = 0;
    const int at = find_field(text, p, f);
    if (at < 0)
        return f->exit_status;
    if (*given >> at & 1)
        return fault_set(f, EXIT_INPUT, "%s is given twice", text);
    *given |= (uint64_t)1 << at;
    return read_field(p, at, equals + 1, f);
}

static int refuse_missing(const bench_problem *p, int at, fault *f)
{
    char required[100] = "";
    size_t length = 0;
    for (int i = 0; i < BENCH_FIELDS && length < sizeof required; i++)
        if (bench_has_field(p, i) && fields[i].otherwise == REQUIRED)
            length += (size_t)snprintf(required + length, sizeof required - length, "%s%s", length ? ", " : "",
                                       fields[i].name);
    return fault_set(f, EXIT_INPUT, "%s is missing, expected at least: %s", fields[at].name, required);
}

static int fill_defaults(bench_problem *p, uint64_t given, fault *f)
{
    for (int i = 0; i < BENCH_FIELDS; i++) {
        if (!bench_has_field(p, i) || given >> i & 1)
            continue;
        if (fields[i].otherwise == REQUIRED)
            return refuse_missing(p, i, f);
        for (int k = 0; k < 4; k++)
            p->number[i][k] = fields[i].otherwise;
        p->real[i] = usual_scale;
    }
    if (!(given >> BENCH_OFFSET & 1) && is_undeformed(p))
        p->number[BENCH_OFFSET][0] = 0;
    return EXIT_FINE;
}

static int read_text(char *text, bench_problem *p, fault *f)
{
    uint64_t given = 0;
    int status = read_operation(text, strcspn(text, ":"), &p->operation, f);
    char *at = strchr(text, ':');
    if (status == EXIT_FINE && (!at || !at[1]))
        status = fault_set(f, EXIT_INPUT, "expected FIELD=VALUE,... behind \"%s:\"", operations[p->operation]);
    while (status == EXIT_FINE && at) {
        char *next = strchr(at + 1, ',');
        if (next)
            *next = 0;
        status = read_pair(at + 1, p, &given, f);
        at = next;
    }
    return status == EXIT_FINE ? fill_defaults(p, given, f) : status;
}

int bench_read_problem(const char *text, bench_problem *p, fault *f)
{
    char copy[2 * BENCH_TEXT];
    fault inner = {0};
    *p = (bench_problem){0};
    if (strlen(text) >= sizeof copy)
        return fault_set(f, EXIT_INPUT, "the problem \"%.40s...\" is longer than any that there is", text);
    memcpy(copy, text, strlen(text) + 1);
    int status = read_text(copy, p, &inner);
    if (status == EXIT_FINE)
        status = bench_check_problem(p, &inner);
    return status == EXIT_FINE ? status : fault_set(f, status, "problem \"%s\": %s", text, inner.text);
}

int bench_override(bench_problem *p, int at, const char *value, fault *f)
{
    return read_field(p, at, value, f);
}

/* ---- writing ---- */

/* Whether it is what would hold if the string left it out. */
static int is_default(const bench_problem *p, int at)
{
    const int64_t *n = p->number[at];
    const int64_t otherwise = fields[at].otherwise;
    switch (at) {
    case BENCH_SPATIAL_SCALE:
        return 0;
    case BENCH_GAMMA:
    case BENCH_TRANS_STD:
        return fabs(p->real[at] - usual_scale) <= 0;
    case BENCH_GROUP_SIZE:
        return n[0] == 0 || n[0] * n[0] * p->number[BENCH_OUTPUT_DIM][0] == p->number[BENCH_IN][0];
    case BENCH_PART_SIZE:
        return n[0] == 0 || (n[0] == p->number[BENCH_OUTPUT_SIZE][0] && n[1] == p->number[BENCH_OUTPUT_SIZE][1]);
    case BENCH_OFFSET:
        return n[0] == !is_undeformed(p);
    case BENCH_OFFSET_DTYPE:
        return n[0] == 0 || n[0] == p->number[BENCH_DTYPE][0];
    case BENCH_PAD:
        return n[0] == otherwise && n[1] == otherwise && n[2] == otherwise && n[3] == otherwise;
    case BENCH_STRIDE:
    case BENCH_DILATION:
    case BENCH_SAMPLE_PER_PART:
        return n[0] == otherwise && n[1] == otherwise;
    default:
        return otherwise != REQUIRED && n[0] == otherwise;
    }
}

/* Shortest decimal digits that read as the same number. */
static int write_real(char *text, size_t capacity, double value)
{
    char digits[40] = "";
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (fabs(strtod(digits, NULL) - value) <= 0)
            break;
    }
    return snprintf(text, capacity, "%s", digits);
}

static int write_value(const bench_problem *p, int at, char *text, size_t capacity)
{
    const field *what = &fields[at];
    const int64_t *n = p->number[at];
    const long long a = n[0], b = n[1], c = n[2], d = n[3];
    if (what->form == REAL)
        return write_real(text, capacity, p->real[at]);
    if (what->form == WORD) {
        for (size_t i = 0; i < what->n_words; i++)
            if (what->words[i].value == n[0])
                return snprintf(text, capacity, "%s", what->words[i].word);
        return 0;
    }
    if (what->form == TRIPLE)
        return snprintf(text, capacity, "%lldx%lldx%lld", a, b, c);
    if (what->form == SIDES && (a != c || b != d))
        return snprintf(text, capacity, "%lldx%lldx%lldx%lld", a, b, c, d);
    return what->form != NUMBER && a != b ? snprintf(text, capacity, "%lldx%lld", a, b)
                                          : snprintf(text, capacity, "%lld", a);
}

const char *bench_write_problem(const bench_problem *p, char text[BENCH_TEXT])
{
    size_t length = (size_t)snprintf(text, BENCH_TEXT, "%s", operations[p->operation]);
    char mark = ':';
    for (int i = 0; i < BENCH_FIELDS; i++) {
        if (!bench_has_field(p, i) || is_default(p, i))
            continue;
        length += (size_t)snprintf(text + length, BENCH_TEXT - length, "%c%s=", mark, fields[i].name);
        length += (size_t)write_value(p, i, text + length, BENCH_TEXT - length);
        mark = ',';
    }
    return text;
}

/* ---- the library's problems ---- */

cldeform_dtype bench_dtype(const bench_problem *p)
{
    return (cldeform_dtype)p->number[BENCH_DTYPE][0];
}

cldeform_dtype bench_offset_dtype(const bench_problem *p)
{
    const int64_t dtype = p->number[BENCH_OFFSET_DTYPE][0];
    return dtype ? (cldeform_dtype)dtype : bench_dtype(p);
}

cldeform_conv2d_problem bench_make_conv2d(const bench_problem *p)
{
    const int64_t *in = p->number[BENCH_IN], *kernel = p->number[BENCH_KERNEL], *stride = p->number[BENCH_STRIDE];
    const int64_t *pad = p->number[BENCH_PAD], *dilation = p->number[BENCH_DILATION];
    return (cldeform_conv2d_problem){
        .struct_size = sizeof(cldeform_conv2d_problem),
        .kind = (cldeform_conv2d_kind)p->number[BENCH_KIND][0],
        .batch = p->number[BENCH_BATCH][0],
        .in_channels = in[0],
        .in_h = in[1],
        .in_w = in[2],
        .out_channels = p->number[BENCH_OUT][0],
        .kernel_h = kernel[0],
        .kernel_w = kernel[1],
        .stride_h = stride[0],
        .stride_w = stride[1],
        .dilation_h = dilation[0],
        .dilation_w = dilation[1],
        .pad_top = pad[0],
        .pad_left = pad[1],
        .pad_bottom = pad[2],
        .pad_right = pad[3],
        .groups = p->number[BENCH_GROUPS][0],
        .offset_groups = p->number[BENCH_OFFSET_GROUPS][0],
        .dtype = bench_dtype(p),
        .offset_dtype = bench_offset_dtype(p),
        .layout = (cldeform_layout)p->number[BENCH_LAYOUT][0],
    };
}

static int64_t find_group_size(const bench_problem *p)
{
    const int64_t given = p->number[BENCH_GROUP_SIZE][0], out = p->number[BENCH_OUTPUT_DIM][0];
    return given ? given : llround(sqrt((double)p->number[BENCH_IN][0] / (double)out));
}

cldeform_roi_pool_problem bench_make_roi_pool(const bench_problem *p)
{
    const int64_t *in = p->number[BENCH_IN];
    const int sensitive = p->operation == BENCH_PSROI_POOL;
    const int sampled = sensitive && p->number[BENCH_PS_MODE][0] == CLDEFORM_ROI_PS_ALIGN;
    cldeform_roi_pool_problem r = {
        .struct_size = sizeof r,
        .method = (cldeform_roi_method)p->number[sensitive ? BENCH_PS_MODE : BENCH_ROI_MODE][0],
        .deformable = (int32_t)p->number[BENCH_OFFSET][0],
        .modulated = (int32_t)p->number[BENCH_MASK][0],
        .batch = p->number[BENCH_BATCH][0],
        .in_channels = in[0],
        .max_rois = p->number[BENCH_ROIS][0],
        .levels = 1,
        .level = {{in[1], in[2], p->real[BENCH_SPATIAL_SCALE]}},
        .out_h = p->number[BENCH_OUTPUT_SIZE][0],
        .out_w = p->number[BENCH_OUTPUT_SIZE][1],
        .sampling_ratio = p->number[BENCH_SAMPLING_RATIO][0],
        .dtype = bench_dtype(p),
        .offset_dtype = bench_offset_dtype(p),
        .layout = (cldeform_layout)p->number[BENCH_LAYOUT][0],
    };
    if (r.deformable)
        r.offset_scale = p->real[sensitive ? BENCH_TRANS_STD : BENCH_GAMMA];
    if (sensitive)
        r.group_size = find_group_size(p);
    if (sampled) {
        r.samples_h = p->number[BENCH_SAMPLE_PER_PART][0], r.samples_w = p->number[BENCH_SAMPLE_PER_PART][1];
        r.part_h = p->number[BENCH_PART_SIZE][0], r.part_w = p->number[BENCH_PART_SIZE][1];
        r.offset_classes = p->number[BENCH_CLASSES][0];
    }
    return r;
}

/* What only the whole problem can tell is the library's to say. */
int bench_check_problem(const bench_problem *p, fault *f)
{
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    cldeform_status answer = CLDEFORM_OK;
    if (p->operation == BENCH_CONV2D) {
        const cldeform_conv2d_problem problem = bench_make_conv2d(p);
        answer = cldeform_conv2d_shape(&problem, CLDEFORM_OUTPUT, &shape);
    } else {
        const cldeform_roi_pool_problem problem = bench_make_roi_pool(p);
        const int64_t group = problem.group_size;
        if (p->operation == BENCH_PSROI_POOL && group * group * p->number[BENCH_OUTPUT_DIM][0] != problem.in_channels)
            return fault_set(f, EXIT_INPUT, "in has %lld channels, expected output-dim * group-size squared",
                             (long long)problem.in_channels);
        answer = cldeform_roi_pool_shape(&problem, CLDEFORM_OUTPUT, 0, &shape);
    }
    return answer == CLDEFORM_OK ? EXIT_FINE : fault_set(f, EXIT_INPUT, "%s", cldeform_last_error());
}
