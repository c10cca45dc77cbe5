// What a file says about a tensor, known without reading its elements.
#pragma once

#include "kernels/common/dtype.h"
#include "tensor/shape.h"

namespace basin {

struct TensorInfo {
  Shape shape;
  DType dtype = DType::f32;
};

}  // namespace basin
