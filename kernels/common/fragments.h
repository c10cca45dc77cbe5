// Which lane of a warp holds which element of the matrices of `mma.sync`, as the PTX manual lays
// them out (ISA 8.x, "Matrix Fragments for mma"). One product is D = A B + C with A (M x K), B (K x
// N) and C, D (M x N); each lane holds a few elements of each, numbered i = 0, 1, ... Elements of
// 16 bits lie two in a register, the even one in its lower half: element i is half i % 2 of
// register i / 2. Elements of 32 bits have a register each.
#pragma once

#include "kernels/common/qualifiers.h"

namespace basin::kernels {

struct MatrixPlace {
  int row;
  int column;
  friend constexpr bool operator==(const MatrixPlace&, const MatrixPlace&) = default;
};

/// mma.m16n8k16 of bf16 or f16: 8 elements of A, 4 of B and 4 of C a lane.
struct M16N8K16 {
  static constexpr int kM = 16, kN = 8, kK = 16;
  static constexpr int kElementsOfA = 8, kElementsOfB = 4, kElementsOfC = 4;

  BASIN_HOST_DEVICE static constexpr MatrixPlace a(int lane, int i) {
    return {lane / 4 + 8 * (i / 2 % 2), 2 * (lane % 4) + i % 2 + 8 * (i / 4)};
  }
  BASIN_HOST_DEVICE static constexpr MatrixPlace b(int lane, int i) {
    return {2 * (lane % 4) + i % 2 + 8 * (i / 2), lane / 4};
  }
  BASIN_HOST_DEVICE static constexpr MatrixPlace c(int lane, int i) {
    return {lane / 4 + 8 * (i / 2), 2 * (lane % 4) + i % 2};
  }
};

/// mma.m16n8k8 of tf32: 4 elements of A, 2 of B and 4 of C a lane.
struct M16N8K8 {
  static constexpr int kM = 16, kN = 8, kK = 8;
  static constexpr int kElementsOfA = 4, kElementsOfB = 2, kElementsOfC = 4;

  BASIN_HOST_DEVICE static constexpr MatrixPlace a(int lane, int i) {
    return {lane / 4 + 8 * (i % 2), lane % 4 + 4 * (i / 2)};
  }
  BASIN_HOST_DEVICE static constexpr MatrixPlace b(int lane, int i) {
    return {lane % 4 + 4 * i, lane / 4};
  }
  BASIN_HOST_DEVICE static constexpr MatrixPlace c(int lane, int i) { return M16N8K16::c(lane, i); }
};

/// ldmatrix: half h (0 or 1) of the register that a lane gets of one 8 x 8 matrix of 16-bit
/// elements. Four matrices that are the quarters of A (top left, bottom left, top right, bottom
/// right) make the A of M16N8K16; B comes from its two halves (k < 8, k >= 8) with `.trans` if its
/// rows are stored, and without if its columns are.
BASIN_HOST_DEVICE constexpr MatrixPlace ldmatrix_place(int lane, int h) {
  return {lane / 4, 2 * (lane % 4) + h};
}
BASIN_HOST_DEVICE constexpr MatrixPlace ldmatrix_place_transposed(int lane, int h) {
  return {2 * (lane % 4) + h, lane / 4};
}

}  // namespace basin::kernels
