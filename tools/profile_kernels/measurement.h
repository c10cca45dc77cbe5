// How long the variants of a kernel take on one problem.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/table/kernel_table.h"
#include "tools/profile_kernels/case_on_device.h"
#include "tools/profile_kernels/statistics.h"

namespace basin::profile_kernels {

struct Measurement {
  struct Variant {
    Spread seconds;          ///< per call
    std::int64_t calls = 0;  ///< in one sample
  };
  std::vector<Variant> variants;
  Spread self;              ///< the first variant against itself, ratio of two samples of a round
  std::int64_t copies = 1;  ///< of the arrays, used in turn
};

struct MeasurementSettings {
  std::int64_t rounds = 15;
  double min_seconds = 0.02;  ///< of a sample
  std::int64_t copies = 1;
};

/// One kernel call after the other on copies of the arrays in turn.
class KernelCaller {
 public:
  /// Keeps a reference to the problem, which must exist on the device. Throws Error if the arrays
  /// cannot be made.
  KernelCaller(const kernels::KernelCase& problem, DType dtype, std::int64_t copies, Device device);
  /// Throws Error if the kernel refuses the problem.
  void call(int variant);

 private:
  void check(const kernels::Status& status) const;

  const kernels::KernelCase& problem_;
  std::vector<CaseOnDevice> arrays_;
  std::size_t next_ = 0;
};

/// In every round each variant gives one sample, and the first one two; the order changes from
/// round to round. Inputs are drawn, never zeros. `before_sample(round)` is called before each
/// sample and may throw. Throws Error if the kernel refuses the problem.
Measurement measure(const kernels::KernelCase& problem, DType dtype,
                    const std::vector<int>& variants, const MeasurementSettings& settings,
                    Device device, const std::function<void(std::int64_t round)>& before_sample);

/// Bytes of the arrays of a problem: what the kernel reads and writes, and its scratch memory.
struct MemoryNeeds {
  std::int64_t arrays = 0;
  std::int64_t workspace = 0;
};
MemoryNeeds memory_of(const kernels::KernelCase& problem, DType dtype);

}  // namespace basin::profile_kernels
