#include <algorithm>
#include <cmath>

#include "kernels/gemm/linear_gelu.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::linear_gelu_table {

namespace {

using Role = CaseBuffer::Role;

struct Shape {
  std::int64_t rows, in, out;
  bool bias = true;
  Precision precision = Precision::f32;

  std::string name() const {
    return extents_name({rows, in, out}) + (bias ? "" : "_no_bias") + precision_name(precision);
  }
};
// The fourth sums over no inputs; the last two have several blocks of the product, the last several
// slices of its depth.
constexpr Shape kShapes[] = {{1, 1, 1}, {5, 19, 37},    {14, 7, 33, false},
                             {3, 0, 5}, {301, 33, 290}, {200, 530, 70}};
constexpr Shape kRoundedShapes[] = {{5, 19, 37, true, Precision::tf32},
                                    {5, 19, 37, true, Precision::bf16},
                                    {200, 530, 70, false, Precision::tf32},
                                    {200, 530, 70, false, Precision::bf16}};

double gelu_of(double z) { return z * 0.5 * std::erfc(-z / std::sqrt(2.0)); }

LinearGeluForward forward_of(const Shape& s, DType dtype, int variant) {
  LinearGeluForward p{};
  p.rows = s.rows;
  p.in = s.in;
  p.out = s.out;
  p.dtype = dtype;
  p.variant = variant;
  p.precision = s.precision;
  return p;
}

// The definition; x and W are multiplied as `factor` sees them.
template <class Factor>
void forward_definition(const Shape& s, void* const* d, Factor factor) {
  for (std::int64_t r = 0; r < s.rows; ++r) {
    for (std::int64_t n = 0; n < s.out; ++n) {
      double z = s.bias ? doubles(d[2])[n] : 0;
      for (std::int64_t k = 0; k < s.in; ++k) {
        z += factor(doubles(d[0])[r * s.in + k]) * factor(doubles(d[1])[n * s.in + k]);
      }
      doubles(d[3])[r * s.out + n] = z;
      doubles(d[4])[r * s.out + n] = gelu_of(z);
    }
  }
}

// The most that any variant asks for, wherever it runs.
std::int64_t workspace_of(const Shape& s, const CpuContext& context) {
  return most_bytes(2, [&](DType dtype, int variant) {
    const LinearGeluForward p = forward_of(s, dtype, variant);
    const std::int64_t of_host =
        std::max(linear_gelu_workspace(p, context), linear_gelu_workspace(p, SimtContext{}));
    if constexpr (kCudaBuilt) {
      return std::max(of_host, linear_gelu_workspace(p, CudaContext{}));
    }
    return of_host;
  });
}

KernelCase forward_case(const Shape& s, const CpuContext& context) {
  KernelCase result;
  result.name = s.name();
  result.buffers = {{"x", Role::input, {s.rows, s.in}},
                    {"weight", Role::input, {s.out, s.in}},
                    {"bias", Role::input, {s.bias ? s.out : 0}},
                    {"z", Role::output, {s.rows, s.out}},
                    {"y", Role::output, {s.rows, s.out}},
                    workspace_bytes("workspace", workspace_of(s, context))};
  const auto run = [s](void* const* d, DType dtype, int variant, const auto& where) {
    LinearGeluForward p = forward_of(s, dtype, variant);
    p.x = d[0];
    p.weight = d[1];
    p.bias = s.bias ? d[2] : nullptr;
    p.z = d[3];
    p.y = d[4];
    p.workspace = d[5];
    return linear_gelu_forward(p, where);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [s](void* const* d) { forward_definition(s, d, [](double x) { return x; }); };
  if (s.precision != Precision::f32) {
    result.dtypes = {DType::f32};
    result.naive = [s](void* const* d) {
      forward_definition(s, d, [&](double x) { return naive_factor(x, s.precision); });
    };
  }
  const auto outputs = static_cast<double>(s.rows * s.out);
  result.cost = {2 * outputs * static_cast<double>(s.in) + outputs,
                 static_cast<double>(s.rows * s.in + s.out * s.in) + 2 * outputs, outputs,
                 s.precision != Precision::f32};
  return result;
}

KernelCase backward_case(const Shape& s, const CpuContext&) {
  KernelCase result;
  result.name = s.name();
  result.buffers = {{"z", Role::input, {s.rows, s.out}, -4, 4},
                    {"dy", Role::input, {s.rows, s.out}},
                    {"dz", Role::output, {s.rows, s.out}},
                    {"dbias", Role::output, {s.bias ? s.out : 0}},
                    {"partials", Role::workspace, {linear_gelu_backward_workspace(s.rows, s.out)}}};
  result.buffers.back().always_double = true;
  run_on_all_devices(result, [s](void* const* d, DType dtype, const auto& context) {
    return linear_gelu_backward({d[0], d[1], d[2], s.bias ? d[3] : nullptr,
                                 static_cast<double*>(d[4]), s.rows, s.out, dtype},
                                context);
  });
  // The derivative by the five-point formula: see slope() in elementwise_table.cpp.
  result.reference = [s](void* const* d) {
    constexpr double h = 2e-4;
    for (std::int64_t n = 0; s.bias && n < s.out; ++n) {
      doubles(d[3])[n] = 0;
    }
    for (std::int64_t r = 0; r < s.rows; ++r) {
      for (std::int64_t n = 0; n < s.out; ++n) {
        const std::int64_t at = r * s.out + n;
        const double z = doubles(d[0])[at];
        const double slope =
            (gelu_of(z - 2 * h) - 8 * gelu_of(z - h) + 8 * gelu_of(z + h) - gelu_of(z + 2 * h)) /
            (12 * h);
        doubles(d[2])[at] = doubles(d[1])[at] * slope;
        if (s.bias) {
          doubles(d[3])[n] += doubles(d[2])[at];
        }
      }
    }
  };
  const auto n = static_cast<double>(s.rows * s.out);
  result.cost = {3 * n, 3 * n + static_cast<double>(s.out), n};
  return result;
}

std::vector<KernelCase> cases(KernelCase (*make)(const Shape&, const CpuContext&),
                              const CpuContext& context) {
  std::vector<KernelCase> all;
  for (const Shape& s : kShapes) {
    all.push_back(make(s, context));
  }
  return all;
}

// f32: up to 530 products of numbers below 1 in a sum (see gemm), and 3e-7 in Phi, times |z|.
const RegisterKernel forward({"linear_gelu_forward",
                              "y = gelu(x W^T + bias)",
                              {{1, "passes", "the product, then a pass over it"},
                               {2, "joined", "the activation of a block while it is in the cache"}},
                              [](const CpuContext& context) {
                                std::vector<KernelCase> all = cases(forward_case, context);
                                for (const Shape& s : kRoundedShapes) {
                                  all.push_back(forward_case(s, context));
                                }
                                return all;
                              },
                              2e-5,
                              1e-13});

// f32: sums of 301 numbers near 1. f64: the error of the differences, not of the kernel.
const RegisterKernel backward({"linear_gelu_backward",
                               "dz = dy gelu'(z) and its sum over the rows",
                               {{1, "pass", "one pass, sums of 64 rows beside it"}},
                               [](const CpuContext& context) {
                                 return cases(backward_case, context);
                               },
                               5e-6,
                               1e-9});

const RegisterSizes forward_sizes("linear_gelu_forward",
                                  {{"rows", 4096, "rows of x"},
                                   {"in", 256, "inputs"},
                                   {"out", 1024, "outputs"},
                                   precision_choice()},
                                  [](const Sizes& s, const CpuContext& context) {
                                    return forward_case(
                                        {s.at("rows"), s.at("in"), s.at("out"), true,
                                         static_cast<Precision>(s.at("precision"))},
                                        context);
                                  });
const RegisterSizes backward_sizes("linear_gelu_backward",
                                   {{"rows", 4096, "rows of z"}, {"out", 1024, "columns"}},
                                   [](const Sizes& s, const CpuContext& context) {
                                     return backward_case({s.at("rows"), 1, s.at("out")}, context);
                                   });

}  // namespace

}  // namespace basin::kernels::linear_gelu_table
