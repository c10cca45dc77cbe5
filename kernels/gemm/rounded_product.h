// A product whose factors lose bits first: where their copies lie, and what is multiplied then.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/round_factors.h"

namespace basin::kernels {

/// Whether the factors of this product are rounded; not where nothing is multiplied.
inline bool rounds_factors(const Gemm& p) {
  return p.precision != Precision::f32 && p.dtype == DType::f32 && p.m > 0 && p.n > 0 && p.k > 0 &&
         p.batch > 0;
}

/// The copies stand at the front of the workspace of `p`, with rows of whole 16 bytes; the
/// workspace of the product proper comes behind them. `halves`: as bf16, else as f32 with fewer
/// bits.
class RoundedProduct {
 public:
  explicit RoundedProduct(const Gemm& p, bool halves = false)
      : p_(p),
        halves_(halves),
        a_(p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.lda, p.a_batch_stride, p.batch),
        b_(p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.ldb, p.b_batch_stride, p.batch) {
  }

  /// Of the copies.
  std::int64_t bytes() const { return bytes_of(a_) + bytes_of(b_); }

  template <class Context>
  Status round(const Context& context) const {
    if (p_.workspace == nullptr) {
      return Status::invalid("gemm: the workspace is missing");
    }
    const Status status = round_factors(call(a_, p_.a, p_.workspace), context);
    return status.ok() ? round_factors(call(b_, p_.b, b_copy()), context) : status;
  }

  /// What remains to be multiplied.
  Gemm product() const {
    Gemm result = p_;
    result.precision = Precision::f32;
    result.a = p_.workspace;
    result.b = b_copy();
    result.lda = a_.to_row;
    result.ldb = b_.to_row;
    result.a_batch_stride = a_.to_batch();
    result.b_batch_stride = b_.to_batch();
    result.workspace =
        p_.workspace == nullptr ? nullptr : static_cast<char*>(p_.workspace) + bytes();
    return result;
  }

 private:
  // A factor as it is stored.
  struct Factor {
    std::int64_t items, rows, columns, from_row, from_batch, to_row;

    Factor(std::int64_t stored_rows, std::int64_t stored_columns, std::int64_t row,
           std::int64_t batch_stride, std::int64_t batch)
        : items(batch_stride == 0 ? 1 : batch),  // one for all items, or one for each
          rows(stored_rows),
          columns(stored_columns),
          from_row(row),
          from_batch(batch_stride),
          to_row((stored_columns + 7) / 8 * 8) {}
    std::int64_t to_batch() const { return items == 1 ? 0 : rows * to_row; }
  };

  std::int64_t bytes_of(const Factor& f) const {
    return (f.items * f.rows * f.to_row * (halves_ ? 2 : 4) + 255) / 256 * 256;
  }
  void* b_copy() const {
    return p_.workspace == nullptr ? nullptr : static_cast<char*>(p_.workspace) + bytes_of(a_);
  }
  RoundFactors call(const Factor& f, const void* from, void* to) const {
    return {static_cast<const float*>(from),
            to,
            f.items,
            f.rows,
            f.columns,
            f.from_row,
            f.from_batch,
            f.to_row,
            f.to_batch(),
            p_.precision,
            halves_};
  }

  const Gemm& p_;
  bool halves_;
  Factor a_, b_;
};

}  // namespace basin::kernels
