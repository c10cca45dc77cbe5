#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/softmax/softmax.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::softmax_table {

namespace {

using Role = CaseBuffer::Role;

struct Problem {
  const char* name;
  std::int64_t rows, cols;
  double range;         ///< inputs lie in [-range, range]
  bool masked = false;  ///< every third element is -inf, and so is all of row 1
};
// Widths around the eight lanes, and more rows than one chunk takes.
constexpr Problem kProblems[] = {{"1x1", 1, 1, 3},
                                 {"5x7", 5, 7, 3},
                                 {"3x8", 3, 8, 3},
                                 {"519x67", 519, 67, 10},
                                 {"2x9001", 2, 9001, 5},
                                 {"masked", 17, 33, 3, true},
                                 {"large_scores", 9, 40, 1e4}};

void definition(const Problem& s, const double* x, double* y) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.cols, y += s.cols) {
    const double largest = *std::max_element(x, x + s.cols);
    double sum = 0;
    for (std::int64_t c = 0; c < s.cols; ++c) {
      y[c] = std::isinf(x[c]) ? 0 : std::exp(x[c] - largest);
      sum += y[c];
    }
    for (std::int64_t c = 0; c < s.cols; ++c) {
      y[c] = sum > 0 ? y[c] / sum : 0;
    }
  }
}

void mask(const Problem& s, void* x, DType dtype) {
  for (std::int64_t i = 0; s.masked && i < s.rows * s.cols; ++i) {
    if (i % 3 == 0 || i / s.cols == 1) {
      set_element(x, dtype, i, -std::numeric_limits<double>::infinity());
    }
  }
}

KernelCase forward_case(const Problem& s) {
  KernelCase result;
  result.name = s.name;
  result.buffers = {{"x", Role::input, {s.rows, s.cols}, -s.range, s.range},
                    {"y", Role::output, {s.rows, s.cols}}};
  result.prepare = [s](void* const* d, DType dtype, const CpuContext&) {
    mask(s, d[0], dtype);
    return Status{};
  };
  run_on_all_devices(result, [s](void* const* d, DType dtype, const auto& context) {
    return softmax_forward({d[0], d[1], s.rows, s.cols, dtype}, context);
  });
  result.reference = [s](void* const* d) { definition(s, doubles(d[0]), doubles(d[1])); };
  const auto n = static_cast<double>(s.rows * s.cols);
  result.cost = {4 * n, 2 * n, n};
  return result;
}

KernelCase backward_case(const Problem& s) {
  KernelCase result;
  result.name = s.name;
  result.buffers = {{"x", Role::input, {s.rows, s.cols}, -s.range, s.range},
                    {"y", Role::input, {s.rows, s.cols}},
                    {"dy", Role::input, {s.rows, s.cols}},
                    {"dx", Role::output, {s.rows, s.cols}}};
  result.prepare = [s](void* const* d, DType dtype, const CpuContext& context) {
    mask(s, d[0], dtype);
    return softmax_forward({d[0], d[1], s.rows, s.cols, dtype}, context);
  };
  run_on_all_devices(result, [s](void* const* d, DType dtype, const auto& context) {
    return softmax_backward({d[1], d[2], d[3], s.rows, s.cols, dtype}, context);
  });
  // The Jacobian dy_c / dx_j = y_c ([c = j] - y_j), row by row; y from x in double.
  result.reference = [s](void* const* d) {
    std::vector<double> y(static_cast<std::size_t>(s.rows * s.cols));
    definition(s, doubles(d[0]), y.data());
    for (std::int64_t r = 0; r < s.rows; ++r) {
      const double* row = y.data() + r * s.cols;
      const double* dy = doubles(d[2]) + r * s.cols;
      for (std::int64_t j = 0; j < s.cols; ++j) {
        double sum = 0;
        for (std::int64_t c = 0; c < s.cols; ++c) {
          sum += dy[c] * row[c] * ((c == j ? 1 : 0) - row[j]);
        }
        doubles(d[3])[r * s.cols + j] = sum;
      }
    }
  };
  const auto n = static_cast<double>(s.rows * s.cols);
  result.cost = {4 * n, 3 * n, 0};
  result.reference_work = 3 * n * static_cast<double>(s.cols);
  return result;
}

std::vector<KernelCase> cases(KernelCase (*make)(const Problem&)) {
  std::vector<KernelCase> all;
  for (const Problem& s : kProblems) {
    all.push_back(make(s));
  }
  return all;
}

// Weights are at most 1 and their relative error is that of the exponential plus the sum's.
const RegisterKernel forward({"softmax_forward",
                              "y = exp(x - max) / sum per row",
                              {{1, "three passes",
                                "maximum, exponentials with their sum, scaling"}},
                              [](const CpuContext&) { return cases(forward_case); },
                              5e-7,
                              2e-15});

const RegisterKernel backward({"softmax_backward",
                               "dx = y (dy - <y, dy>) per row",
                               {{1, "two passes", "the inner product, then the gradient"}},
                               [](const CpuContext&) { return cases(backward_case); },
                               5e-7,
                               2e-15});

const std::vector<SizeParameter> kSizes = {{"rows", 8192, "rows"},
                                           kept_size("cols", 1024, "numbers in a row")};

template <KernelCase (*make)(const Problem&)>
KernelCase sized(const Sizes& s, const CpuContext&) {
  return make({"", s.at("rows"), s.at("cols"), 10});
}

const RegisterSizes forward_sizes("softmax_forward", kSizes, sized<forward_case>);
const RegisterSizes backward_sizes("softmax_backward", kSizes, sized<backward_case>);

}  // namespace

}  // namespace basin::kernels::softmax_table
