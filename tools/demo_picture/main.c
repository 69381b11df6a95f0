/* main.c: cldeform-demo PICTURE OUT.png
 *
 * An ordinary convolution turns the picture into 32 feature channels, a modulated deformable convolution samples those
 * where the picture's own edges say; both run on the default device (CLDEFORM_DEVICE chooses another) and are checked
 * against the reference. OUT.png shows where a dozen output pixels sampled.
 * Exit status: 0; 1 no device, a failure of OpenCL, or a result that is off; 2 a wrong picture or argument. */
#include "convolution.h"
#include "figure.h"
#include "filters.h"
#include "picture.h"
#include "sampling.h"

#include <stdio.h>
#include <stdlib.h>

static const char PROGRAM[] = "cldeform-demo";
static const double LIMIT = 1e-5;
enum { LONGEST_SIDE = 512 };

typedef struct demo {
    picture photograph, figure;
    sampling grid;
    float *colours, *features, *outputs, *bank, *weight;
    device_session session;
    cldeform_context *library;
    char *device; /* as text */
} demo;

static cldeform_conv2d_problem bank_problem(const picture *p)
{
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.kind = CLDEFORM_CONV2D_PLAIN;
    problem.batch = 1;
    problem.in_channels = FILTERS_COLOURS;
    problem.in_h = p->height;
    problem.in_w = p->width;
    problem.out_channels = FILTERS_FEATURES;
    problem.kernel_h = problem.kernel_w = FILTERS_KERNEL;
    problem.pad_top = problem.pad_left = problem.pad_bottom = problem.pad_right = FILTERS_KERNEL / 2;
    problem.dtype = CLDEFORM_F32;
    return problem;
}

static cldeform_conv2d_problem deformable_problem(const picture *p)
{
    cldeform_conv2d_problem problem = bank_problem(p);
    problem.kind = CLDEFORM_CONV2D_MODULATED;
    problem.in_channels = FILTERS_FEATURES;
    problem.out_channels = FILTERS_OUTPUTS;
    problem.kernel_h = problem.kernel_w = SAMPLING_KERNEL;
    problem.dilation_h = problem.dilation_w = SAMPLING_DILATION;
    problem.pad_top = problem.pad_left = problem.pad_bottom = problem.pad_right = SAMPLING_DILATION;
    return problem;
}

static int prepare(demo *d, const char *path, fault *f)
{
    const char *wrong = picture_read(&d->photograph, path, LONGEST_SIDE);
    if (wrong)
        return fault_set(f, EXIT_INPUT, "%s: %s; expected a PNG, JPEG, BMP, GIF, ... file", path, wrong);
    const size_t pixels = picture_pixels(&d->photograph);
    const size_t bank = (size_t)FILTERS_FEATURES * FILTERS_COLOURS * FILTERS_KERNEL * FILTERS_KERNEL;
    const size_t weight = (size_t)FILTERS_OUTPUTS * FILTERS_FEATURES * SAMPLING_TAPS;
    float *lightness = picture_lightness(&d->photograph);
    d->colours = picture_linear_planes(&d->photograph);
    d->features = malloc(FILTERS_FEATURES * pixels * sizeof(float));
    d->outputs = malloc(FILTERS_OUTPUTS * pixels * sizeof(float));
    d->bank = malloc(bank * sizeof(float));
    d->weight = malloc(weight * sizeof(float));
    int ok = lightness && d->colours && d->features && d->outputs && d->bank && d->weight;
    ok = ok && sampling_create(&d->grid, lightness, d->photograph.height, d->photograph.width);
    free(lightness);
    if (!ok)
        return fault_memory(f);
    filters_make_bank(d->bank);
    filters_make_noise(d->weight, weight, FILTERS_FEATURES * SAMPLING_TAPS);
    printf("picture    %s, %d x %d\n", path, d->photograph.width, d->photograph.height);
    return EXIT_FINE;
}

