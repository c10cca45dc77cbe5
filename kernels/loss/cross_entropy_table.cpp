#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/loss/cross_entropy.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::cross_entropy_table {

namespace {

using Role = CaseBuffer::Role;
constexpr std::int64_t kIgnore = -100;
constexpr double kScale = 0.125;

struct Problem {
  const char* name;
  std::int64_t rows, classes;
  double range = 4;  ///< logits lie in [-range, range]
  double smoothing = 0;
  bool ignore = false;  ///< every fourth row is ignored and its logits are NaN
};
constexpr Problem kProblems[] = {{"1x1", 1, 1},
                                 {"9x5", 9, 5},
                                 {"301x65", 301, 65},
                                 {"3x8209", 3, 8209},
                                 {"ignored", 37, 11, 4, 0, true},
                                 {"smoothed", 37, 11, 4, 0.1},
                                 {"smoothed_ignored", 37, 11, 4, 0.3, true},
                                 {"large_logits", 13, 17, 1e4}};

bool ignored(const Problem& s, std::int64_t row) { return s.ignore && row % 4 == 1; }

void apply_ignore(const Problem& s, void* const* d, DType dtype) {
  for (std::int64_t r = 0; r < s.rows; ++r) {
    if (ignored(s, r)) {
      integers(d[1])[r] = kIgnore;
      for (std::int64_t c = 0; c < s.classes; ++c) {
        set_element(d[0], dtype, r * s.classes + c, std::numeric_limits<double>::quiet_NaN());
      }
    }
  }
}

double log_sum_exp(const double* x, std::int64_t count) {
  const double largest = *std::max_element(x, x + count);
  double sum = 0;
  for (std::int64_t c = 0; c < count; ++c) {
    sum += std::exp(x[c] - largest);
  }
  return largest + std::log(sum);
}

// The target distribution: 1 - s on the target plus s spread evenly.
double target_weight(const Problem& s, std::int64_t target, std::int64_t c) {
  return (c == target ? 1 - s.smoothing : 0) + s.smoothing / static_cast<double>(s.classes);
}

std::vector<CaseBuffer> inputs(const Problem& s) {
  return {{"logits", Role::input, {s.rows, s.classes}, -s.range, s.range},
          integer_buffer("targets", Role::input, {s.rows}, 0, static_cast<double>(s.classes - 1))};
}

KernelCase forward_case(const Problem& s) {
  KernelCase result;
  result.name = s.name;
  result.buffers = inputs(s);
  result.buffers.push_back({"row_loss", Role::output, {s.rows}});
  result.buffers.push_back({"lse", Role::output, {s.rows}});
  result.prepare = [s](void* const* d, DType dtype, const CpuContext&) {
    apply_ignore(s, d, dtype);
    return Status{};
  };
  run_on_all_devices(result, [s](void* const* d, DType dtype, const auto& context) {
    return cross_entropy_forward(
        {d[0], integers(d[1]), d[2], d[3], s.rows, s.classes, kIgnore, s.smoothing, dtype},
        context);
  });
  // -sum of target weight times log probability.
  result.reference = [s](void* const* d) {
    for (std::int64_t r = 0; r < s.rows; ++r) {
      const double* x = doubles(d[0]) + r * s.classes;
      double loss = 0;
      const double lse = ignored(s, r) ? 0 : log_sum_exp(x, s.classes);
      for (std::int64_t c = 0; !ignored(s, r) && c < s.classes; ++c) {
        loss -= target_weight(s, integers(d[1])[r], c) * (x[c] - lse);
      }
      doubles(d[2])[r] = loss;
      doubles(d[3])[r] = lse;
    }
  };
  const auto n = static_cast<double>(s.rows * s.classes);
  result.cost = {3 * n, n + 3 * static_cast<double>(s.rows), n};
  return result;
}

KernelCase backward_case(const Problem& s) {
  KernelCase result;
  result.name = s.name;
  result.buffers = inputs(s);
  result.buffers.push_back({"row_loss", Role::input, {s.rows}});
  result.buffers.push_back({"lse", Role::input, {s.rows}});
  result.buffers.push_back({"dlogits", Role::output, {s.rows, s.classes}});
  result.prepare = [s](void* const* d, DType dtype, const CpuContext& context) {
    apply_ignore(s, d, dtype);
    return cross_entropy_forward(
        {d[0], integers(d[1]), d[2], d[3], s.rows, s.classes, kIgnore, s.smoothing, dtype},
        context);
  };
  run_on_all_devices(result, [s](void* const* d, DType dtype, const auto& context) {
    return cross_entropy_backward(
        {d[0], integers(d[1]), d[3], d[4], s.rows, s.classes, kIgnore, s.smoothing, kScale, dtype},
        context);
  });
  // Probability minus target distribution.
  result.reference = [s](void* const* d) {
    for (std::int64_t r = 0; r < s.rows; ++r) {
      const double* x = doubles(d[0]) + r * s.classes;
      const double lse = ignored(s, r) ? 0 : log_sum_exp(x, s.classes);
      for (std::int64_t c = 0; c < s.classes; ++c) {
        doubles(d[4])[r * s.classes + c] =
            ignored(s, r)
                ? 0
                : kScale * (std::exp(x[c] - lse) - target_weight(s, integers(d[1])[r], c));
      }
    }
  };
  const auto n = static_cast<double>(s.rows * s.classes);
  result.cost = {3 * n, 2 * n + 2 * static_cast<double>(s.rows), n};
  return result;
}

std::vector<KernelCase> cases(KernelCase (*make)(const Problem&)) {
  std::vector<KernelCase> all;
  for (const Problem& s : kProblems) {
    all.push_back(make(s));
  }
  return all;
}

// f32: the exponential and the sum of up to 8209 terms in eight lanes.
const RegisterKernel forward({"cross_entropy_forward",
                              "loss of each row and its log-sum-exp",
                              {{1, "two passes", "maximum, then the sum of exponentials"}},
                              [](const CpuContext&) { return cases(forward_case); },
                              1e-6,
                              5e-15});

const RegisterKernel backward({"cross_entropy_backward",
                               "probability minus target distribution, scaled",
                               {{1, "one pass", "probabilities again from the log-sum-exp"}},
                               [](const CpuContext&) { return cases(backward_case); },
                               5e-7,
                               2e-15});

const std::vector<SizeParameter> kSizes = {{"tokens", 256, "rows of logits"},
                                           kept_size("vocabulary", 50257, "classes")};

template <KernelCase (*make)(const Problem&)>
KernelCase sized(const Sizes& s, const CpuContext&) {
  return make({"", s.at("tokens"), s.at("vocabulary")});
}

const RegisterSizes forward_sizes("cross_entropy_forward", kSizes, sized<forward_case>);
const RegisterSizes backward_sizes("cross_entropy_backward", kSizes, sized<backward_case>);

}  // namespace

}  // namespace basin::kernels::cross_entropy_table
