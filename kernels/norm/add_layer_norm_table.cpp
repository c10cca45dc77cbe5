#include "kernels/norm/add_layer_norm.h"
#include "kernels/norm/norm_reference.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::add_layer_norm_table {

namespace {

using Role = CaseBuffer::Role;

struct Shape {
  std::int64_t rows, cols;
};
constexpr Shape kShapes[] = {{1, 1}, {3, 7}, {5, 33}, {130, 64}, {67, 257}};

KernelCase forward_case(Shape s) {
  KernelCase result;
  result.name = extents_name({s.rows, s.cols});
  result.buffers = {{"x", Role::input, {s.rows, s.cols}, -2, 2},
                    {"residual", Role::input, {s.rows, s.cols}, -2, 2},
                    {"weight", Role::input, {s.cols}, 0.5, 1.5},
                    {"bias", Role::input, {s.cols}},
                    {"sum", Role::output, {s.rows, s.cols}},
                    {"y", Role::output, {s.rows, s.cols}},
                    {"mean", Role::output, {s.rows}},
                    {"rstd", Role::output, {s.rows}}};
  run_on_all_devices(result, [s](void* const* d, DType dtype, const auto& context) {
    return add_layer_norm_forward(
        {d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], s.rows, s.cols, kNormEps, dtype}, context);
  });
  result.reference = [s](void* const* d) {
    for (std::int64_t i = 0; i < s.rows * s.cols; ++i) {
      doubles(d[4])[i] = doubles(d[0])[i] + doubles(d[1])[i];
    }
    reference_layer_norm(doubles(d[4]), doubles(d[2]), doubles(d[3]), doubles(d[5]), doubles(d[6]),
                         doubles(d[7]), s.rows, s.cols);
  };
  const auto n = static_cast<double>(s.rows * s.cols);
  result.cost = {9 * n, 4 * n + 2 * static_cast<double>(s.cols), 0};
  return result;
}

// With a gradient of the sum, or (0) without.
KernelCase backward_case(Shape s, bool with_dsum) {
  KernelCase result;
  result.name = extents_name({s.rows, s.cols}) + (with_dsum ? "" : "_no_dsum");
  result.buffers = {
      {"sum", Role::input, {s.rows, s.cols}, -2, 2},
      {"weight", Role::input, {s.cols}, 0.5, 1.5},
      {"dsum", Role::input, {s.rows, with_dsum ? s.cols : 0}},
      {"dy", Role::input, {s.rows, s.cols}},
      {"mean", Role::input, {s.rows}},
      {"rstd", Role::input, {s.rows}},
      {"dx", Role::output, {s.rows, s.cols}},
      {"dweight", Role::output, {s.cols}},
      {"dbias", Role::output, {s.cols}},
      {"partials", Role::workspace, {add_layer_norm_backward_workspace(s.rows, s.cols)}}};
  result.buffers.back().always_double = true;
  result.prepare = [s](void* const* d, DType dtype, const CpuContext&) {
    for (std::int64_t r = 0; r < s.rows; ++r) {
      std::vector<double> row;
      for (std::int64_t c = 0; c < s.cols; ++c) {
        row.push_back(element(d[0], dtype, r * s.cols + c));
      }
      double mean = 0;
      double rstd = 0;
      reference_statistics(row.data(), s.cols, mean, rstd);
      set_element(d[4], dtype, r, mean);
      set_element(d[5], dtype, r, rstd);
    }
    return Status{};
  };
  run_on_all_devices(result, [s, with_dsum](void* const* d, DType dtype, const auto& context) {
    return add_layer_norm_backward({d[0], d[1], d[4], d[5], with_dsum ? d[2] : nullptr, d[3], d[6],
                                    d[7], d[8], static_cast<double*>(d[9]), s.rows, s.cols, dtype},
                                   context);
  });
  result.reference = [s, with_dsum](void* const* d) {
    reference_layer_norm_backward(doubles(d[0]), doubles(d[1]), doubles(d[3]), doubles(d[6]),
                                  doubles(d[7]), doubles(d[8]), s.rows, s.cols);
    for (std::int64_t i = 0; with_dsum && i < s.rows * s.cols; ++i) {
      doubles(d[6])[i] += doubles(d[2])[i];
    }
  };
  const auto n = static_cast<double>(s.rows * s.cols);
  result.cost = {15 * n, (with_dsum ? 4 : 3) * n + 3 * static_cast<double>(s.cols), 0};
  return result;
}

// Tolerances as of layer_norm.
const RegisterKernel forward({"add_layer_norm_forward",
                              "sum = x + residual and y = layer_norm(sum)",
                              {{1, "row", "a row is added, measured and normalised in the cache"}},
                              [](const CpuContext&) {
                                std::vector<KernelCase> all;
                                for (const Shape s : kShapes) {
                                  all.push_back(forward_case(s));
                                }
                                return all;
                              },
                              2e-5,
                              1e-12});

const RegisterKernel backward({"add_layer_norm_backward",
                               "the gradient by both addends, by weight and bias",
                               {{1, "partials", "dweight and dbias from fixed pieces of rows"}},
                               [](const CpuContext&) {
                                 std::vector<KernelCase> all;
                                 for (const Shape s : kShapes) {
                                   all.push_back(backward_case(s, true));
                                 }
                                 all.push_back(backward_case({70, 40}, false));
                                 return all;
                               },
                               5e-5,
                               1e-11});

const std::vector<SizeParameter> kSizes = {{"rows", 8192, "rows"},
                                           kept_size("cols", 1024, "numbers in a row")};

const RegisterSizes forward_sizes("add_layer_norm_forward", kSizes,
                                  [](const Sizes& s, const CpuContext&) {
                                    return forward_case({s.at("rows"), s.at("cols")});
                                  });
const RegisterSizes backward_sizes("add_layer_norm_backward", kSizes,
                                   [](const Sizes& s, const CpuContext&) {
                                     return backward_case({s.at("rows"), s.at("cols")}, true);
                                   });

}  // namespace

}  // namespace basin::kernels::add_layer_norm_table
