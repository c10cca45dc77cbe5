// Whole numbers that steer kernels: ids, targets, lengths. They come from the CPU, where they can
// be checked, and are copied to the device of what they steer.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace basin {

/// Throws Error naming the first element outside [low, high) and its position. Only where nobody
/// else would look: `values` on the CPU steering kernels elsewhere. CPU kernels check for
/// themselves, and values that lie on a device already are believed (kernels write NaN for ids
/// outside). `ignored` is allowed as well.
void check_range(const char* where, const Tensor& values, std::int64_t low, std::int64_t high,
                 Device device, const std::int64_t* ignored = nullptr);

/// How many elements of an i64 tensor differ from `value`. Waits for the device if `values` do not
/// lie on the CPU.
std::int64_t count_other_than(const Tensor& values, std::int64_t value);

}  // namespace basin
