// The caching allocator, and the allocators that find mistakes.
#include "tensor/allocator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "tensor/error.h"
#include "tensor/tensor.h"
#include "tests/support/allocators.h"
#include "tests/support/expect_error.h"

namespace basin {
namespace {

using test::refuses;

constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST(CachingAllocator, CountsActiveCachedAndPeak) {
  CachingAllocator allocator(Device::cpu);
  void* a = allocator.allocate(1000);
  const std::size_t one = allocator.stats().active;
  EXPECT_GE(one, 1000u);
  EXPECT_LE(one, 1512u) << "a small request wastes less than the step between sizes";
  void* b = allocator.allocate(1000);
  EXPECT_EQ(allocator.stats().active, 2 * one);
  EXPECT_EQ(allocator.stats().cached, 0u);
  allocator.release(a, 1000);
  EXPECT_EQ(allocator.stats().active, one);
  EXPECT_EQ(allocator.stats().cached, one);
  EXPECT_EQ(allocator.stats().peak, 2 * one);
  allocator.reset_peak();
  EXPECT_EQ(allocator.stats().peak, one);
  allocator.release(b, 1000);
  allocator.release_cache();
  EXPECT_EQ(allocator.stats().active, 0u);
  EXPECT_EQ(allocator.stats().cached, 0u);
}

TEST(CachingAllocator, HandsReleasedBlocksOutAgain) {
  CachingAllocator allocator(Device::cpu);
  void* first = allocator.allocate(3000);
  allocator.release(first, 3000);
  void* same = allocator.allocate(3001);  // of the same size class
  EXPECT_EQ(same, first);
  EXPECT_EQ(allocator.stats().cached, 0u);
  void* other = allocator.allocate(3000);
  EXPECT_NE(other, first);
  allocator.release(same, 3001);
  allocator.release(other, 3000);
}

TEST(CachingAllocator, AlignsEverySizeAndNeverAnswersNull) {
  CachingAllocator allocator(Device::cpu);
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{65},
                                  std::size_t{4097}, kMiB, kMiB + 1, 3 * kMiB + 7}) {
    void* block = allocator.allocate(bytes);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 64, 0u) << bytes;
    std::memset(block, 1, bytes);  // a sanitizer would see a block that is too small
    EXPECT_LE(allocator.stats().active, bytes + std::max<std::size_t>(512, bytes / 7)) << bytes;
    allocator.release(block, bytes);
    allocator.release_cache();
  }
}

TEST(CachingAllocator, KeepsItsLimitAndSaysWhatFillsIt) {
  CachingAllocator allocator(Device::cpu, 4 * kMiB);
  void* large = allocator.allocate(2 * kMiB);
  void* small = allocator.allocate(1000);
  EXPECT_TRUE(refuses<OutOfMemory>([&] { (void)allocator.allocate(3 * kMiB); },
                                   {"3145728 bytes requested", "in use by 2 tensors",
                                    "limit 4194304", "largest", "2097152, 1000", "smaller batch"}));
  // The refused request left no trace.
  void* fits = allocator.allocate(kMiB);
  allocator.release(large, 2 * kMiB);
  allocator.release(small, 1000);
  allocator.release(fits, kMiB);
  EXPECT_EQ(allocator.stats().active, 0u);
}

TEST(CachingAllocator, FreesItsCacheBeforeItGivesUp) {
  CachingAllocator allocator(Device::cpu, 4 * kMiB);
  void* block = allocator.allocate(3 * kMiB);
  allocator.release(block, 3 * kMiB);
  EXPECT_GE(allocator.stats().cached, 3 * kMiB);
  // Another size: the cached block is no use, and both together would pass the limit.
  block = allocator.allocate(2 * kMiB);
  EXPECT_NE(block, nullptr);
  EXPECT_EQ(allocator.stats().cached, 0u);
  allocator.release(block, 2 * kMiB);
}

TEST(CachingAllocator, RefusesSizesBeyondAddressing) {
  CachingAllocator allocator(Device::cpu);
  for (const std::size_t bytes : {SIZE_MAX, SIZE_MAX - 100, SIZE_MAX / 2}) {
    EXPECT_TRUE(refuses<OutOfMemory>([&] { (void)allocator.allocate(bytes); },
                                     {std::to_string(bytes) + " bytes requested", "limit none"}));
  }
  EXPECT_EQ(allocator.stats().active, 0u);
}

TEST(CachingAllocator, ServesSeveralThreads) {
  CachingAllocator allocator(Device::cpu);
  std::vector<std::thread> threads;
  std::vector<int> mistakes(4, 0);
  for (unsigned char id = 0; id < 4; ++id) {
    threads.emplace_back([&, id] {
      for (std::size_t n = 0; n < 500; ++n) {
        const std::size_t bytes = 100 + n % 7 * 300;
        auto* block = static_cast<unsigned char*>(allocator.allocate(bytes));
        std::memset(block, id, bytes);
        std::this_thread::yield();
        mistakes[id] += block[0] != id || block[bytes - 1] != id ? 1 : 0;
        allocator.release(block, bytes);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(mistakes, std::vector<int>(4, 0)) << "two threads had the same block";
  EXPECT_EQ(allocator.stats().active, 0u);
}

TEST(ScopedAllocator, IsUsedInsideAndGetsItsMemoryBackLater) {
  const auto inner = std::make_shared<test::NanFillingAllocator>();
  const std::shared_ptr<Allocator> outer = cpu_allocator();
  Tensor survivor;
  {
    const ScopedAllocator scope(inner);
    EXPECT_EQ(cpu_allocator(), inner);
    survivor = Tensor::zeros({100}, DType::f64);
    EXPECT_EQ(inner->stats().active, 800u);
  }
  EXPECT_EQ(cpu_allocator(), outer);
  EXPECT_EQ(inner->stats().active, 800u);
  survivor = Tensor();
  EXPECT_EQ(inner->stats().active, 0u);
  EXPECT_EQ(inner->damaged(), 0u);
}

TEST(TestAllocators, FillWithNanAndNoticeWritesBeyondTheEnd) {
  const auto allocator = std::make_shared<test::NanFillingAllocator>();
  const ScopedAllocator scope(allocator);
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    for (const double value : Tensor::empty({3}, dtype).to_vector<double>()) {
      EXPECT_TRUE(std::isnan(value)) << name_of(dtype);
    }
  }
  EXPECT_EQ(Tensor::empty({1}, DType::i64).item(), -1.0);
  EXPECT_EQ(allocator->damaged(), 0u);
  {
    Tensor x = Tensor::zeros({3}, DType::f32);
    static_cast<unsigned char*>(x.mutable_raw())[12] = 0;
  }
  EXPECT_EQ(allocator->damaged(), 1u);
  {
    Tensor x = Tensor::zeros({3}, DType::f32);
    *(static_cast<unsigned char*>(x.mutable_raw()) - 1) = 0;
  }
  EXPECT_EQ(allocator->damaged(), 2u);
}

TEST(TestAllocators, FailOnceAtTheWantedRequest) {
  const auto allocator = std::make_shared<test::FailingAllocator>(3);
  const ScopedAllocator scope(allocator);
  const auto request = [] { return Tensor::empty({4}, DType::u8); };
  const Tensor first = request();
  const Tensor second = request();
  EXPECT_TRUE(refuses<OutOfMemory>([&] { (void)request(); }, {"request 3 fails"}));
  const Tensor fourth = request();
  EXPECT_EQ(allocator->stats().active, 12u);
  EXPECT_EQ(allocator->requests(), 4u);
}

}  // namespace
}  // namespace basin
