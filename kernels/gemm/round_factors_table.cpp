#include <cmath>

#include "kernels/gemm/round_factors.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::round_factors_table {

namespace {

using Role = CaseBuffer::Role;

struct Shape {
  std::int64_t batch, rows, columns;
  std::int64_t gap = 0;  // behind each row of `to`
  double scale = 1;
};
// The last one rounds numbers that have fewer bits the smaller they are.
constexpr Shape kShapes[] = {{1, 1, 1}, {1, 3, 70}, {3, 5, 33, 2}, {1, 4, 300, 0, 0x1p-129}};

// The nearest number with `digits` significant bits and the exponents of f32, ties to even.
double nearest(double x, int digits) {
  if (x == 0) {
    return x;
  }
  int exponent = 0;
  std::frexp(x, &exponent);  // |x| in [2^(exponent - 1), 2^exponent)
  const int last = std::max(exponent - 1, -126) - (digits - 1);
  return std::ldexp(std::nearbyint(std::ldexp(x, -last)), last);
}

KernelCase make_case(const Shape& s, Precision precision) {
  KernelCase result;
  result.name = extents_name({s.batch, s.rows, s.columns}) + (s.gap > 0 ? "_gap" : "") +
                (s.scale < 1 ? "_tiny" : "") + precision_name(precision);
  const std::int64_t row = s.columns + s.gap;
  result.buffers = {{"from", Role::input, {s.batch, s.rows, s.columns}, -s.scale, s.scale},
                    {"to", s.gap > 0 ? Role::in_out : Role::output, {s.batch, s.rows, row}}};
  result.dtypes = {DType::f32};
  run_on_all_devices(result, [=](void* const* d, DType, const auto& context) {
    return round_factors({static_cast<const float*>(d[0]), d[1], s.batch, s.rows, s.columns,
                          s.columns, s.rows * s.columns, row, s.rows * row, precision},
                         context);
  });
  result.reference = [=](void* const* d) {
    for (std::int64_t r = 0; r < s.batch * s.rows; ++r) {
      for (std::int64_t c = 0; c < s.columns; ++c) {
        doubles(d[1])[r * row + c] =
            nearest(doubles(d[0])[r * s.columns + c], precision == Precision::f32    ? 24
                                                      : precision == Precision::tf32 ? 11
                                                                                     : 8);
      }
    }
  };
  result.cost = {
      0, 2 * static_cast<double>(std::max<std::int64_t>(1, s.batch * s.rows * s.columns)), 0};
  return result;
}

// Rounded once: no tolerance.
const RegisterKernel entry(
    {"round_factors",
     "factors of a product with the significant bits of tf32 or bf16",
     {{1, "rows", "a row at a time, in vectors"}},
     [](const CpuContext&) {
       std::vector<KernelCase> all;
       for (const Shape& s : kShapes) {
         for (const Precision precision : {Precision::f32, Precision::tf32, Precision::bf16}) {
           all.push_back(make_case(s, precision));
         }
       }
       return all;
     },
     0.0,
     0.0});

const RegisterSizes sizes("round_factors",
                          {{"rows", 1024, "rows"},
                           {"cols", 1024, "numbers in a row"},
                           choice("precision", "to which they are rounded", {"tf32", "bf16"})},
                          [](const Sizes& s, const CpuContext&) {
                            return make_case(
                                {1, s.at("rows"), s.at("cols")},
                                s.at("precision") == 0 ? Precision::tf32 : Precision::bf16);
                          });

}  // namespace

}  // namespace basin::kernels::round_factors_table
