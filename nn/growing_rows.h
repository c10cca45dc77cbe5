// Rows that come one by one and are read all together: what a sequence leaves behind.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace basin::nn {

/// A tensor that grows along one dimension. Its memory doubles when it is full, so that n rows cost
/// n copies of a row.
class GrowingRows {
 public:
  explicit GrowingRows(int dim) : dim_(dim) {}

  /// `rows` has the shape of the rows so far, but along the dimension any extent.
  void append(const Tensor& rows);
  /// A view of all rows; undefined before the first.
  Tensor rows() const { return size_ == 0 ? Tensor() : memory_.slice(dim_, 0, size_); }
  std::int64_t size() const { return size_; }

 private:
  int dim_;
  std::int64_t size_ = 0;
  Tensor memory_;
};

}  // namespace basin::nn
