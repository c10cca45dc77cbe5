// The matrix product inside linear_gelu_forward, for whatever runs it.
#pragma once

#include <algorithm>

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/linear_gelu.h"

namespace basin::kernels {

/// z = x weight^T + bias by the best variant.
inline Gemm product_of(const LinearGeluForward& p) {
  Gemm product{};
  product.a = p.x;
  product.b = p.weight;
  product.c = p.z;
  product.m = p.rows;
  product.n = p.out;
  product.k = p.in;
  product.lda = std::max<std::int64_t>(1, p.in);
  product.ldb = product.lda;
  product.ldc = std::max<std::int64_t>(1, p.out);
  product.transpose_b = true;
  product.bias = p.bias;
  product.workspace = p.workspace;
  product.dtype = p.dtype;
  product.precision = p.precision;
  return product;
}

}  // namespace basin::kernels
