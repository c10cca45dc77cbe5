#include "tests/simt/matrix_kernels.h"

#include "kernels/common/launch.h"
#include "kernels/common/ptx_matrix.cuh"

namespace basin::kernels {

namespace {

template <int Count, bool Transposed>
BASIN_KERNEL void load_kernel(LoadProbe p) {
  std::uint16_t* const tile = dynamic_shared<std::uint16_t>();
  for (unsigned i = threadIdx.x; i < Count * 64; i += kWarpSize) {
    tile[i] = p.matrices[i];
  }
  __syncwarp();
  std::uint32_t got[Count];
  // Lanes that have no row pass one that exists.
  load_matrices<Transposed>(got, tile + threadIdx.x % (8 * Count) * 8);
  for (int m = 0; m < Count; ++m) {
    p.registers[threadIdx.x * Count + static_cast<unsigned>(m)] = got[m];
  }
}

BASIN_DEVICE inline void read_c(const float* c, float (&d)[4]) {
  for (int i = 0; i < 4; ++i) {
    const MatrixPlace at = M16N8K16::c(static_cast<int>(threadIdx.x), i);
    d[i] = c[at.row * 8 + at.column];
  }
}

BASIN_DEVICE inline void write_c(float* c, const float (&d)[4]) {
  for (int i = 0; i < 4; ++i) {
    const MatrixPlace at = M16N8K16::c(static_cast<int>(threadIdx.x), i);
    c[at.row * 8 + at.column] = d[i];
  }
}

// A as rows of 16, of which a quarter is a matrix of ldmatrix; B as rows of 8.
template <class T>
BASIN_KERNEL void product_kernel(ProductProbe p) {
  std::uint16_t* const storage = dynamic_shared<std::uint16_t>();
  std::uint16_t* const a = storage;
  std::uint16_t* const b = storage + 16 * 16;
  for (unsigned i = threadIdx.x; i < 16 * 16; i += kWarpSize) {
    a[i] = static_cast<const std::uint16_t*>(p.a)[i];
  }
  for (unsigned i = threadIdx.x; i < 16 * 8; i += kWarpSize) {
    b[i] = static_cast<const std::uint16_t*>(p.b)[i];
  }
  __syncwarp();
  const unsigned lane = threadIdx.x;
  std::uint32_t of_a[4];
  load_matrices(of_a, a + lane % 16 * 16 + lane / 16 * 8);
  std::uint32_t of_b[2];
  load_matrices<true>(of_b, b + lane % 16 * 8);
  float d[4];
  read_c(p.c, d);
  multiply_16x8x16<T>(d, of_a, of_b);
  write_c(p.c, d);
}

BASIN_KERNEL void tf32_product_kernel(ProductProbe p) {
  const auto lane = static_cast<int>(threadIdx.x);
  std::uint32_t a[4];
  for (int i = 0; i < 4; ++i) {
    const MatrixPlace at = M16N8K8::a(lane, i);
    a[i] = static_cast<const std::uint32_t*>(p.a)[at.row * 8 + at.column];
  }
  std::uint32_t b[2];
  for (int i = 0; i < 2; ++i) {
    const MatrixPlace at = M16N8K8::b(lane, i);
    b[i] = static_cast<const std::uint32_t*>(p.b)[at.row * 8 + at.column];
  }
  float d[4];
  read_c(p.c, d);
  multiply_16x8x8_tf32(d, a, b);
  write_c(p.c, d);
}

BASIN_KERNEL void tf32_kernel(Tf32Probe p) {
  for (int i = static_cast<int>(threadIdx.x); i < p.count; i += kWarpSize) {
    p.y[i] = to_tf32(p.x[i]);
  }
}

LaunchShape one_warp(const char* name, std::size_t shared_bytes) {
  return {name, {1, 1, 1}, {kWarpSize, 1, 1}, shared_bytes};
}

template <int Count>
Status load(const LoadProbe& p, const DeviceContext& context) {
  const LaunchShape shape = one_warp("ldmatrix", Count * 128);
  return p.transposed ? launch(shape, context, load_kernel<Count, true>, p)
                      : launch(shape, context, load_kernel<Count, false>, p);
}

}  // namespace

Status probe_load(const LoadProbe& p, const DeviceContext& context) {
  switch (p.count) {
    case 1: return load<1>(p, context);
    case 2: return load<2>(p, context);
    default: return load<4>(p, context);
  }
}

Status probe_product(const ProductProbe& p, const DeviceContext& context) {
  const LaunchShape shape = one_warp("mma", (16 + 8) * 16 * sizeof(std::uint16_t));
  switch (p.kind) {
    case Product::bf16: return launch(shape, context, product_kernel<BFloat16>, p);
    case Product::f16: return launch(shape, context, product_kernel<Float16>, p);
    default: return launch(shape, context, tf32_product_kernel, p);
  }
}

Status probe_tf32(const Tf32Probe& p, const DeviceContext& context) {
  return launch(one_warp("tf32", 0), context, tf32_kernel, p);
}

}  // namespace basin::kernels
