// What the recurrences demand of their arguments, and which variant runs.
#pragma once

#include <cstdint>

#include "kernels/common/dtype.h"
#include "kernels/common/status.h"
#include "kernels/simd/isa.h"

namespace basin::kernels {

/// Without vector instructions of ours, OpenBLAS still has its own.
template <class P>
int recurrence_variant(const P& p) {
  return p.variant != 0 ? p.variant : (isa() == Isa::baseline ? 1 : 2);
}

template <class P>
Status check_recurrence(const P& p, std::int64_t workspace) {
  if (p.B < 0 || p.L < 0) {
    return Status::invalid("recurrence: negative extent");
  }
  if (p.width <= 0) {
    return Status::invalid("recurrence: width must be positive");
  }
  if (p.variant < 0 || p.variant > 2) {
    return Status::invalid("recurrence: variants are 0 to 2");
  }
  if (p.dtype != DType::f32 && p.dtype != DType::f64) {
    return Status::unsupported("arithmetic needs f32 or f64 on the CPU");
  }
  if (p.B > 0 && p.L > 0 && workspace > 0 && p.workspace == nullptr) {
    return Status::invalid("recurrence: the workspace is missing");
  }
  return {};
}

}  // namespace basin::kernels
