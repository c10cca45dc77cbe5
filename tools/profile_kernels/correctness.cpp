#include "tools/profile_kernels/correctness.h"

#include <fmt/format.h>

#include <limits>

#include "tools/profile_kernels/case_on_device.h"

namespace basin::profile_kernels {

using kernels::CaseArrays;

Correctness::Correctness(const kernels::KernelCase& problem, DType dtype, Device device)
    : problem_(problem), dtype_(dtype), device_(device) {
  const CaseArrays inputs(problem, dtype, cpu_context());
  if (!inputs.status().ok()) {
    refusal_ = fmt::format("its inputs cannot be prepared: {}", inputs.status().message);
    return;
  }
  expected_.emplace(problem, inputs);
}

Correctness::Verdict Correctness::check(int variant, double tolerance) const {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  if (!refusal_.empty()) {
    return {nan, refusal_};
  }
  CaseOnDevice on_device(problem_, dtype_, device_);
  kernels::Status status = on_device.status();
  if (status.ok()) {
    status = on_device.call(variant);
  }
  if (status.ok()) {
    status = on_device.finish();
  }
  const CaseArrays& arrays = on_device.arrays();
  if (!status.ok()) {
    return {nan, fmt::format("answers '{}'", status.message)};
  }
  if (const std::string damaged = arrays.damaged(); !damaged.empty()) {
    return {nan, fmt::format("writes beyond the borders of '{}'", damaged)};
  }
  const CaseArrays::Difference worst = expected_->difference(arrays);
  if (worst.error <= tolerance) {
    return {worst.error, ""};
  }
  return {worst.error,
          fmt::format("{}[{}] is {}, expected {}: error {:.2g}{} above {:.2g}", worst.buffer,
                      worst.position, worst.found, worst.expected, worst.error,
                      problem_.naive ? " times that of a naive computation" : "", tolerance)};
}

}  // namespace basin::profile_kernels
