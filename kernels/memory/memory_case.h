// Inputs of the cases in the kernel table.
#pragma once

#include <cstdint>

#include "kernels/table/case_arrays.h"

namespace basin::kernels {

/// Uniform numbers around 0 become -1 and 1.
inline void make_signs(void* data, DType dtype, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    set_element(data, dtype, i, element(data, dtype, i) < 0 ? -1 : 1);
  }
}

}  // namespace basin::kernels
