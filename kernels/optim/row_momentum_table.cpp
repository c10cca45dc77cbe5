#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/optim/row_momentum.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::row_momentum_table {

namespace {

using Role = CaseBuffer::Role;
constexpr double kLearningRate = 4e-2;
constexpr double kMomentum = 0.6;

KernelCase row_momentum_case(const char* name, std::int64_t rows, std::int64_t columns,
                             double bound, double gradient_scale) {
  KernelCase result;
  result.name = name;
  result.buffers = {{"parameter", Role::in_out, {rows, columns}},
                    {"gradient", Role::input, {rows, columns}, -2, 2},
                    {"u", Role::in_out, {rows, columns}, -0.5, 0.5},
                    {"scale", Role::input, {1}, 0.5, 0.5}};
  result.buffers[3].always_double = true;
  // Half of the scale is read from memory.
  result.run = [=](void* const* d, DType dtype, int, const CpuContext& context) {
    return row_momentum({d[0], d[1], d[2], rows, columns, kLearningRate, kMomentum, bound,
                         2 * gradient_scale, dtype, doubles(d[3])},
                        context);
  };
  result.reference = [=](void* const* d) {
    for (std::int64_t r = 0; r < rows; ++r) {
      double largest = 0;
      for (std::int64_t i = r * columns; i < (r + 1) * columns; ++i) {
        doubles(d[2])[i] = kMomentum * doubles(d[2])[i] + gradient_scale * doubles(d[1])[i];
        largest = std::max(largest, std::abs(doubles(d[2])[i]));
      }
      for (std::int64_t i = r * columns; i < (r + 1) * columns; ++i) {
        double& parameter = doubles(d[0])[i];
        parameter -= kLearningRate * doubles(d[2])[i] / largest;
        parameter = std::min(std::max(parameter, -bound), bound);
      }
    }
  };
  const auto n = static_cast<double>(rows * columns);
  result.cost = {6 * n, 5 * n, 0};
  return result;
}

// f32: a handful of roundings of numbers below 3.
const RegisterKernel entry(
    {"row_momentum",
     "momentum scaled so that the largest change in each row is the learning rate",
     {{1, "loop", "two passes over a row"}},
     [](const CpuContext&) {
       constexpr double kNone = std::numeric_limits<double>::infinity();
       return std::vector{row_momentum_case("one", 1, 1, kNone, 1),
                          row_momentum_case("plain", 7, 33, kNone, 1),
                          row_momentum_case("clipped", 5, 100, 0.5, 1),
                          row_momentum_case("small gradients", 3, 30, 1.0, 0.03125),
                          row_momentum_case("many rows", 100, 794, 1.0, 1)};
     },
     4e-7,
     2e-15});

const RegisterSizes sizes("row_momentum",
                          {{"rows", 1024, "rows"}, kept_size("columns", 794, "numbers in a row")},
                          [](const Sizes& s, const CpuContext&) {
                            return row_momentum_case("", s.at("rows"), s.at("columns"), 1.0, 1);
                          });

}  // namespace

}  // namespace basin::kernels::row_momentum_table
