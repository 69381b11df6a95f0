/* Whether ATOMIC_ADD_REAL adds: sums that are exact in any order, which the host compares. */
#include "common.clh"
#include "atomic.clh"

/* Work-item (item): to cell 1 what all of them add to, to cell 3 numbers of both signs, to 5 .. 17 fractions, far fewer
 * to a cell. Nobody adds to cells 0, 2, 4 and 18. */
__kernel void atomic_probe(__global REAL *cells, const int items)
{
    const int item = (int)get_global_id(0);
    if (item >= items)
        return;
    ATOMIC_ADD_REAL(cells + 1, (REAL)1);
    ATOMIC_ADD_REAL(cells + 3, (REAL)(item % 7 - 5));
    ATOMIC_ADD_REAL(cells + 5 + item % 13, (REAL)(item % 5) * (REAL)0.25f - (REAL)0.75f);
}
