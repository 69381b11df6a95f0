/* font.h: a bitmap font of printable ASCII. */
#ifndef DEMO_FONT_H
#define DEMO_FONT_H

enum { FONT_WIDTH = 6, FONT_HEIGHT = 10, FONT_BASELINE = 8 };

/* FONT_HEIGHT rows from above; the highest bit of a row is its leftmost pixel. Other characters look like '?'. */
const unsigned char *font_rows(char letter);

#endif
