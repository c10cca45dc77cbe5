#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/loss/linear_cross_entropy.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::linear_cross_entropy_table {

namespace {

using Role = CaseBuffer::Role;
constexpr std::int64_t kIgnore = -100;
constexpr double kScale = 0.125;

struct Problem {
  std::string name;
  std::int64_t rows, width, classes;
  bool bias = true;
  double smoothing = 0;
  bool ignore = false;  ///< every fourth row is ignored and holds NaN
  bool gradients = true;
  std::int64_t most_logits = std::int64_t{24} << 20;
  Precision precision = Precision::f32;
};

const std::vector<Problem> kProblems = {
    {"1x1x1", 1, 1, 1},
    {"9x5x7", 9, 5, 7},
    {"no_bias", 13, 24, 11, false},
    {"two_tiles", 29, 33, 259},
    // A width beyond what one product takes at a time, and more tiles than groups of dx.
    {"wide", 14, 300, 70},
    {"groups", 5, 6, 4400},
    {"ignored", 37, 16, 300, true, 0, true},
    {"smoothed", 37, 16, 300, true, 0.1},
    {"smoothed_ignored", 37, 16, 30, false, 0.3, true},
    {"loss_only", 37, 16, 300, true, 0.2, true, false},
    // Three blocks of rows.
    {"blocks", 211, 16, 300, true, 0, true, true, 1},
};

// In each precision with fewer bits than f32.
const std::vector<Problem> kRoundedProblems = {
    {"9x5x7", 9, 5, 7},
    {"two_tiles", 29, 33, 259},
    {"blocks", 211, 16, 300, true, 0.1, true, true, 1},
};

bool ignored(const Problem& s, std::int64_t row) { return s.ignore && row % 4 == 1; }

LinearCrossEntropy call_of(const Problem& s, void* const* d, void* workspace, DType dtype,
                           int variant) {
  return {d[0],
          d[1],
          s.bias ? d[2] : nullptr,
          integers(d[3]),
          d[4],
          s.gradients ? d[5] : nullptr,
          s.gradients ? d[6] : nullptr,
          s.gradients && s.bias ? d[7] : nullptr,
          workspace,
          s.rows,
          s.width,
          s.classes,
          kIgnore,
          s.smoothing,
          kScale,
          dtype,
          variant,
          s.most_logits,
          s.precision};
}

void apply_ignore(const Problem& s, void* const* d, DType dtype) {
  for (std::int64_t r = 0; r < s.rows; ++r) {
    for (std::int64_t k = 0; ignored(s, r) && k < s.width; ++k) {
      integers(d[3])[r] = kIgnore;
      set_element(d[0], dtype, r * s.width + k, std::numeric_limits<double>::quiet_NaN());
    }
  }
}

// Logits of a row, its log-sum-exp, then loss and gradients term by term; what is multiplied is
// seen through `factor`.
template <class Factor>
void definition(const Problem& s, void* const* d, Factor factor) {
  const double* x = doubles(d[0]);
  const double* weight = doubles(d[1]);
  double* row_loss = doubles(d[4]);
  const auto clear = [&](std::size_t buffer, std::int64_t count) {
    if (s.gradients) {
      std::fill_n(doubles(d[buffer]), count, 0.0);
    }
  };
  clear(5, s.rows * s.width);
  clear(6, s.classes * s.width);
  clear(7, s.classes);
  std::vector<double> logits(static_cast<std::size_t>(s.classes));
  for (std::int64_t r = 0; r < s.rows; ++r) {
    row_loss[r] = 0;
    if (ignored(s, r)) {
      continue;
    }
    for (std::int64_t c = 0; c < s.classes; ++c) {
      double sum = s.bias ? doubles(d[2])[c] : 0;
      for (std::int64_t k = 0; k < s.width; ++k) {
        sum += factor(x[r * s.width + k]) * factor(weight[c * s.width + k]);
      }
      logits[static_cast<std::size_t>(c)] = sum;
    }
    const double top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const double logit : logits) {
      sum += std::exp(logit - top);
    }
    const double lse = top + std::log(sum);
    const double even = s.smoothing / static_cast<double>(s.classes);
    for (std::int64_t c = 0; c < s.classes; ++c) {
      const double logit = logits[static_cast<std::size_t>(c)];
      const double wanted = (c == integers(d[3])[r] ? 1 - s.smoothing : 0) + even;
      row_loss[r] -= wanted * (logit - lse);
      const double slope = kScale * (std::exp(logit - lse) - wanted);
      for (std::int64_t k = 0; s.gradients && k < s.width; ++k) {
        doubles(d[5])[r * s.width + k] += factor(slope) * factor(weight[c * s.width + k]);
        doubles(d[6])[c * s.width + k] += factor(slope) * factor(x[r * s.width + k]);
      }
      if (s.gradients && s.bias) {
        doubles(d[7])[c] += slope;
      }
    }
  }
}

