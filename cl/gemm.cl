/* The built-in matrix product, for devices and sizes that CLBlast does not serve: C = A * B, all row-major.
 * No local memory, no barrier, any work-group size. Sums run over k in order, in fma. */
#include "common.clh"

#define ROWS    4
#define COLUMNS 4

/* Work-item (block of 4 columns, block of 4 rows). A (m, k), B (k, n), C (m, n); ld*: elements from a row to the next.
 */
__kernel void gemm(const int m, const int n, const int k, __global const REAL *a, const ulong a_start, const int lda,
                   __global const REAL *b, const ulong b_start, const int ldb, __global REAL *c, const ulong c_start,
                   const int ldc)
{
    if (get_global_id(0) * COLUMNS >= (size_t)n || get_global_id(1) * ROWS >= (size_t)m)
        return;
    const int column = (int)get_global_id(0) * COLUMNS, row = (int)get_global_id(1) * ROWS;
    a += a_start;
    b += b_start;
    c += c_start;
    REAL sum[ROWS][COLUMNS];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            sum[i][j] = 0;
    for (int l = 0; l < k; l++) {
        REAL from_a[ROWS], from_b[COLUMNS];
        for (int i = 0; i < ROWS; i++) /* past the end: the last row again, not stored below */
            from_a[i] = a[(size_t)min(row + i, m - 1) * lda + l];
        for (int j = 0; j < COLUMNS; j++)
            from_b[j] = b[(size_t)l * ldb + min(column + j, n - 1)];
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < COLUMNS; j++)
                sum[i][j] = fma(from_a[i], from_b[j], sum[i][j]);
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            if (row + i < m && column + j < n)
                c[(size_t)(row + i) * ldc + column + j] = sum[i][j];
}
