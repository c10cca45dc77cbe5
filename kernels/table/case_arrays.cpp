#include "kernels/table/case_arrays.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/common/half.h"
#include "kernels/common/philox.h"

namespace basin::kernels {

namespace {

using Role = CaseBuffer::Role;
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kGuard = 256;  // bytes on either side, a multiple of the alignment
// All ones are a NaN in every floating type, and an id that no table has.
constexpr std::byte kPoison{0xFF};

// Guards are NaNs too, of two, four or eight bytes, so that an element read beyond the end shows in
// the result; each buffer has a payload of its own, because a NaN copied from one guard to another
// would leave it unchanged.
std::uint32_t guard_word(std::size_t buffer) {
  return 0xFFFFFF80u | static_cast<std::uint32_t>((buffer + 1) % 0x7F);
}

void fill_guard(std::byte* at, std::size_t buffer) {
  const std::uint32_t word = guard_word(buffer);
  for (std::size_t i = 0; i < kGuard; i += sizeof word) {
    std::memcpy(at + i, &word, sizeof word);
  }
}

bool guard_intact(const std::byte* at, std::size_t buffer) {
  const std::uint32_t word = guard_word(buffer);
  for (std::size_t i = 0; i < kGuard; i += sizeof word) {
    if (std::memcmp(at + i, &word, sizeof word) != 0) {
      return false;
    }
  }
  return true;
}

// FNV-1a: the draw depends on the names alone, not on the order of the table.
std::uint64_t hash(const std::string& text) {
  std::uint64_t value = 0xCBF29CE484222325u;
  for (const char c : text) {
    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  }
  return value;
}

}  // namespace

double element(const void* data, DType dtype, std::int64_t at) {
  switch (dtype) {
    case DType::f32: return static_cast<double>(static_cast<const float*>(data)[at]);
    case DType::f64: return static_cast<const double*>(data)[at];
    case DType::bf16: return static_cast<double>(to_float(static_cast<const BFloat16*>(data)[at]));
    case DType::i64: return static_cast<double>(static_cast<const std::int64_t*>(data)[at]);
    default: return std::numeric_limits<double>::quiet_NaN();
  }
}

void set_element(void* data, DType dtype, std::int64_t at, double value) {
  switch (dtype) {
    case DType::f32: static_cast<float*>(data)[at] = static_cast<float>(value); break;
    case DType::f64: static_cast<double*>(data)[at] = value; break;
    case DType::bf16: static_cast<BFloat16*>(data)[at] = to_bfloat16(value); break;
    case DType::i64: static_cast<std::int64_t*>(data)[at] = static_cast<std::int64_t>(value); break;
    default: break;
  }
}

CaseArrays::CaseArrays(const KernelCase& problem, DType dtype) : problem_(&problem), dtype_(dtype) {
  const std::size_t count = problem.buffers.size();
  storage_.resize(count);
  data_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    storage_[i].assign(bytes(i) + 2 * kGuard + kAlignment, kPoison);
    const auto address = reinterpret_cast<std::uintptr_t>(storage_[i].data());
    std::byte* const front = storage_[i].data() + (kAlignment - address % kAlignment) % kAlignment;
    fill_guard(front, i);
    data_[i] = front + kGuard;
    fill_guard(front + kGuard + bytes(i), i);
  }
}

CaseArrays::CaseArrays(const KernelCase& problem, DType dtype, const CpuContext& context)
    : CaseArrays(problem, dtype) {
  for (std::size_t i = 0; i < data_.size(); ++i) {
    const Role role = problem.buffers[i].role;
    if (role == Role::input || role == Role::in_out) {
      draw(i, context);
    }
  }
  if (problem.prepare) {
    status_ = problem.prepare(data_.data(), dtype, context);
  }
}

void CaseArrays::draw(std::size_t buffer, const CpuContext& context) {
  const CaseBuffer& b = problem_->buffers[buffer];
  const std::uint64_t key = derive_key(hash(problem_->name), hash(b.name));
  const DType dtype = dtype_of_buffer(buffer);
  for_ranges(context, elements(buffer), 16384, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      const auto words = philox(key, static_cast<std::uint64_t>(at));
      const std::uint64_t bits = (std::uint64_t{words[0]} << 20) | (words[1] >> 12);
      const double u = static_cast<double>(bits) * 0x1p-52;
      const double value =
          b.integer ? b.low + std::floor(u * (b.high - b.low + 1)) : b.low + u * (b.high - b.low);
      set_element(data_[buffer], dtype, at, value);
    }
  });
}

