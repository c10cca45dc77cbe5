#include "kernels/norm/layer_norm.h"
#include "kernels/norm/norm_reference.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::layer_norm_table {

namespace {

using Role = CaseBuffer::Role;

struct Shape {
  std::int64_t rows, cols;
};
constexpr Shape kShapes[] = {{1, 1}, {3, 7}, {5, 33}, {130, 64}, {67, 257}};

KernelCase forward_case(Shape s) {
  KernelCase result;
  result.name = std::to_string(s.rows) + "x" + std::to_string(s.cols);
  result.buffers = {{"x", Role::input, {s.rows, s.cols}, -2, 2},
                    {"weight", Role::input, {s.cols}, 0.5, 1.5},
                    {"bias", Role::input, {s.cols}},
                    {"y", Role::output, {s.rows, s.cols}},
                    {"mean", Role::output, {s.rows}},
                    {"rstd", Role::output, {s.rows}}};
  run_on_all_devices(result, [s](void* const* d, DType dtype, const auto& context) {
    return layer_norm_forward(
        {d[0], d[1], d[2], d[3], d[4], d[5], s.rows, s.cols, s.cols, s.cols, kNormEps, dtype},
        context);
  });
  result.reference = [s](void* const* d) {
    reference_layer_norm(doubles(d[0]), doubles(d[1]), doubles(d[2]), doubles(d[3]), doubles(d[4]),
                         doubles(d[5]), s.rows, s.cols);
  };
  const double n = static_cast<double>(s.rows * s.cols);
  result.cost = {8 * n, 2 * n + 2 * static_cast<double>(s.cols), 0};
  return result;
}

KernelCase backward_case(Shape s) {
  KernelCase result;
  result.name = std::to_string(s.rows) + "x" + std::to_string(s.cols);
  result.buffers = {{"x", Role::input, {s.rows, s.cols}, -2, 2},
                    {"weight", Role::input, {s.cols}, 0.5, 1.5},
                    {"dy", Role::input, {s.rows, s.cols}},
                    {"y", Role::workspace, {s.rows, s.cols}},
                    {"mean", Role::input, {s.rows}},
                    {"rstd", Role::input, {s.rows}},
                    {"dx", Role::output, {s.rows, s.cols}},
                    {"dweight", Role::output, {s.cols}},
                    {"dbias", Role::output, {s.cols}},
                    {"partials", Role::workspace, {layer_norm_backward_workspace(s.rows, s.cols)}}};
  result.buffers.back().always_double = true;
  result.prepare = [s](void* const* d, DType dtype, const CpuContext& context) {
    return layer_norm_forward(
        {d[0], d[1], nullptr, d[3], d[4], d[5], s.rows, s.cols, s.cols, s.cols, kNormEps, dtype},
        context);
  };
  run_on_all_devices(result, [s](void* const* d, DType dtype, const auto& context) {
    return layer_norm_backward({d[0], d[1], d[4], d[5], d[2], d[6], d[7], d[8],
                                static_cast<double*>(d[9]), s.rows, s.cols, dtype},
                               context);
  });
  result.reference = [s](void* const* d) {
    reference_layer_norm_backward(doubles(d[0]), doubles(d[1]), doubles(d[2]), doubles(d[6]),
                                  doubles(d[7]), doubles(d[8]), s.rows, s.cols);
  };
  const double n = static_cast<double>(s.rows * s.cols);
  result.cost = {14 * n, 3 * n + 3 * static_cast<double>(s.cols), 0};
  return result;
}

// f32: a row of one element has variance 0 and rstd = 316, which multiplies the rounding of
// x - mean; at the other shapes the error stays near 1e-6.
const RegisterKernel forward({"layer_norm_forward",
                              "y = (x - mean) / sqrt(variance + eps) * weight + bias per row",
                              {{1, "two-pass", "one read for the mean, one for the variance"}},
                              [](const CpuContext&) {
                                std::vector<KernelCase> all;
                                for (const Shape s : kShapes) all.push_back(forward_case(s));
                                return all;
                              },
                              2e-5,
                              1e-12});

const RegisterKernel backward({"layer_norm_backward",
                               "gradients of layer normalisation by x, weight and bias",
                               {{1, "partials", "dweight and dbias from fixed pieces of rows"}},
                               [](const CpuContext&) {
                                 std::vector<KernelCase> all;
                                 for (const Shape s : kShapes) all.push_back(backward_case(s));
                                 return all;
                               },
                               5e-5,
                               1e-11});

const std::vector<SizeParameter> kSizes = {{"rows", 8192, "rows"},
                                           kept_size("cols", 1024, "numbers in a row")};

template <KernelCase (*make)(Shape)>
KernelCase sized(const Sizes& s, const CpuContext&) {
  return make({s.at("rows"), s.at("cols")});
}

const RegisterSizes forward_sizes("layer_norm_forward", kSizes, sized<forward_case>);
const RegisterSizes backward_sizes("layer_norm_backward", kSizes, sized<backward_case>);

}  // namespace

}  // namespace basin::kernels::layer_norm_table
