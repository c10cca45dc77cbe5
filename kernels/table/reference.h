// Short forms for the references and case names in the <family>_table.cpp files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "kernels/table/kernel_table.h"

namespace basin::kernels {

inline double* doubles(void* data) { return static_cast<double*>(data); }
inline std::int64_t* integers(void* data) { return static_cast<std::int64_t*>(data); }

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

/// What every variant up to `last` can work with, in every dtype: the most that `workspace(dtype,
/// variant)` asks for.
template <class F>
std::int64_t most_bytes(int last, F&& workspace) {
  std::int64_t most = 0;
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (int variant = 0; variant <= last; ++variant) {
      most = std::max(most, static_cast<std::int64_t>(workspace(dtype, variant)));
    }
  }
  return most;
}

/// The same on the executor and, in a build with CUDA, on a GPU: `workspace(dtype, variant,
/// context)`.
template <class F>
std::int64_t most_bytes_on_devices(int last, F&& workspace) {
  const auto on = [&](const auto& context) {
    return most_bytes(last,
                      [&](DType dtype, int variant) { return workspace(dtype, variant, context); });
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
