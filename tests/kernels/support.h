// What the kernel tests share: a context with its pool, and reproducible numbers.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/common/philox.h"
#include "kernels/common/thread_pool.h"

namespace basin::kernels {

/// A pool and the context that runs on it.
class TestContext {
 public:
  explicit TestContext(int threads = 2) : pool_(threads), context_{&pool_} {}
  operator const CpuContext&() const { return context_; }  // NOLINT(google-explicit-constructor)
  const CpuContext& get() const { return context_; }

 private:
  ThreadPool pool_;
  CpuContext context_;
};

/// `count` numbers in [low, high), the same for the same seed.
template <class T>
std::vector<T> uniform_numbers(std::int64_t count, std::uint64_t seed, double low = -1,
                               double high = 1) {
  std::vector<T> numbers(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const double u = static_cast<double>(philox_word(seed, 0, i)) * 0x1p-32;
    numbers[i] = static_cast<T>(low + (high - low) * u);
  }
  return numbers;
}

/// `count` whole numbers in low ... high.
template <class T>
std::vector<T> whole_numbers(std::int64_t count, std::uint64_t seed, int low, int high) {
  std::vector<T> numbers(static_cast<std::size_t>(count));
  const auto choices = static_cast<std::uint32_t>(high - low + 1);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto choice = static_cast<int>(philox_word(seed, 1, i) % choices);
    numbers[i] = static_cast<T>(low + choice);
  }
  return numbers;
}

/// Equal bits, so that NaN equals itself and 0 differs from -0.
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

}  // namespace basin::kernels
