// Random numbers and masks of CUDA's side are those of the CPU, bit for bit.
#include "kernels/dropout/dropout.h"
#include "kernels/random/random.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

template <class T>
void expect_equal_fill(Distribution distribution, double a, double b) {
  const TestContext cpu;
  for (const std::int64_t count : {std::int64_t{1}, std::int64_t{2}, std::int64_t{5001}}) {
    // Also where two numbers cannot be stored at once.
    for (std::size_t first = 0; first < 2; ++first) {
      std::vector<T> expected(static_cast<std::size_t>(count) + 2, T(7));
      std::vector<T> found = expected;
      const auto problem = [&](std::vector<T>& y) {
        return RandomFill{y.data() + first, count, distribution, a, b, 11, 13, dtype_of<T>};
      };
      ASSERT_TRUE(random_fill(problem(expected), cpu.get()).ok());
      SimtContext context;
      context.schedule = Schedule::random;
      ASSERT_TRUE(random_fill(problem(found), context).ok());
      EXPECT_TRUE(same_bits(found, expected)) << count << " from " << first;
    }
  }
}

TEST(RandomOnSimt, HasTheNumbersOfTheCpu) {
  expect_equal_fill<float>(Distribution::uniform, -2, 5);
  expect_equal_fill<double>(Distribution::uniform, -2, 5);
  expect_equal_fill<float>(Distribution::normal, 1, 3);
  expect_equal_fill<double>(Distribution::normal, 1, 3);
  // So narrow that many numbers round to the end of the interval, which does not belong to it.
  expect_equal_fill<float>(Distribution::uniform, 1, 1 + 0x1p-22);
}

TEST(DropoutOnSimt, HasTheMaskOfTheCpuAtAnyElementAndInPlace) {
  const TestContext cpu;
  for (std::int64_t count = 1; count < 12; ++count) {
    for (std::size_t first = 0; first < 3; ++first) {
      const auto x = uniform_numbers<float>(20, 3);
      std::vector<float> expected(20, 9);
      std::vector<float> found = x;
      const double p = 0.4;
      ASSERT_TRUE(dropout({x.data() + first, expected.data() + first, count, p, 5, 6, DType::f32},
                          cpu.get())
                      .ok());
      ASSERT_TRUE(dropout({found.data() + first, found.data() + first, count, p, 5, 6, DType::f32},
                          SimtContext{})
                      .ok());
      for (std::size_t i = 0; i < 20; ++i) {
        const bool inside = i >= first && i < first + static_cast<std::size_t>(count);
        EXPECT_EQ(found[i], inside ? expected[i] : x[i]) << count << " " << first << " " << i;
      }
    }
  }
  float y = 1;
  EXPECT_EQ(dropout({&y, &y, 1, 1.0, 5, 6, DType::f32}, SimtContext{}).code,
            Status::Code::invalid_argument);
}

}  // namespace
}  // namespace basin::kernels
