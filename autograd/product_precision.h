// In which precision operations multiply.
#pragma once

#include "kernels/common/precision.h"

namespace basin {

/// While one is alive on this thread, matmul, linear, linear_gelu, linear_cross_entropy, attention,
/// retrieval by softmax and (in bf16, not in tf32) linear attention multiply in its precision, in
/// f32 otherwise.
/// Every node remembers the precision of its forward pass, and its gradient is made of products in
/// the same, whenever backward() is called.
///
/// A scope and no argument of each operation, because a precision belongs to a whole model: a layer
/// that forgot to pass it on would go unnoticed, as it would only be more exact than wanted.
class ProductPrecision {
 public:
  explicit ProductPrecision(Precision precision);
  ~ProductPrecision();
  ProductPrecision(const ProductPrecision&) = delete;
  ProductPrecision& operator=(const ProductPrecision&) = delete;

 private:
  Precision previous_;
};

/// That of the innermost scope on this thread.
Precision product_precision();

}  // namespace basin
