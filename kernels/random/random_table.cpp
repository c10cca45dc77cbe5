#include <cmath>
#include <numbers>

#include "kernels/common/philox.h"
#include "kernels/random/random.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::random_table {

namespace {

using Role = CaseBuffer::Role;
constexpr std::uint64_t kKey = 0xD1B54A32D192ED03u;
constexpr std::uint64_t kStream = 7;
// Odd, so the last block gives one element; more than one chunk.
constexpr std::int64_t kCount = 20011;

// A 52-bit number in (0, 1) from a high and a low word.
double fraction(std::uint32_t high, std::uint32_t low) {
  return (high * 1048576.0 + std::floor(low / 4096.0) + 0.5) / 4503599627370496.0;
}

KernelCase random_case(const char* name, Distribution distribution, double a, double b,
                       std::int64_t count = kCount) {
  KernelCase result;
  result.name = name;
  result.buffers = {{"y", Role::output, {count}}};
  run_on_all_devices(result, [=](void* const* d, DType dtype, const auto& context) {
    return random_fill({d[0], count, distribution, a, b, kKey, kStream, dtype}, context);
  });
  // Element by element: the block of its pair, then the half that belongs to it.
  result.reference = [=](void* const* d) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto w = philox(kKey, static_cast<std::uint64_t>(i / 2), kStream);
      const double u = fraction(w[0], w[1]);
      const double v = fraction(w[2], w[3]);
      double& y = doubles(d[0])[i];
      if (distribution == Distribution::uniform) {
        y = a + (b - a) * (i % 2 == 0 ? u : v);
      } else {
        const double radius = std::sqrt(-2 * std::log(u));
        const double angle = 2 * std::numbers::pi * v;
        y = a + b * radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
      }
    }
  };
  const auto n = static_cast<double>(count);
  result.cost = {4 * n, n, distribution == Distribution::normal ? 1.5 * n : 0};
  return result;
}

// Computed in double, rounded once to f32.
const RegisterKernel entry(
    {"random_fill",
     "uniform or normal numbers by element index",
     {{1, "pairs", "one Philox block for two elements, Box-Muller in double"}},
     [](const CpuContext&) {
       return std::vector{random_case("uniform", Distribution::uniform, -2, 5),
                          random_case("normal", Distribution::normal, 1, 3)};
     },
     1e-7,
     1e-14});

const RegisterSizes sizes("random_fill",
                          {{"n", 1 << 24, "numbers"},
                           choice("distribution", "of the numbers", {"uniform", "normal"})},
                          [](const Sizes& s, const CpuContext&) {
                            const bool uniform = s.at("distribution") == 0;
                            return random_case(
                                "", uniform ? Distribution::uniform : Distribution::normal, 0, 1,
                                s.at("n"));
                          });

}  // namespace

}  // namespace basin::kernels::random_table
