// ldmatrix and mma on a GPU: the layouts and numbers that the executor takes for granted.
#include "kernels/cuda/runtime.h"
#include "tests/cuda/gpu.h"
#include "tests/simt/matrix_checks.h"

namespace basin::kernels {
namespace {

// The bytes of an array on the GPU.
class OnCard {
 public:
  OnCard(const void* data, std::size_t bytes) : bytes_(bytes) {
    Status status = cuda_allocate(&block_, bytes);
    if (status.ok()) {
      status = cuda_upload(block_, data, bytes, cuda_context());
    }
    EXPECT_TRUE(status.ok()) << status.message;
  }
  ~OnCard() { cuda_release(block_); }
  OnCard(const OnCard&) = delete;
  OnCard& operator=(const OnCard&) = delete;

  template <class T>
  T* as() const {
    return static_cast<T*>(block_);
  }
  Status copy_to(void* data) const { return cuda_download(data, block_, bytes_, cuda_context()); }

 private:
  std::size_t bytes_;
  void* block_ = nullptr;
};

Status then(const Status& status, const OnCard& from, void* to) {
  return status.ok() ? from.copy_to(to) : status;
}

Status load(const LoadProbe& p) {
  const auto count = static_cast<std::size_t>(p.count);
  const OnCard matrices(p.matrices, count * 128);
  const OnCard registers(p.registers, count * 128);
  return then(probe_load({matrices.as<std::uint16_t>(), registers.as<std::uint32_t>(), p.count,
                          p.transposed},
                         cuda_context()),
              registers, p.registers);
}

Status product(const ProductProbe& p) {
  const OnCard a(p.a, 512);  // the same bytes for 16 x 16 of 16 bits and 16 x 8 of 32
  const OnCard b(p.b, 256);
  const OnCard c(p.c, 512);
  return then(probe_product({a.as<void>(), b.as<void>(), c.as<float>(), p.kind}, cuda_context()), c,
              p.c);
}

Status tf32(const Tf32Probe& p) {
  const auto bytes = static_cast<std::size_t>(p.count) * sizeof(float);
  const OnCard x(p.x, bytes);
  const OnCard y(p.y, bytes);
  return then(probe_tf32({x.as<float>(), y.as<std::uint32_t>(), p.count}, cuda_context()), y, p.y);
}

class MatrixOnGpu : public test::OnGpu {
 protected:
  const MatrixRunner run_{load, product, tf32};
};

TEST_F(MatrixOnGpu, LdmatrixGivesEachLaneItsPair) { expect_pairs(run_); }
TEST_F(MatrixOnGpu, ProductsAreExactOnWholeNumbers) { expect_exact_products(run_); }
// Tensor cores cut sums off on the way: up to 17 terms below 0.5 lose a unit of the last place
// each.
TEST_F(MatrixOnGpu, ProductsAreNearTheirSums) { expect_products(run_, 17 * 1.2e-7); }
TEST_F(MatrixOnGpu, ProductsKeepNanAndInfinity) { expect_nan_and_infinity(run_); }
TEST_F(MatrixOnGpu, ProductsIgnoreTheLowerBitsOfTf32) { expect_lower_bits_ignored(run_); }
TEST_F(MatrixOnGpu, Tf32RoundsTiesAwayFromZero) { expect_tf32(run_); }

}  // namespace
}  // namespace basin::kernels