static int open_device(demo *d, fault *f)
{
    const int result = device_open(&d->session, NULL, 0, f);
    if (result != EXIT_FINE)
        return result;
    d->device = device_text(&d->session.list, d->session.device);
    if (!d->device)
        return fault_memory(f);
    printf("device     %s\n", d->device);
    const cldeform_status status =
        cldeform_context_create(d->session.context, d->session.device->id, NULL, &d->library);
    if (status != CLDEFORM_OK)
        return fault_set(f, EXIT_DEVICE, "cldeform_context_create: %s", cldeform_last_error());
    return EXIT_FINE;
}

static int convolve(demo *d, const char *title, const cldeform_conv2d_problem *p, const host_tensors *host, timing *t,
                    double *error, fault *f)
{
    int result = convolution_run(d->library, &d->session, p, host, t, f);
    if (result != EXIT_FINE)
        return result;
    const double gflop = convolution_gflop(p);
    printf("\n%s, %dx%d, %d -> %d channels, %d x %d pixels, fp32: %.2f GFLOP\n", title, (int)p->kernel_h,
           (int)p->kernel_w, (int)p->in_channels, (int)p->out_channels, (int)p->in_w, (int)p->in_h, gflop);
    printf("algorithm  %s\n", t->algorithm);
    printf("time       %.3f ms (median of %d runs), %.1f GFLOP/s\n", t->milliseconds, t->runs,
           1e3 * gflop / t->milliseconds);
    printf("checking   every output against the reference in double precision, which is slow\n");
    fflush(stdout);
    result = convolution_check(p, host, error, f);
    if (result == EXIT_FINE)
        printf("error      %.1e of the largest value (limit %.0e): %s\n", *error, LIMIT,
               *error < LIMIT ? "PASS" : "FAIL");
    return result;
}

static int draw(demo *d, const char *path, const timing *t, double error, fault *f)
{
    char caption[200];
    snprintf(caption, sizeof caption, "%d x %d pixels, %d -> %d channels: error %.0e, %.2f ms on %.60s",
             d->photograph.width, d->photograph.height, FILTERS_FEATURES, FILTERS_OUTPUTS, error, t->milliseconds,
             d->session.device->name);
    if (!figure_draw(&d->figure, &d->photograph, &d->grid, caption))
        return fault_memory(f);
    if (!picture_write_png(&d->figure, path))
        return fault_set(f, EXIT_INPUT, "%s: cannot be written", path);
    printf("\nwhere it sampled: %s\n", path);
    return EXIT_FINE;
}

static int run(demo *d, const char *from, const char *to, fault *f)
{
    timing plain = {0}, deformable = {0};
    double plain_error = 0, error = 0;
    int result = prepare(d, from, f);
    if (result == EXIT_FINE)
        result = open_device(d, f);
    if (result != EXIT_FINE)
        return result;

    const cldeform_conv2d_problem bank = bank_problem(&d->photograph), deform = deformable_problem(&d->photograph);
    const host_tensors first = {.input = d->colours, .weight = d->bank, .output = d->features};
    const host_tensors second = {.input = d->features,
                                 .offset = d->grid.offset,
                                 .mask = d->grid.mask,
                                 .weight = d->weight,
                                 .output = d->outputs};
    result = convolve(d, "Ordinary convolution", &bank, &first, &plain, &plain_error, f);
    if (result == EXIT_FINE)
        result = convolve(d, "Modulated deformable convolution", &deform, &second, &deformable, &error, f);
    if (result == EXIT_FINE)
        result = draw(d, to, &deformable, error, f);
    if (result == EXIT_FINE && !(error < LIMIT && plain_error < LIMIT))
        result = fault_set(f, EXIT_DEVICE, "the device's results differ from the reference");
    return result;
}

int main(int argc, char **argv)
{
    demo d = {0};
    fault f = {0};
    int result;
    if (argc != 3)
        result = fault_set(&f, EXIT_INPUT, "usage: %s PICTURE OUT.png", PROGRAM);
    else
        result = run(&d, argv[1], argv[2], &f);
    fflush(stdout);
    if (result != EXIT_FINE)
        fault_print(&f, PROGRAM);

    cldeform_context_destroy(d.library);
    device_close(&d.session);
    free(d.device);
    sampling_free(&d.grid);
    picture_free(&d.photograph);
    picture_free(&d.figure);
    free(d.colours);
    free(d.features);
    free(d.outputs);
    free(d.bank);
    free(d.weight);
    return result;
}
