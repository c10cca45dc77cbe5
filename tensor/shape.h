// The extents of a tensor, and strides, which are the same kind of short list.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "kernels/elementwise/elementwise.h"

namespace basin {

inline constexpr int kMaxRank = kernels::kMaxRank;

/// Up to kMaxRank whole numbers, stored in place.
class Shape {
 public:
  Shape() = default;
  /// Throws Error for more than kMaxRank entries.
  Shape(std::initializer_list<std::int64_t> entries);
  explicit Shape(std::span<const std::int64_t> entries);

  int rank() const { return rank_; }
  std::int64_t operator[](int dim) const { return entries_[static_cast<std::size_t>(dim)]; }
  std::int64_t& operator[](int dim) { return entries_[static_cast<std::size_t>(dim)]; }
  const std::int64_t* data() const { return entries_.data(); }
  const std::int64_t* begin() const { return entries_.data(); }
  const std::int64_t* end() const { return entries_.data() + rank_; }

  /// Adds an entry at the end. Throws Error beyond kMaxRank.
  void push_back(std::int64_t entry);
  void insert(int dim, std::int64_t entry);
  void erase(int dim);

  /// The product of the entries, 1 for rank 0. Throws Error if an entry is negative or if the
  /// product of those that are not 0 does not fit in 64 bits (strides are made of them too).
  std::int64_t numel() const;

  bool operator==(const Shape& other) const;

 private:
  std::array<std::int64_t, kMaxRank> entries_{};
  int rank_ = 0;
};

/// "(2, 3)"
std::string to_string(const Shape&);

/// Row-major strides of a shape, in elements.
Shape contiguous_strides(const Shape&);

/// The dimension `dim` of `rank`, where negative ones count from the end. Throws Error naming
/// `where` if there is no such dimension.
int normalise_dim(int dim, int rank, const char* where);

/// The shape two operands have together by the usual rule: extents are compared from the right and
/// must be equal or 1. Throws Error naming `where` and both shapes.
Shape broadcast(const Shape& a, const Shape& b, const char* where);

/// a * b, or Error if it does not fit in 64 bits.
std::int64_t checked_product(std::int64_t a, std::int64_t b);

}  // namespace basin
