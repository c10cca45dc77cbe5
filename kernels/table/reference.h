// Short forms for the references and case names in the <family>_table.cpp files.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "kernels/common/half.h"
#include "kernels/common/precision.h"
#include "kernels/table/kernel_table.h"

namespace basin::kernels {

inline double* doubles(void* data) { return static_cast<double*>(data); }
inline std::int64_t* integers(void* data) { return static_cast<std::int64_t*>(data); }

/// A factor as a plain program with few bits has it: rounded to bf16; for tf32 the low bits of f32
/// are cut off, which is what a multiplier does that does not read them.
inline double naive_factor(double x, Precision precision) {
  switch (precision) {
    case Precision::f32: break;
    case Precision::tf32: {
      const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(x));
      return static_cast<double>(std::bit_cast<float>(bits & 0xFFFFE000u));
    }
    case Precision::bf16: return static_cast<double>(to_float(to_bfloat16(x)));
  }
  return x;
}

/// "_tf32", or nothing for f32: part of the name of a case.
inline std::string precision_name(Precision precision) {
  return precision == Precision::f32 ? "" : std::string("_") + name_of(precision);
}

/// Of the problems for timing.
inline SizeParameter precision_choice() {
  return choice("precision", "to which factors are rounded", {"f32", "tf32", "bf16"});
}

/// "3x7x1"
inline std::string extents_name(std::initializer_list<std::int64_t> extents) {
  std::string name;
  for (const std::int64_t extent : extents) {
    name.append(name.empty() ? "" : "x").append(std::to_string(extent));
  }
  return name;
}

/// A buffer of scratch bytes, for workspaces whose size a kernel gives in bytes.
inline CaseBuffer workspace_bytes(std::string name, std::int64_t bytes) {
  CaseBuffer buffer{std::move(name), CaseBuffer::Role::workspace, {(bytes + 7) / 8}};
  buffer.always_double = true;
  return buffer;
}

/// What every variant up to `last` can work with, in each of `dtypes`: the most that
/// `workspace(dtype, variant)` asks for.
template <class F>
std::int64_t most_bytes(int last, F&& workspace,
                        std::initializer_list<DType> dtypes = {DType::f32, DType::f64}) {
  std::int64_t most = 0;
  for (const DType dtype : dtypes) {
    for (int variant = 0; variant <= last; ++variant) {
      most = std::max(most, static_cast<std::int64_t>(workspace(dtype, variant)));
    }
  }
  return most;
}

/// The same on the executor and, in a build with CUDA, on a GPU, in bf16, too: `workspace(dtype,
/// variant, context)`.
template <class F>
std::int64_t most_bytes_on_devices(int last, F&& workspace) {
  const auto on = [&](const auto& context) {
    return most_bytes(last,
                      [&](DType dtype, int variant) { return workspace(dtype, variant, context); },
                      {DType::f32, DType::f64, DType::bf16});
  };
  const std::int64_t most = on(SimtContext{});
  if constexpr (kCudaBuilt) {
    return std::max(most, on(CudaContext{}));
  }
  return most;
}

/// The same there and on the CPU.
template <class F>
std::int64_t most_bytes_anywhere(int last, const CpuContext& cpu, F&& workspace) {
  const std::int64_t on_cpu =
      most_bytes(last, [&](DType dtype, int variant) { return workspace(dtype, variant, cpu); });
  return std::max(on_cpu, most_bytes_on_devices(last, workspace));
}

inline CaseBuffer integer_buffer(std::string name, CaseBuffer::Role role,
                                 std::vector<std::int64_t> extents, double low, double high) {
  CaseBuffer buffer{std::move(name), role, std::move(extents), low, high};
  buffer.integer = true;
  return buffer;
}

}  // namespace basin::kernels
