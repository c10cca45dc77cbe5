// Elementwise kernels: unary and binary operations from the tables, copies with conversion, fill.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

inline constexpr int kMaxRank = 8;

enum class UnaryOp : std::uint8_t {
#define BASIN_UNARY(name, formula, low, high, value, derivative) name,
#include "kernels/elementwise/unary_table.inc"
#undef BASIN_UNARY
  count
};

enum class BinaryOp : std::uint8_t {
#define BASIN_BINARY(name, formula, low, high, value, da, db) name,
#include "kernels/elementwise/binary_table.inc"
#undef BASIN_BINARY
  count
};

/// A table line as data, for tests and documentation.
struct ElementwiseInfo {
  const char* name;
  const char* formula;
  double low;   ///< smallest test input
  double high;  ///< largest test input
};
const ElementwiseInfo& info(UnaryOp op);
const ElementwiseInfo& info(BinaryOp op);

/// y[i] = op(x[i]) for `count` contiguous elements, f32 or f64. y may be x.
struct UnaryForward {
  UnaryOp op;
  const void* x;
  void* y;
  std::int64_t count;
  DType dtype;
};
Status unary_forward(const UnaryForward&, const CpuContext&);
Status unary_forward(const UnaryForward&, const SimtContext&);
Status unary_forward(const UnaryForward&, const CudaContext&);

/// dx[i] = dy[i] * op'(x[i]), with y = op(x) from the forward pass.
struct UnaryBackward {
  UnaryOp op;
  const void* x;
  const void* y;
  const void* dy;
  void* dx;
  std::int64_t count;
  DType dtype;
};
Status unary_backward(const UnaryBackward&, const CpuContext&);
Status unary_backward(const UnaryBackward&, const SimtContext&);
Status unary_backward(const UnaryBackward&, const CudaContext&);

/// y = op(a, b) over `rank` extents; y is contiguous, a and b have element strides, 0 where they
/// are broadcast. f32 or f64. y may be a or b where that one is not broadcast.
struct BinaryForward {
  BinaryOp op;
  const void* a;
  const void* b;
  void* y;
  int rank;
  std::int64_t extents[kMaxRank];
  std::int64_t a_strides[kMaxRank];
  std::int64_t b_strides[kMaxRank];
  DType dtype;
};
Status binary_forward(const BinaryForward&, const CpuContext&);
Status binary_forward(const BinaryForward&, const SimtContext&);
Status binary_forward(const BinaryForward&, const CudaContext&);

/// da = dy * op_a(a, b) and db = dy * op_b(a, b), both contiguous over the full extents (the
/// caller sums over broadcast dimensions); a null da or db is skipped. dy is contiguous.
struct BinaryBackward {
  BinaryOp op;
  const void* a;
  const void* b;
  const void* dy;
  void* da;
  void* db;
  int rank;
  std::int64_t extents[kMaxRank];
  std::int64_t a_strides[kMaxRank];
  std::int64_t b_strides[kMaxRank];
  DType dtype;
};
Status binary_backward(const BinaryBackward&, const CpuContext&);
Status binary_backward(const BinaryBackward&, const SimtContext&);
Status binary_backward(const BinaryBackward&, const CudaContext&);

/// y[i] = scale * x[i] + shift for contiguous x, f32 or f64. y may be x.
struct Affine {
  const void* x;
  void* y;
  std::int64_t count;
  double scale;
  double shift;
  DType dtype;
};
Status affine(const Affine&, const CpuContext&);
Status affine(const Affine&, const SimtContext&);
Status affine(const Affine&, const CudaContext&);

/// y = x with element strides on both sides and conversion between any two dtypes. Floats round to
/// nearest even on the way to bf16 and f16, and are cut towards zero on the way to integers.
struct Copy {
  const void* x;
  void* y;
  int rank;
  std::int64_t extents[kMaxRank];
  std::int64_t x_strides[kMaxRank];
  std::int64_t y_strides[kMaxRank];
  DType x_dtype;
  DType y_dtype;
};
Status copy(const Copy&, const CpuContext&);
Status copy(const Copy&, const SimtContext&);
Status copy(const Copy&, const CudaContext&);

/// y[i] = value for `count` contiguous elements of any dtype.
struct Fill {
  void* y;
  std::int64_t count;
  double value;
  DType dtype;
};
Status fill(const Fill&, const CpuContext&);
Status fill(const Fill&, const SimtContext&);
Status fill(const Fill&, const CudaContext&);

}  // namespace basin::kernels
