// The one table of kernels that tests and profiling run over. A family registers itself in its
// own <family>_table.cpp; nothing central has to be edited.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"
#include "kernels/table/sizes.h"

namespace basin::kernels {

/// One array of a case. Floating inputs are drawn uniformly from [low, high]; integer inputs are
/// drawn from the whole numbers low ... high. Outputs and workspaces are poisoned with NaN before
/// the run. An in_out array is drawn like an input and compared like an output.
struct CaseBuffer {
  enum class Role : std::uint8_t { input, output, in_out, workspace };

  std::string name;
  Role role;
  std::vector<std::int64_t> extents;
  double low = -1.0;
  double high = 1.0;
  /// i64 for integer arrays and f64 for double-only scratch; otherwise the dtype of the case.
  bool integer = false;
  bool always_double = false;
  /// A floating array that is f32 in a case of bf16, like statistics of a row.
  bool at_least_f32 = false;
  /// An output that a case computes but does not compare (statistics kept for the backward pass).
  bool compared = true;
};

/// The element type of a buffer in a case of `dtype`.
inline DType dtype_in(const CaseBuffer& buffer, DType dtype) {
  if (buffer.integer) {
    return DType::i64;
  }
  if (buffer.always_double) {
    return DType::f64;
  }
  return buffer.at_least_f32 && dtype == DType::bf16 ? DType::f32 : dtype;
}

/// Useful work of one call: multiplications and additions, bytes that must move at least once
/// (for elements of `size` bytes) and exponentials (tanh and erf count as one).
struct Cost {
  double flops = 0;
  double elements_moved = 0;
  double exps = 0;
  bool tensor_cores = false;  ///< of a GPU make the products: fewer bits than f32
};

/// One problem: arrays, how to run the kernel on them and how to get the same outputs in double
/// from the definition. `data[i]` belongs to `buffers[i]`; the reference sees every floating array
/// as double and writes the output arrays.
struct KernelCase {
  std::string name;
  std::vector<CaseBuffer> buffers;
  /// Called once on the drawn arrays, before both the run and the reference: for inputs that are
  /// not uniform numbers (NaN in hidden keys, what a forward pass left for the backward pass). May
  /// be empty.
  std::function<Status(void* const* data, DType dtype, const CpuContext&)> prepare{};
  /// Empty for a kernel that exists for GPUs only.
  std::function<Status(void* const* data, DType dtype, int variant, const CpuContext&)> run{};
  /// The same on the kernel written for CUDA, by the executor and on a GPU (then `data` lies there
  /// and the call returns when the work is queued). Empty where there is no such kernel; run_cuda
  /// also in a build without CUDA. set_device_runs() sets both; a case that is too large for the
  /// executor may drop run_simt again, if it is not the first of its entry.
  std::function<Status(void* const* data, DType dtype, int variant, const SimtContext&)> run_simt{};
  std::function<Status(void* const* data, DType dtype, int variant, const CudaContext&)> run_cuda{};
  std::function<void(void* const* data)> reference;
  /// The dtypes it exists in.
  std::vector<DType> dtypes = {DType::f32, DType::f64};
  /// For a case with fewer bits than f32: like the reference, but with the roundings of a plain
  /// program in that precision. The kernel may then be kNaiveErrors times as far from the reference
  /// as this is, and the entry's tolerances say nothing.
  std::function<void(void* const* data)> naive{};
  Cost cost;
  /// Operations of the reference, where they are many more than those of the kernel.
  double reference_work = 0;
};

/// How many times the error of a naive computation in the same precision a kernel may have.
inline constexpr double kNaiveErrors = 2;

inline bool exists_in(const KernelCase& problem, DType dtype) {
  return std::find(problem.dtypes.begin(), problem.dtypes.end(), dtype) != problem.dtypes.end();
}

/// Sets run_simt and run_cuda: `call(data, dtype, variant, context)` takes either context.
template <class F>
void set_device_runs(KernelCase& problem, F call) {
  problem.run_simt = call;
  if constexpr (kCudaBuilt) {
    problem.run_cuda = call;
  }
}

/// Sets all three of a kernel without further variants: `call(data, dtype, context)` takes any
/// context.
template <class F>
void run_on_all_devices(KernelCase& problem, F call) {
  const auto with_variant = [call](void* const* data, DType dtype, int, const auto& context) {
    return call(data, dtype, context);
  };
  problem.run = with_variant;
  set_device_runs(problem, with_variant);
}

/// Problems of any size, for timing. The made case has no name; sized_case() gives it one.
struct SizedProblem {
  std::vector<SizeParameter> parameters;
  std::function<KernelCase(const Sizes&, const CpuContext&)> make;
};

struct KernelVariant {
  int number;
  std::string name;
  std::string adds;  ///< one line: what this step of the ladder adds
};

struct KernelEntry {
  std::string name;
  std::string summary;
  std::vector<KernelVariant>
      variants;  ///< of the CPU, at least one if it runs there; 0 means the best and is not listed
  std::function<std::vector<KernelCase>(const CpuContext&)> cases;
  /// Largest |error| / (1 + |reference|), with the reason in the entry's source. Cases with a
  /// naive form have their own rule.
  double tolerance_f32;
  double tolerance_f64;
  SizedProblem sized{};  ///< added by RegisterSizes
  /// Of the kernel written for CUDA, where it has more than one; variant 0 is the best here, too.
  std::vector<KernelVariant> device_variants{};
};

/// All registered kernels, sorted by name.
const std::vector<KernelEntry>& kernel_table();

/// A namespace-scope object of this type in <family>_table.cpp adds an entry before main().
struct RegisterKernel {
  explicit RegisterKernel(KernelEntry entry);
};

/// Gives a registered entry its problems of any size; stands below the RegisterKernel in its file.
struct RegisterSizes {
  RegisterSizes(const std::string& kernel, std::vector<SizeParameter> parameters,
                std::function<KernelCase(const Sizes&, const CpuContext&)> make);
};

/// Tolerances are for the fixed cases; sums over larger sizes may differ by this many times more.
inline constexpr double kSizedTolerance = 10;

/// The problem of these sizes, named after them. Every parameter must have a value that fits it.
KernelCase sized_case(const KernelEntry& entry, const Sizes& sizes, const CpuContext& context);

/// About how many operations the reference of a case takes.
double reference_work(const KernelCase& problem);

/// The sizes made smaller until the reference takes at most `work` operations, if that is possible.
Sizes affordable(const KernelEntry& entry, Sizes sizes, double work, const CpuContext& context);

}  // namespace basin::kernels