CaseArrays CaseArrays::widened() const {
  CaseArrays wide(*problem_, DType::f64);
  wide.status_ = status_;
  for (std::size_t i = 0; i < data_.size(); ++i) {
    if (dtype_of_buffer(i) == wide.dtype_of_buffer(i)) {
      std::memcpy(wide.data_[i], data_[i], bytes(i));
      continue;
    }
    for (std::int64_t at = 0; at < elements(i); ++at) {
      set_element(wide.data_[i], DType::f64, at, element(data_[i], dtype_of_buffer(i), at));
    }
  }
  return wide;
}

std::string CaseArrays::damaged() const {
  for (std::size_t i = 0; i < data_.size(); ++i) {
    const std::byte* at = static_cast<const std::byte*>(data_[i]);
    if (!guard_intact(at - kGuard, i) || !guard_intact(at + bytes(i), i)) {
      return problem_->buffers[i].name;
    }
  }
  return "";
}

bool CaseArrays::same_outputs(const CaseArrays& other) const {
  for (std::size_t i = 0; i < data_.size(); ++i) {
    if (is_compared(i) && std::memcmp(data_[i], other.data_[i], bytes(i)) != 0) {
      return false;
    }
  }
  return true;
}

template <class Scale>
CaseArrays::Difference CaseArrays::largest(const CaseArrays& reference, Scale&& scale) const {
  Difference worst;
  for (std::size_t i = 0; i < data_.size(); ++i) {
    if (!is_compared(i)) {
      continue;
    }
    for (std::int64_t at = 0; at < elements(i); ++at) {
      const double found = element(data_[i], dtype_of_buffer(i), at);
      const double expected = element(reference.data_[i], reference.dtype_of_buffer(i), at);
      // Infinities agree when equal; their difference would be NaN.
      const double error =
          found == expected ? 0.0 : std::abs(found - expected) / scale(i, expected);
      if (!(error <= worst.error)) {
        worst = {error, problem_->buffers[i].name, at, found, expected};
        if (std::isnan(error)) {
          return worst;
        }
      }
    }
  }
  return worst;
}

CaseArrays::Difference CaseArrays::difference(const CaseArrays& reference) const {
  return largest(reference, [](std::size_t, double expected) { return 1 + std::abs(expected); });
}

CaseArrays::Difference CaseArrays::difference(const CaseArrays& reference,
                                              const CaseArrays& naive) const {
  std::vector<double> units(data_.size());
  for (std::size_t i = 0; i < data_.size(); ++i) {
    for (std::int64_t at = 0; is_compared(i) && at < elements(i); ++at) {
      const double expected = element(reference.data_[i], reference.dtype_of_buffer(i), at);
      const double error = element(naive.data_[i], naive.dtype_of_buffer(i), at) - expected;
      if (std::isfinite(error)) {  // a query that sees nothing has an infinite log-sum-exp
        units[i] = std::max(units[i], std::abs(error));
      }
    }
  }
  return largest(reference, [&](std::size_t buffer, double expected) {
    return std::max(units[buffer], kLeastUnit * (1 + std::abs(expected)));
  });
}

std::span<std::byte> CaseArrays::with_borders(std::size_t buffer) {
  return {static_cast<std::byte*>(data_[buffer]) - kGuard, bytes(buffer) + 2 * kGuard};
}

std::size_t CaseArrays::border() { return kGuard; }

std::int64_t CaseArrays::elements(std::size_t buffer) const {
  std::int64_t count = 1;
  for (const std::int64_t extent : problem_->buffers[buffer].extents) {
    count *= extent;
  }
  return count;
}

DType CaseArrays::dtype_of_buffer(std::size_t buffer) const {
  return dtype_in(problem_->buffers[buffer], dtype_);
}

std::size_t CaseArrays::bytes(std::size_t buffer) const {
  return static_cast<std::size_t>(elements(buffer)) * size_of(dtype_of_buffer(buffer));
}

bool CaseArrays::is_compared(std::size_t buffer) const {
  const CaseBuffer& b = problem_->buffers[buffer];
  return b.compared && (b.role == Role::output || b.role == Role::in_out);
}

CaseReference::CaseReference(const KernelCase& problem, const CaseArrays& inputs)
    : expected_(inputs.widened()) {
  problem.reference(expected_.data());
  if (problem.naive) {
    naive_.emplace(inputs.widened());
    problem.naive(naive_->data());
  }
}

CaseArrays::Difference CaseReference::difference(const CaseArrays& found) const {
  return naive_ ? found.difference(expected_, *naive_) : found.difference(expected_);
}

double allowed_error(const KernelEntry& entry, const KernelCase& problem, DType dtype,
                     double longer_sums) {
  if (problem.naive) {
    return kNaiveErrors;
  }
  return longer_sums * (dtype == DType::f32 ? entry.tolerance_f32 : entry.tolerance_f64);
}

}  // namespace basin::kernels
