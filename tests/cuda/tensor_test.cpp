// Tensors in the memory of a GPU: transfers of any size, views, conversions, the allocator, and
// what happens when there is no more memory.
#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "tensor/functions/elementwise.h"
#include "tensor/functions/reduce.h"
#include "tests/cuda/gpu.h"
#include "tests/support/expect_error.h"
#include "tests/support/small_models.h"

namespace basin {
namespace {

using test::random_tensor;
using test::refuses;

class TensorOnGpu : public test::OnGpu {};

TEST_F(TensorOnGpu, ComesBackAsItWas) {
  // Around the size of a piece of pinned memory, 4 MiB.
  for (const std::int64_t count : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1} << 20,
                                   (std::int64_t{1} << 20) + 1, std::int64_t{5} << 20}) {
    std::vector<float> values(static_cast<std::size_t>(count));
    std::iota(values.begin(), values.end(), 0.5f);
    const Tensor here = Tensor::from<float>({count}, values);
    const Tensor there = here.to(Device::cuda);
    EXPECT_EQ(there.device(), Device::cuda);
    EXPECT_EQ(there.to_vector<float>(), values) << count;
  }
}

TEST_F(TensorOnGpu, UploadsMayBeFollowedByAChangeOfTheSource) {
  for (int round = 0; round < 20; ++round) {
    Tensor here = Tensor::full({3 << 20}, round, DType::f32);
    const Tensor there = here.to(Device::cuda);
    here.fill(-1);
    EXPECT_EQ(there.slice(0, 0, 1).item(), round);
    EXPECT_EQ(max(there, 0).item(), round);
  }
}

TEST_F(TensorOnGpu, ViewsAndConversionsAgreeWithTheCpu) {
  const Tensor here = random_tensor({7, 5, 3}, 1, DType::f32);
  const Tensor there = here.to(Device::cuda);
  EXPECT_EQ(there.permute({2, 0, 1}).slice(1, 2, 6).to_vector<double>(),
            here.permute({2, 0, 1}).slice(1, 2, 6).to_vector<double>());
  for (const DType dtype : {DType::bf16, DType::f16, DType::f64, DType::i32, DType::i64}) {
    EXPECT_EQ(there.to(dtype).to(DType::f64).to_vector<double>(),
              here.to(dtype).to(DType::f64).to_vector<double>())
        << name_of(dtype);
  }
}

TEST_F(TensorOnGpu, CannotBeReadHereOrMixedWithTensorsOfTheCpu) {
  const Tensor there = Tensor::zeros({2}, DType::f32, Device::cuda);
  EXPECT_TRUE(refuses<Error>([&] { (void)there.data<float>(); }, {"(2) f32 on cuda", "to(Device"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)add(there, Tensor::zeros({2}, DType::f32)); },
                             {"different devices", "cuda", "cpu"}));
}

TEST_F(TensorOnGpu, SaysWhatIsMissingWhenMemoryRunsOut) {
  const std::int64_t far_too_much = std::int64_t{1} << 42;
  EXPECT_TRUE(
      refuses<OutOfMemory>([&] { (void)Tensor::empty({far_too_much}, DType::u8, Device::cuda); },
                           {"out of GPU memory", "4398046511104 bytes requested"}));
  const Tensor after = Tensor::full({3}, 2, DType::f32, Device::cuda);
  EXPECT_EQ(sum(after).item(), 6);
}

TEST_F(TensorOnGpu, MemoryIsHandedOutAgain) {
  const std::shared_ptr<Allocator> allocator = allocator_of(Device::cuda);
  allocator->release_cache();
  const std::size_t active = allocator->stats().active;
  for (int n = 0; n < 100; ++n) {
    (void)Tensor::empty({1 << 20}, DType::f32, Device::cuda);
  }
  EXPECT_EQ(allocator->stats().active, active);
  EXPECT_LE(allocator->stats().cached, std::size_t{8} << 20);
  allocator->release_cache();
  EXPECT_EQ(allocator->stats().cached, 0u);
}

}  // namespace
}  // namespace basin
