#include "tensor/shape.h"

#include <algorithm>

#include "tensor/error.h"

namespace basin {

Shape::Shape(std::initializer_list<std::int64_t> entries)
    : Shape(std::span<const std::int64_t>(entries.begin(), entries.size())) {}

Shape::Shape(std::span<const std::int64_t> entries) {
  for (const std::int64_t entry : entries) {
    push_back(entry);
  }
}

void Shape::push_back(std::int64_t entry) { insert(rank_, entry); }

void Shape::insert(int dim, std::int64_t entry) {
  if (rank_ == kMaxRank) {
    fail("a tensor has at most {} dimensions; {} cannot take one more", kMaxRank, to_string(*this));
  }
  std::copy_backward(entries_.data() + dim, entries_.data() + rank_, entries_.data() + rank_ + 1);
  entries_[static_cast<std::size_t>(dim)] = entry;
  ++rank_;
}

void Shape::erase(int dim) {
  std::copy(entries_.data() + dim + 1, entries_.data() + rank_, entries_.data() + dim);
  --rank_;
}

std::int64_t Shape::numel() const {
  std::int64_t product = 1;
  bool zero = false;
  for (const std::int64_t entry : *this) {
    if (entry < 0) {
      fail("a shape cannot have a negative extent: {}", to_string(*this));
    }
    zero = zero || entry == 0;
    product = checked_product(product, std::max<std::int64_t>(entry, 1));
  }
  return zero ? 0 : product;
}

bool Shape::operator==(const Shape& other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

std::string to_string(const Shape& shape) {
  return fmt::format("({})", fmt::join(shape.begin(), shape.end(), ", "));
}

Shape contiguous_strides(const Shape& shape) {
  Shape strides = shape;
  std::int64_t stride = 1;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    strides[d] = stride;
    stride *= std::max<std::int64_t>(shape[d], 1);
  }
  return strides;
}

int normalise_dim(int dim, int rank, const char* where) {
  if (dim < -rank || dim >= rank) {
    fail("[{}] there is no dimension {} in a tensor of rank {}", where, dim, rank);
  }
  return dim < 0 ? dim + rank : dim;
}

Shape broadcast(const Shape& a, const Shape& b, const char* where) {
  const int rank = std::max(a.rank(), b.rank());
  Shape result;
  for (int d = 0; d < rank; ++d) {
    const int ia = d - (rank - a.rank());
    const int ib = d - (rank - b.rank());
    const std::int64_t ea = ia < 0 ? 1 : a[ia];
    const std::int64_t eb = ib < 0 ? 1 : b[ib];
    if (ea != eb && ea != 1 && eb != 1) {
      fail("[{}] shapes {} and {} do not broadcast: extents {} and {} in dimension {}", where,
           to_string(a), to_string(b), ea, eb, d);
    }
    result.push_back(ea == 1 ? eb : ea);
  }
  return result;
}

std::int64_t checked_product(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    fail("a size of {} x {} does not fit in 64 bits", a, b);
  }
  return product;
}

}  // namespace basin
