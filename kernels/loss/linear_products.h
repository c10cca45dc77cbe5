// The three matrix products of linear_cross_entropy for a block of rows, on any device.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/gemm/gemm.h"
#include "kernels/loss/linear_cross_entropy.h"

namespace basin::kernels {

struct LinearProducts {
  Gemm logits{}, dx{}, dweight{};

  LinearProducts(const LinearCrossEntropy& p, std::int64_t rows)
      : logits(product(p, rows, p.classes, p.width)),
        dx(product(p, rows, p.width, p.classes)),
        dweight(product(p, p.classes, p.width, rows)) {
    logits.transpose_b = true;
    logits.ldb = p.width;
    dweight.transpose_a = true;
    dweight.lda = p.classes;
  }

  template <class Context>
  std::int64_t workspace(const Context& context) const {
    return std::max({gemm_workspace(logits, context), gemm_workspace(dx, context),
                     gemm_workspace(dweight, context)});
  }

 private:
  static Gemm product(const LinearCrossEntropy& of, std::int64_t m, std::int64_t n,
                      std::int64_t k) {
    Gemm p{};
    p.m = m;
    p.n = n;
    p.k = k;
    p.lda = k;
    p.ldb = n;
    p.ldc = n;
    p.dtype = of.dtype;
    p.precision = of.precision;
    return p;
  }
};

}  // namespace basin::kernels
