// From a kernel's Status to an exception that names the tensors.
#pragma once

#include <string>

#include "kernels/common/status.h"
#include "tensor/error.h"
#include "tensor/tensor.h"

namespace basin {

/// Throws Error "[where] message (position n); operands: (2, 3) f32, ..." unless the status is ok.
template <class... Tensors>
void check(const kernels::Status& status, const char* where, const Tensors&... tensors) {
  if (status.ok()) {
    return;
  }
  std::string operands;
  ((operands += (operands.empty() ? "" : ", ") + describe(tensors)), ...);
  const std::string position =
      status.position < 0 ? "" : fmt::format(" at position {}", status.position);
  fail("[{}] {}{}; operands: {}", where, status.message, position, operands);
}

/// Throws Error unless all tensors have the dtype of the first, which must be f32 or f64.
template <class... Tensors>
void check_same_floating(const char* where, const Tensor& first, const Tensors&... others) {
  if (first.dtype() != DType::f32 && first.dtype() != DType::f64) {
    fail("[{}] needs f32 or f64, got {}", where, describe(first));
  }
  [[maybe_unused]] const auto same = [&](const Tensor& other) {
    if (other.dtype() != first.dtype()) {
      fail("[{}] operands differ in dtype: {} and {}; convert one with to()", where,
           describe(first), describe(other));
    }
  };
  (same(others), ...);
}

}  // namespace basin
