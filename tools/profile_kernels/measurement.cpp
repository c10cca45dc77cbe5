#include "tools/profile_kernels/measurement.h"

#include "tensor/error.h"
#include "tools/profile_kernels/repeated_calls.h"

namespace basin::profile_kernels {

using kernels::CaseBuffer;

KernelCaller::KernelCaller(const kernels::KernelCase& problem, DType dtype, std::int64_t copies,
                           Device device)
    : problem_(problem) {
  for (std::int64_t n = 0; n < copies; ++n) {
    arrays_.emplace_back(problem, dtype, device);
    check(arrays_.back().status());
  }
}

void KernelCaller::call(int variant) {
  next_ = next_ + 1 < arrays_.size() ? next_ + 1 : 0;
  check(arrays_[next_].call(variant));
}

void KernelCaller::check(const kernels::Status& status) const {
  if (!status.ok()) {
    fail("the kernel refuses '{}': {}", problem_.name, status.message);
  }
}

Measurement measure(const kernels::KernelCase& problem, DType dtype,
                    const std::vector<int>& variants, const MeasurementSettings& settings,
                    Device device, const std::function<void(std::int64_t round)>& before_sample) {
  KernelCaller caller(problem, dtype, settings.copies, device);
  Measurement result;
  result.copies = settings.copies;
  std::vector<RepeatedCalls> calls;
  for (const int variant : variants) {
    before_sample(0);
    calls.emplace_back([&caller, variant] { caller.call(variant); }, settings.min_seconds, device);
    result.variants.push_back({{}, calls.back().calls()});
  }
  // The last contestant is the first variant once more.
  const std::size_t contestants = variants.size() + 1;
  std::vector<std::vector<double>> samples(contestants);
  std::vector<double> ratios;
  for (std::int64_t round = 0; round < settings.rounds; ++round) {
    for (std::size_t turn = 0; turn < contestants; ++turn) {
      before_sample(round + 1);
      const std::size_t who = (turn + static_cast<std::size_t>(round)) % contestants;
      const std::size_t which = who % variants.size();
      samples[who].push_back(calls[which].seconds_per_call());
    }
    ratios.push_back(samples.back().back() / samples.front().back());
  }
  for (std::size_t which = 0; which < variants.size(); ++which) {
    result.variants[which].seconds = spread_of(samples[which]);
  }
  result.self = spread_of(ratios);
  return result;
}

MemoryNeeds memory_of(const kernels::KernelCase& problem, DType dtype) {
  MemoryNeeds needs;
  for (const CaseBuffer& buffer : problem.buffers) {
    auto bytes = static_cast<std::int64_t>(size_of(kernels::dtype_in(buffer, dtype)));
    for (const std::int64_t extent : buffer.extents) {
      if (__builtin_mul_overflow(bytes, extent, &bytes)) {
        fail("'{}' of '{}' is larger than any memory", buffer.name, problem.name);
      }
    }
    (buffer.role == CaseBuffer::Role::workspace ? needs.workspace : needs.arrays) += bytes;
  }
  return needs;
}

}  // namespace basin::profile_kernels
