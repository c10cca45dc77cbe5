// The one sum behind linear attention and its three gradients, on a GPU:
//
//     y_r = sum over the columns c that row r sees of (a_r . b_c + alpha_r gamma_c) w_c
//
//     pass        rows     columns  a              b              w              y
//     forward     queries  keys     phi(q)         phi(k)         v              out n
//     dq          queries  keys     dout / n, c_i  v, 1           phi(k)         dphi(q)
//     dk          keys     queries  v, 1           dout / n, c_i  phi(q)         dphi(k)
//     dv          keys     queries  phi(k)         phi(q)         dout / n       dv
//
// (behind the comma: alpha and gamma). Without causality a row sees all columns: their state
// S = sum of b_c w_c^T is a small matrix, and y_r = a_r S. With it, queries and keys stand on one
// line, query i at i + M - L and key j at j, which is cut into tiles and segments of tiles. A first
// kernel sums up the state of every segment, a second one adds up those in front of it (behind it,
// where rows are keys), and a third one walks through a segment with the state at hand: a tile of
// rows gets its share of the columns before from the state and of its own tile pair by pair. So the
// time grows linearly and each sum has one order. Columns of w are cut into slices, which other
// blocks do.
//
// This file has what a pass is, and the second kernel; linear_scan.cuh has the other two for f32
// and f64, tensor_linear_scan.cuh and tensor_linear_rows.cuh have them for bf16 on tensor cores.
#pragma once

#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/common/device.h"

namespace basin::kernels {

namespace {

/// What becomes of a number that is read: x, phi(x) = elu(x) + 1, x / n or phi(x) / n of its query.
enum class Take : std::uint8_t { as_it_is, features, divided, features_divided };

/// One pass. All pointers lie on the device.
struct LinearPass {
  HeadView a, b, w, y;
  Take take_a, take_b, take_w;
  HeadView x{};                 ///< y is multiplied by phi'(x), unless it is null
  const void* alpha = nullptr;  ///< (B,H,L), where rows are queries
  const void* gamma = nullptr;  ///< (B,H,L), where columns are; a missing partner of the other is 1
  const void* n = nullptr;      ///< (B,H,L), for what is divided by it
  void* written_n = nullptr;    ///< of the forward pass, which divides y by it
  const void* row_n = nullptr;  ///< (B,H,L), divides y where rows are queries
  const std::int64_t* key_lengths;
  std::int64_t B, H, L, M;
  std::int64_t inner, width;  ///< numbers in a row of a and b, of w and y
  bool rows_are_keys, causal;
  double eps;

  BASIN_HOST_DEVICE bool extended() const { return alpha != nullptr || gamma != nullptr; }
  BASIN_HOST_DEVICE std::int64_t rows() const { return rows_are_keys ? M : L; }
  BASIN_HOST_DEVICE std::int64_t columns() const { return rows_are_keys ? L : M; }
};

/// How the line is cut. With causality rows and columns share it; else it is that of the columns.
struct LinearCut {
  std::int64_t start;     ///< position of the first tile; negative where queries stand before key 0
  std::int64_t segments;  ///< of the line
  std::int64_t tiles;     ///< of a segment
  std::int64_t slices;    ///< of w
  std::int64_t row_segments;  ///< blocks of a slice in the third kernel
};

/// Where a batch item's rows and columns begin and end on the line, for one head.
struct LinearHead {
  std::int64_t b, h, at;                         ///< at: number of the head
  std::int64_t row_shift = 0, column_shift = 0;  ///< position = index + shift
  std::int64_t row_end, column_end;              ///< rows that see something, and columns, end here

  BASIN_DEVICE LinearHead(const LinearPass& p, std::int64_t head)
      : b(head / p.H), h(head % p.H), at(head) {
    std::int64_t length = p.M;
    if (p.key_lengths != nullptr) {
      length = p.key_lengths[b];
      length = length < 0 ? 0 : (length < p.M ? length : p.M);
    }
    const std::int64_t shift = p.causal ? p.M - p.L : 0;
    row_shift = p.rows_are_keys ? 0 : shift;
    column_shift = p.rows_are_keys ? shift : 0;
    const std::int64_t seen = p.L > 0 ? length : 0;
    row_end = p.rows_are_keys ? seen : (length > 0 ? p.L : 0);
    column_end = p.rows_are_keys ? p.L : length;
  }
  /// Whether a row sees a column at all; one in front of all keys does not.
  BASIN_DEVICE bool sees(std::int64_t row) const { return row < row_end && row + row_shift >= 0; }
};

/// Second kernel: a thread for a number of the states of a slice. Replaces the states of segments
/// by the sum of those in front, or behind if `reversed`; the last of the segments + 1 is that of
/// all.
template <class T>
BASIN_KERNEL void linear_prefix_kernel(T* states, std::int64_t segments, std::int64_t size,
                                       std::int64_t parts, bool reversed) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= parts * size) {
    return;
  }
  T* const numbers = states + at / size * (segments + 1) * size + at % size;
  T sum = 0;
  for (std::int64_t step = 0; step < segments; ++step) {
    T& number = numbers[(reversed ? segments - 1 - step : step) * size];
    const T own = number;
    number = sum;
    sum += own;
  }
  numbers[segments * size] = sum;
}

}  // namespace

}  // namespace basin::kernels
