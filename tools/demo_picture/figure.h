/* figure.h: the picture that the demonstration writes: the photograph with, for a dozen output positions, the nine
 * locations that the deformable convolution samples for each. */
#ifndef DEMO_FIGURE_H
#define DEMO_FIGURE_H

#include "picture.h"
#include "sampling.h"

/* figure is allocated here; caption goes below the photograph. Returns 0 when memory is short. */
int figure_draw(picture *figure, const picture *photograph, const sampling *s, const char *caption);

#endif
