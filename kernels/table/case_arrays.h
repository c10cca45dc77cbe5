// The memory of one case of the kernel table: drawn inputs, poisoned outputs, guarded borders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/table/kernel_table.h"

namespace basin::kernels {

class CaseArrays {
 public:
  /// Allocates every buffer of `problem`, draws its inputs and calls its prepare. `dtype` is f32,
  /// f64 or bf16. The same case and dtype give the same numbers. `problem` must outlive the object.
  CaseArrays(const KernelCase& problem, DType dtype, const CpuContext& context);
  CaseArrays(CaseArrays&&) = default;
  CaseArrays& operator=(CaseArrays&&) = default;

  /// What prepare answered; nothing may be run if it is not ok.
  const Status& status() const { return status_; }

  /// data()[i] belongs to problem.buffers[i]; aligned to 64 bytes.
  void* const* data() const { return data_.data(); }

  /// The same arrays with every floating one as f64, as the reference wants them.
  CaseArrays widened() const;

  /// The name of a buffer in front of or behind which something was written, or "".
  std::string damaged() const;

  /// Whether the compared outputs hold the same bits. Both must come from the same case and dtype.
  bool same_outputs(const CaseArrays& other) const;

  struct Difference {
    /// |found - expected| / (1 + |expected|), or in units of a naive computation's error; NaN if
    /// only one of found and expected is NaN.
    double error = 0;
    std::string buffer;
    std::int64_t position = -1;
    double found = 0;
    double expected = 0;
  };
  /// The largest difference of the compared outputs from `reference`, which widened() made. The
  /// gaps of a strided output must be an in_out buffer: a NaN that neither side overwrote counts as
  /// an error.
  Difference difference(const CaseArrays& reference) const;

  /// The same in units of what `naive` is off by at most in that buffer. A unit is at least what
  /// rounding f32 sums may come to, kLeastUnit (1 + |expected|).
  Difference difference(const CaseArrays& reference, const CaseArrays& naive) const;
  static constexpr double kLeastUnit = 5e-6;

  /// A buffer with the borders in front and behind, and where it begins in there: for copies that
  /// keep the guards.
  std::span<std::byte> with_borders(std::size_t buffer);
  static std::size_t border();

  std::int64_t elements(std::size_t buffer) const;
  DType dtype_of_buffer(std::size_t buffer) const;

 private:
  CaseArrays(const KernelCase& problem, DType dtype);
  std::size_t bytes(std::size_t buffer) const;
  bool is_compared(std::size_t buffer) const;
  template <class Scale>
  Difference largest(const CaseArrays& reference, Scale&& scale) const;
  void draw(std::size_t buffer, const CpuContext& context);

  const KernelCase* problem_;
  DType dtype_;
  Status status_;
  std::vector<std::vector<std::byte>> storage_;
  std::vector<void*> data_;
};

/// The references of a case on the inputs that some arrays have; for any number of comparisons.
class CaseReference {
 public:
  /// `problem` must outlive the object.
  CaseReference(const KernelCase& problem, const CaseArrays& inputs);
  CaseArrays::Difference difference(const CaseArrays& found) const;

 private:
  CaseArrays expected_;
  std::optional<CaseArrays> naive_;
};

/// The largest error that the rule for the case allows, in the units of CaseReference;
/// `longer_sums`: a factor of the entry's tolerances.
double allowed_error(const KernelEntry& entry, const KernelCase& problem, DType dtype,
                     double longer_sums = 1);

/// Element `at` of an array of f32, f64, bf16 or i64, as double, and back.
double element(const void* data, DType dtype, std::int64_t at);
void set_element(void* data, DType dtype, std::int64_t at, double value);

}  // namespace basin::kernels
