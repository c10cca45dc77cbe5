#include <algorithm>

#include "kernels/reduce/reduce.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::reduce_table {

namespace {

using Role = CaseBuffer::Role;

struct Shape {
  std::int64_t outer, extent, inner;
};
// One element, a last axis, a first axis wider than one block of columns, two middle axes, two axes
// longer than one piece, of which one can be read in packs.
constexpr Shape kShapes[] = {{1, 1, 1},   {513, 67, 1},  {1, 131, 777}, {5, 33, 19},
                             {2, 600, 5}, {3, 20011, 1}, {3, 8192, 1}};

KernelCase reduce_case(ReduceOp op, Shape s) {
  KernelCase result;
  result.name = extents_name({s.outer, s.extent, s.inner});
  result.buffers = {{"x", Role::input, {s.outer, s.extent, s.inner}, -2, 2},
                    {"y", Role::output, {s.outer, s.inner}},
                    workspace_bytes("workspace", reduce_workspace({op, nullptr, nullptr, s.outer,
                                                                   s.extent, s.inner, DType::f32},
                                                                  SimtContext{}))};
  result.buffers[1].integer = op == ReduceOp::argmax;
  run_on_all_devices(result, [op, s](void* const* d, DType dtype, const auto& context) {
    return reduce({op, d[0], d[1], s.outer, s.extent, s.inner, dtype, d[2]}, context);
  });
  result.reference = [op, s](void* const* d) {
    for (std::int64_t o = 0; o < s.outer; ++o) {
      for (std::int64_t i = 0; i < s.inner; ++i) {
        const auto x = [&](std::int64_t e) {
          return doubles(d[0])[(o * s.extent + e) * s.inner + i];
        };
        double sum = 0;
        std::int64_t best = 0;
        for (std::int64_t e = 0; e < s.extent; ++e) {
          sum += x(e);
          best = x(e) > x(best) ? e : best;
        }
        const std::int64_t at = o * s.inner + i;
        switch (op) {
          case ReduceOp::sum: doubles(d[1])[at] = sum; break;
          case ReduceOp::max: doubles(d[1])[at] = x(best); break;
          case ReduceOp::argmax: integers(d[1])[at] = best; break;
        }
      }
    }
  };
  const auto n = static_cast<double>(s.outer * s.extent * s.inner);
  result.cost = {n, n + static_cast<double>(s.outer * s.inner), 0};
  return result;
}

KernelCase sum_of_squares_case(std::int64_t count) {
  KernelCase result;
  result.name = std::to_string(count);
  result.buffers = {{"x", Role::input, {count}, -2, 2},
                    {"result", Role::output, {1}},
                    {"partials", Role::workspace, {sum_of_squares_partials(count)}}};
  result.buffers[1].always_double = true;
  result.buffers[2].always_double = true;
  run_on_all_devices(result, [count](void* const* d, DType dtype, const auto& context) {
    return sum_of_squares(SumOfSquares{d[0], doubles(d[1]), doubles(d[2]), count, dtype}, context);
  });
  result.reference = [count](void* const* d) {
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      sum += doubles(d[0])[i] * doubles(d[0])[i];
    }
    doubles(d[1])[0] = sum;
  };
  result.cost = {2 * static_cast<double>(count), static_cast<double>(count), 0};
  return result;
}

template <ReduceOp op>
std::vector<KernelCase> cases(const CpuContext&) {
  std::vector<KernelCase> all;
  for (const Shape s : kShapes) {
    all.push_back(reduce_case(op, s));
  }
  return all;
}

// Accumulated in double: f32 rounds once, when the result is stored; f64 differs from the reference
// in the order of 20011 additions.
const RegisterKernel sum_entry({"reduce_sum",
                                "sum along one axis, accumulated in double",
                                {{1, "pieces", "rows, or blocks of 256 columns, in fixed pieces"}},
                                cases<ReduceOp::sum>,
                                1e-7,
                                1e-13});

// A maximum is one of its inputs.
const RegisterKernel max_entry({"reduce_max",
                                "maximum along one axis",
                                {{1, "columns", "one column at a time"}},
                                cases<ReduceOp::max>,
                                0.0,
                                0.0});

const RegisterKernel argmax_entry({"reduce_argmax",
                                   "index of the first maximum along one axis",
                                   {{1, "columns", "one column at a time"}},
                                   cases<ReduceOp::argmax>,
                                   0.0,
                                   0.0});

// The result is a double for both dtypes; only the order of additions differs.
const RegisterKernel squares_entry({"sum_of_squares",
                                    "sum of x^2 in double, for the norm of a gradient",
                                    {{1, "pieces", "fixed pieces, added in order"}},
                                    [](const CpuContext&) {
                                      return std::vector{sum_of_squares_case(1),
                                                         sum_of_squares_case(16384),
                                                         sum_of_squares_case(50021)};
                                    },
                                    2e-13,
                                    2e-13});

const std::vector<SizeParameter> kSizes = {
    {"outer", 8192, "extents in front of the axis"},
    kept_size("extent", 1024, "the axis"),
    kept_size("inner", 1, "extents behind the axis; 1: the last one is reduced")};

template <ReduceOp op>
KernelCase sized(const Sizes& s, const CpuContext&) {
  return reduce_case(op, {s.at("outer"), s.at("extent"), s.at("inner")});
}

const RegisterSizes sum_sizes("reduce_sum", kSizes, sized<ReduceOp::sum>);
const RegisterSizes max_sizes("reduce_max", kSizes, sized<ReduceOp::max>);
const RegisterSizes argmax_sizes("reduce_argmax", kSizes, sized<ReduceOp::argmax>);
const RegisterSizes squares_sizes("sum_of_squares", {{"n", 1 << 24, "elements"}},
                                  [](const Sizes& s, const CpuContext&) {
                                    return sum_of_squares_case(s.at("n"));
                                  });

}  // namespace

}  // namespace basin::kernels::reduce_table
