/* A library needs a source; all that this one holds comes from OpenBLAS. */
typedef int openblas_products;
