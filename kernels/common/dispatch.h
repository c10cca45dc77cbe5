// From a run-time dtype to a compile-time type.
#pragma once

#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// Calls `function(T{})` with T = float or double and returns its Status.
template <class F>
Status dispatch_floating(DType dtype, F&& function) {
  switch (dtype) {
    case DType::f32: return function(float{});
    case DType::f64: return function(double{});
    default: return Status::unsupported("arithmetic needs f32 or f64");
  }
}

}  // namespace basin::kernels
