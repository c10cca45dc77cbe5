// Tensors with known values of every dtype.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace basin::test {

inline constexpr std::array kAllDTypes = {DType::f64, DType::f32, DType::f16, DType::bf16,
                                          DType::i64, DType::i32, DType::u8,  DType::boolean};

/// Values by position, exact in the dtype: the same as ramp() in data/make_fixtures.py.
inline Tensor ramp(const Shape& shape, DType dtype) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i) {
    switch (dtype) {
      case DType::boolean: values.push_back(i % 3 == 0 ? 1 : 0); break;
      case DType::u8: values.push_back(static_cast<double>((250 + 3 * i) % 256)); break;
      case DType::i32:
      case DType::i64: values.push_back(static_cast<double>(1000003 * i * i - 7)); break;
      default: values.push_back(static_cast<double>(i - 2) * 0.375); break;
    }
  }
  return Tensor::from<double>(shape, values).to(dtype);
}

/// A file of tests/tensor/data.
inline std::string data_file(const std::string& name) {
  return BASIN_SOURCE_DIR "/tests/tensor/data/" + name;
}

}  // namespace basin::test
