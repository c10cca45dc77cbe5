#include <cmath>

#include "kernels/rotary/rotary.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::rotary_table {

namespace {

using Role = CaseBuffer::Role;
constexpr double kBase = 10000.0;

struct Problem {
  std::int64_t B, H, L, D;
  bool inverse;
};

constexpr Problem kProblems[] = {{1, 1, 1, 2, false}, {2, 3, 17, 6, false}, {2, 2, 33, 16, true}};

// In the layout of a projection, (B, L, H, D), which the kernel reads in place.
HeadView view(void* data, const Problem& s) { return {data, s.L * s.H * s.D, s.D, s.H * s.D}; }

KernelCase make_case(const Problem& s) {
  KernelCase result;
  result.name = extents_name({s.B, s.H, s.L, s.D}) + (s.inverse ? "_inverse" : "");
  result.buffers = {{"x", Role::input, {s.B, s.L, s.H, s.D}},
                    {"y", Role::output, {s.B, s.L, s.H, s.D}}};
  run_on_all_devices(result, [s](void* const* d, DType dtype, const auto& context) {
    return rotary({view(d[0], s), view(d[1], s), s.B, s.H, s.L, s.D, kBase, s.inverse, dtype},
                  context);
  });
  // The pair as a complex number times e^(i angle).
  result.reference = [s](void* const* d) {
    for (std::int64_t row = 0; row < s.B * s.L * s.H; ++row) {
      const std::int64_t t = row / s.H % s.L;
      for (std::int64_t c = 0; c < s.D; c += 2) {
        const double angle = static_cast<double>(t) *
                             std::pow(kBase, -static_cast<double>(c) / static_cast<double>(s.D)) *
                             (s.inverse ? -1.0 : 1.0);
        const double* x = doubles(d[0]) + row * s.D + c;
        double* y = doubles(d[1]) + row * s.D + c;
        y[0] = x[0] * std::cos(angle) - x[1] * std::sin(angle);
        y[1] = x[0] * std::sin(angle) + x[1] * std::cos(angle);
      }
    }
  };
  const auto n = static_cast<double>(s.B * s.L * s.H * s.D);
  result.cost = {3 * n, 2 * n, 0};
  return result;
}

// Angles are computed in double in every dtype; what is left is the rounding of two products.
const RegisterKernel rotary_entry({"rotary",
                                   "turns pairs of a row by angles that grow with its position",
                                   {{1, "by position", "sines shared by batch items and heads"}},
                                   [](const CpuContext&) {
                                     std::vector<KernelCase> all;
                                     for (const Problem& s : kProblems) {
                                       all.push_back(make_case(s));
                                     }
                                     return all;
                                   },
                                   1e-6,
                                   1e-13});

const RegisterSizes sizes(
    "rotary",
    {{"B", 4, "batch items"},
     {"H", 8, "heads"},
     {"L", 4096, "positions"},
     kept_size("D", 64, "width of a head, even", 2),
     choice("inverse", "turns back", {"0", "1"})},
    [](const Sizes& s, const CpuContext&) {
      return make_case({s.at("B"), s.at("H"), s.at("L"), s.at("D"), s.at("inverse") == 1});
    });

}  // namespace

}  // namespace basin::kernels::rotary_table
