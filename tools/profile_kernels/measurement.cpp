#include "tools/profile_kernels/measurement.h"

#include <algorithm>

#include "kernels/table/case_arrays.h"
#include "tensor/error.h"

namespace basin::profile_kernels {

using kernels::CaseArrays;
using kernels::CaseBuffer;

namespace {

// One kernel call after the other on the copies of the arrays in turn.
class Caller {
 public:
  Caller(const kernels::KernelCase& problem, DType dtype, std::int64_t copies,
         const kernels::CpuContext& context)
      : problem_(problem), dtype_(dtype), context_(context) {
    for (std::int64_t n = 0; n < copies; ++n) {
      arrays_.emplace_back(problem, dtype, context);
      check(arrays_.back().status());
    }
  }

  /// Seconds of so many calls.
  double sample(int variant, std::int64_t calls) {
    const double begin = seconds_now();
    for (std::int64_t n = 0; n < calls; ++n) {
      next_ = next_ + 1 < arrays_.size() ? next_ + 1 : 0;
      check(problem_.run(arrays_[next_].data(), dtype_, variant, context_));
    }
    return seconds_now() - begin;
  }

  /// How many calls take at least this long; also warms up.
  std::int64_t calls_for(int variant, double min_seconds) {
    constexpr std::int64_t kMost = std::int64_t{1} << 40;
    std::int64_t calls = 1;
    (void)sample(variant, 1);
    while (true) {
      const double seconds = sample(variant, calls);
      if (seconds >= min_seconds || calls >= kMost) {
        return calls;
      }
      // A little more than the proportion says, but at most tenfold: the first calls are slow.
      const double factor = std::min(10.0, 1.1 * min_seconds / std::max(seconds, 1e-9));
      calls = std::max(calls + 1, static_cast<std::int64_t>(static_cast<double>(calls) * factor));
    }
  }

 private:
  void check(const kernels::Status& status) const {
    if (!status.ok()) {
      fail("the kernel refuses '{}': {}", problem_.name, status.message);
    }
  }

  const kernels::KernelCase& problem_;
  DType dtype_;
  const kernels::CpuContext& context_;
  std::vector<CaseArrays> arrays_;
  std::size_t next_ = 0;
};

}  // namespace

Measurement measure(const kernels::KernelCase& problem, DType dtype,
                    const std::vector<int>& variants, const MeasurementSettings& settings,
                    const kernels::CpuContext& context,
                    const std::function<void(std::int64_t round)>& before_sample) {
  Caller caller(problem, dtype, settings.copies, context);
  Measurement result;
  result.copies = settings.copies;
  for (const int variant : variants) {
    before_sample(0);
    result.variants.push_back({{}, caller.calls_for(variant, settings.min_seconds)});
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
      const std::int64_t calls = result.variants[which].calls;
      samples[who].push_back(caller.sample(variants[which], calls) / static_cast<double>(calls));
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
    auto bytes = static_cast<std::int64_t>(buffer.integer || buffer.always_double ? sizeof(double)
                                                                                  : size_of(dtype));
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
