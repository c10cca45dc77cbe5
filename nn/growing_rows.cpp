#include "nn/growing_rows.h"

#include <algorithm>

namespace basin::nn {

void GrowingRows::append(const Tensor& rows) {
  const std::int64_t needed = size_ + rows.size(dim_);
  if (!memory_.defined() || memory_.size(dim_) < needed) {
    Shape shape;
    for (int d = 0; d < rows.rank(); ++d) {
      shape.push_back(d == dim_ ? std::max<std::int64_t>(2 * size_, needed) : rows.size(d));
    }
    Tensor larger = Tensor::empty(shape, rows.dtype(), rows.device());
    if (size_ > 0) {
      larger.slice(dim_, 0, size_).copy_from(this->rows());
    }
    memory_ = larger;
  }
  memory_.slice(dim_, size_, needed).copy_from(rows);
  size_ = needed;
}

}  // namespace basin::nn
