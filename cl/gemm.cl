/* The built-in matrix product, for devices and sizes that CLBlast does not serve: C = A * B, all row-major.
 * No local memory, no barrier, any work-group size. Sums run over k in order, in fma. */
#include "common.clh"

#define ROWS    4
#define COLUMNS 4
#define BLOCK   256

/* Work-item (block of 4 columns, block of 4 rows; further rows as the launch is high). A (m, k), B (k, n), C (m, n);
 * row and column step: elements from a row of A or B to the next, and from a column. */
__kernel void gemm(const int m, const int n, const int k, __global const REAL *a, const ulong a_start,
                   const int a_row_step, const int a_column_step, __global const REAL *b, const ulong b_start,
                   const int b_row_step, const int b_column_step, __global REAL *c, const ulong c_start, const int ldc)
{
    if (get_global_id(0) * COLUMNS >= (size_t)n)
        return;
    const int column = (int)get_global_id(0) * COLUMNS;
    a += a_start;
    b += b_start;
    c += c_start;
    for (size_t row = get_global_id(1) * ROWS; row < (size_t)m; row += get_global_size(1) * ROWS) {
        REAL sum[ROWS][COLUMNS];
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < COLUMNS; j++)
                sum[i][j] = 0;
        for (int first = 0; first < k; first += min(BLOCK, k - first)) { /* long sums in parts: they round less */
            REAL part[ROWS][COLUMNS];
            for (int i = 0; i < ROWS; i++)
                for (int j = 0; j < COLUMNS; j++)
                    part[i][j] = 0;
            const int end = first + min(BLOCK, k - first);
            for (int l = first; l < end; l++) {
                REAL from_a[ROWS], from_b[COLUMNS];
                for (int i = 0; i < ROWS; i++) /* past the end: the last row again, not stored below */
                    from_a[i] = a[min(row + i, (size_t)m - 1) * a_row_step + (size_t)l * a_column_step];
                for (int j = 0; j < COLUMNS; j++)
                    from_b[j] = b[(size_t)l * b_row_step + (size_t)min(column + j, n - 1) * b_column_step];
                for (int i = 0; i < ROWS; i++)
                    for (int j = 0; j < COLUMNS; j++)
                        part[i][j] = fma(from_a[i], from_b[j], part[i][j]);
            }
            for (int i = 0; i < ROWS; i++)
                for (int j = 0; j < COLUMNS; j++)
                    sum[i][j] += part[i][j];
        }
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < COLUMNS; j++)
                if (row + i < (size_t)m && column + j < n)
                    c[(row + i) * ldc + column + j] = sum[i][j];
    }
}