std::int64_t most_bytes(const Problem& s, const CpuContext& context) {
  std::vector<void*> nowhere(8, &nowhere);
  std::int64_t most = 0;
  for (const int variant : {1, 2}) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      most = std::max(most, linear_cross_entropy_workspace(
                                call_of(s, nowhere.data(), nullptr, dtype, variant), context));
      most =
          std::max(most, linear_cross_entropy_workspace(
                             call_of(s, nowhere.data(), nullptr, dtype, variant), SimtContext{}));
      if constexpr (kCudaBuilt) {
        most =
            std::max(most, linear_cross_entropy_workspace(
                               call_of(s, nowhere.data(), nullptr, dtype, variant), CudaContext{}));
      }
    }
  }
  return most;
}

KernelCase make_case(const Problem& s, const CpuContext& machine) {
  KernelCase result;
  result.name = s.name.empty() ? s.name : s.name + precision_name(s.precision);
  const Role gradient = s.gradients ? Role::output : Role::workspace;
  result.buffers = {
      {"x", Role::input, {s.rows, s.width}},
      {"weight", Role::input, {s.classes, s.width}},
      {"bias", Role::input, {s.classes}},
      integer_buffer("targets", Role::input, {s.rows}, 0, static_cast<double>(s.classes - 1)),
      {"row_loss", Role::output, {s.rows}},
      {"dx", gradient, {s.rows, s.width}},
      {"dweight", gradient, {s.classes, s.width}},
      {"dbias", s.bias ? gradient : Role::workspace, {s.classes}},
      workspace_bytes("workspace", most_bytes(s, machine))};
  result.prepare = [s](void* const* d, DType dtype, const CpuContext&) {
    apply_ignore(s, d, dtype);
    return Status{};
  };
  result.run = [s](void* const* d, DType dtype, int variant, const CpuContext& context) {
    return linear_cross_entropy(call_of(s, d, d[8], dtype, variant), context);
  };
  set_device_runs(result, [s](void* const* d, DType dtype, int variant, const auto& context) {
    return linear_cross_entropy(call_of(s, d, d[8], dtype, variant), context);
  });
  result.reference = [s](void* const* d) { definition(s, d, [](double x) { return x; }); };
  if (s.precision != Precision::f32) {
    result.dtypes = {DType::f32};
    result.naive = [s](void* const* d) {
      definition(s, d, [&](double x) { return naive_factor(x, s.precision); });
    };
  }
  const auto products = static_cast<double>(s.rows * s.classes * s.width);
  const auto logits = static_cast<double>(s.rows * s.classes);
  result.cost = {(s.gradients ? 6 : 2) * products,
                 static_cast<double>((s.gradients ? 2 : 1) * (s.rows + s.classes) * s.width),
                 (s.gradients ? 2 : 1) * logits, s.precision != Precision::f32};
  return result;
}

// f32: a dweight is a sum over up to 211 rows of products of order 1, a dx one over 4400 classes of
// slopes that add up to 1.
const RegisterKernel entry(
    {"linear_cross_entropy",
     "loss of an output layer, and its gradients in the same pass",
     {{1, "blocks", "the logits of a block of rows, through gemm and the loss kernels"},
      {2, "tiles", "tiles of logits made, judged and used in the cache"}},
     [](const CpuContext& context) {
       std::vector<KernelCase> all;
       for (const Problem& s : kProblems) {
         all.push_back(make_case(s, context));
       }
       for (Problem s : kRoundedProblems) {
         for (const Precision precision : {Precision::tf32, Precision::bf16}) {
           s.precision = precision;
           all.push_back(make_case(s, context));
         }
       }
       return all;
     },
     3e-6,
     1e-14});

const RegisterSizes sizes("linear_cross_entropy",
                          {{"tokens", 1024, "rows of x"},
                           kept_size("width", 256, "of x and the weight"),
                           {"vocabulary", 50257, "classes"},
                           precision_choice()},
                          [](const Sizes& s, const CpuContext& context) {
                            Problem problem{"", s.at("tokens"), s.at("width"), s.at("vocabulary")};
                            problem.precision = static_cast<Precision>(s.at("precision"));
                            return make_case(problem, context);
                          });

}  // namespace

}  // namespace basin::kernels::linear_cross_entropy_table
