// From a kernel's Status to an exception that names the tensors.
#pragma once

#include <string>

#include "kernels/common/precision.h"
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

/// Throws Error unless all tensors lie where the first does.
template <class... Tensors>
void check_same_device(const char* where, const Tensor& first, const Tensors&... others) {
  [[maybe_unused]] const auto same = [&](const Tensor& other) {
    if (other.device() != first.device()) {
      fail("[{}] operands lie on different devices: {} ({}) and {} ({}); move one with to()", where,
           describe(first), name_of(first.device()), describe(other), name_of(other.device()));
    }
  };
  (same(others), ...);
}

/// The context of a kernel that exists for the CPU only. Throws Error if the tensor is elsewhere.
inline const kernels::CpuContext& cpu_only(const char* where, const Tensor& x) {
  if (x.device() != Device::cpu) {
    fail("[{}] runs on the CPU only, so far; got {}. Use --device cpu", where, describe(x));
  }
  return cpu_context();
}

/// Throws Error unless all tensors have the dtype of the first, which must be f32 or f64, and lie
/// on its device.
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
  check_same_device(where, first, others...);
}

/// Throws Error if factors of this dtype cannot be multiplied in that precision.
inline void check_precision(const char* where, Precision precision, const Tensor& factor) {
  if (precision != Precision::f32 && factor.dtype() != DType::f32) {
    fail("[{}] products in {} are made of f32, got {}", where, name_of(precision),
         describe(factor));
  }
}

}  // namespace basin
