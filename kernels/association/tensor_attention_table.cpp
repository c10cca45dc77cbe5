// Attention on tensor cores in the kernel table: the cases of attention_forward and
// attention_backward in bf16, judged by what a plain program for that format would be off by.
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "kernels/association/association_case.h"
#include "kernels/association/softmax_attention.h"
#include "kernels/common/half.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels {

namespace {

using Problem = AssociationProblem;

double rounded(double x) { return static_cast<double>(to_float(to_bfloat16(x))); }

// Widths around those that the kernel is compiled for.
std::vector<Problem> problems() {
  std::vector<Problem> all = association_problems();
  all.push_back({.name = "wide", .B = 1, .H = 1, .L = 70, .M = 130, .D = 256, .Dv = 200});
  all.push_back(
      {.name = "half_wide", .B = 1, .H = 2, .L = 65, .M = 129, .D = 128, .Dv = 96, .causal = true});
  return all;
}

// What is stored in f32 whatever the format of the rest.
void keep_in_f32(KernelCase& problem) {
  for (CaseBuffer& buffer : problem.buffers) {
    buffer.at_least_f32 = buffer.name == "beta" || buffer.name == "lse" || buffer.name == "dbeta";
  }
}

// The scores beta q.k of one query, -inf for hidden keys, and their log-sum-exp.
double scores_of(const Problem& s, std::int64_t b, std::int64_t i, const double* q, HeadRows k,
                 double beta, std::vector<double>& scores) {
  scores.assign(static_cast<std::size_t>(s.M), -std::numeric_limits<double>::infinity());
  double largest = -std::numeric_limits<double>::infinity();
  for (std::int64_t j = 0; j < s.M; ++j) {
    if (s.sees(b, i, j)) {
      scores[static_cast<std::size_t>(j)] = beta * inner_product(q, k[j], s.D);
      largest = std::max(largest, scores[static_cast<std::size_t>(j)]);
    }
  }
  double sum = 0;
  for (std::int64_t j = 0; j < s.M; ++j) {
    sum += s.sees(b, i, j) ? std::exp(scores[static_cast<std::size_t>(j)] - largest) : 0;
  }
  return largest + std::log(sum);
}

// Weights pass through bf16 before they meet the values, and so does out. They are taken relative
// to the largest, as every program does that must not overflow.
void naive_forward(const Problem& s, void* const* d) {
  std::vector<double> scores;
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      const HeadRows q = head_rows(s.view(d[0], s.L, s.D), b, h);
      const HeadRows k = head_rows(s.view(d[1], s.M, s.D), b, h);
      const HeadRows v = head_rows(s.view(d[2], s.M, s.Dv), b, h);
      const HeadRows out = head_rows(s.view(d[4], s.L, s.Dv), b, h);
      out.clear(s.L, s.Dv);
      for (std::int64_t i = 0; i < s.L; ++i) {
        doubles(d[5])[(b * s.H + h) * s.L + i] =
            scores_of(s, b, i, q[i], k, doubles(d[3])[h], scores);
        const double largest = s.M == 0 ? 0 : *std::max_element(scores.begin(), scores.end());
        double sum = 0;
        for (std::int64_t j = 0; j < s.M; ++j) {
          if (s.sees(b, i, j)) {
            const double weight = std::exp(scores[static_cast<std::size_t>(j)] - largest);
            sum += weight;
            for (std::int64_t c = 0; c < s.Dv; ++c) {
              out[i][c] += rounded(weight) * v[j][c];
            }
          }
        }
        for (std::int64_t c = 0; c < s.Dv; ++c) {
          out[i][c] = sum > 0 ? rounded(out[i][c] / sum) : 0;
        }
      }
    }
  }
}

// out (as the forward pass stored it), weights, slopes and gradients pass through bf16. dbeta is a
// single number for each head, and one naive sum may be right by chance: its place is taken by the
// exact one and twice the standard deviation that rounding its summands gives it.
void naive_backward(const Problem& s, void* const* d) {
  std::vector<double> scores;
  std::vector<double> variances(static_cast<std::size_t>(s.H));
  std::fill_n(doubles(d[10]), s.H, 0.0);
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      const HeadRows q = head_rows(s.view(d[0], s.L, s.D), b, h);
      const HeadRows k = head_rows(s.view(d[1], s.M, s.D), b, h);
      const HeadRows v = head_rows(s.view(d[2], s.M, s.Dv), b, h);
      const HeadRows out = head_rows(s.view(d[4], s.L, s.Dv), b, h);
      const HeadRows dout = head_rows(s.view(d[6], s.L, s.Dv), b, h);
      const HeadRows dq = head_rows(s.view(d[7], s.L, s.D), b, h);
      const HeadRows dk = head_rows(s.view(d[8], s.M, s.D), b, h);
      const HeadRows dv = head_rows(s.view(d[9], s.M, s.Dv), b, h);
      const double beta = doubles(d[3])[h];
      double& variance = variances[static_cast<std::size_t>(h)];
      dq.clear(s.L, s.D);
      dk.clear(s.M, s.D);
      dv.clear(s.M, s.Dv);
      for (std::int64_t i = 0; i < s.L; ++i) {
        const double lse = scores_of(s, b, i, q[i], k, beta, scores);
        const auto weight_of = [&](std::int64_t j) {
          return std::exp(scores[static_cast<std::size_t>(j)] - lse);
        };
        double delta = 0;        // of the stored out
        double exact_delta = 0;  // sum of P dP
        double doubt = 0;
        double mean_score = 0;
        for (std::int64_t c = 0; c < s.Dv; ++c) {
          delta += dout[i][c] * out[i][c];
          doubt += dout[i][c] * out[i][c] * dout[i][c] * out[i][c];
        }
        for (std::int64_t j = 0; j < s.M; ++j) {
          if (s.sees(b, i, j)) {
            exact_delta += weight_of(j) * inner_product(dout[i], v[j], s.Dv);
          }
        }
        for (std::int64_t j = 0; j < s.M; ++j) {
          if (!s.sees(b, i, j)) {
            continue;
          }
          const double weight = weight_of(j);
          const double dweight = inner_product(dout[i], v[j], s.Dv);
          const double slope = rounded(weight * (dweight - delta));
          for (std::int64_t c = 0; c < s.D; ++c) {
            dq[i][c] += beta * slope * k[j][c];
            dk[j][c] += beta * slope * q[i][c];
          }
          for (std::int64_t c = 0; c < s.Dv; ++c) {
            dv[j][c] += rounded(weight) * dout[i][c];
          }
          const double score = inner_product(q[i], k[j], s.D);
          doubles(d[10])[h] += weight * (dweight - exact_delta) * score;
          variance += slope * score * slope * score;
          mean_score += weight * score;
        }
        variance += doubt * mean_score * mean_score;
      }
      for (const auto& [rows, count, width] :
           {std::tuple(dq, s.L, s.D), std::tuple(dk, s.M, s.D), std::tuple(dv, s.M, s.Dv)}) {
        for (std::int64_t i = 0; i < count; ++i) {
          for (std::int64_t c = 0; c < width; ++c) {
            rows[i][c] = rounded(rows[i][c]);
          }
        }
      }
    }
  }
  for (std::int64_t h = 0; h < s.H; ++h) {
    // A rounding moves a number by 2^-9 of it, on average or so.
    doubles(d[10])[h] += 2 * std::sqrt(variances[static_cast<std::size_t>(h)]) / 512;
  }
}

KernelCase forward_case(const Problem& s, const CpuContext& context) {
  KernelCase result = attention_forward_case(s, context);
  result.dtypes = {DType::bf16};
  result.run = {};
  keep_in_f32(result);
  result.naive = [s](void* const* d) { naive_forward(s, d); };
  result.cost.tensor_cores = true;
  return result;
}

KernelCase backward_case(const Problem& s, const CpuContext& context) {
  KernelCase result = attention_backward_case(s, context);
  result.dtypes = {DType::bf16};
  result.run = {};
  keep_in_f32(result);
  // out and lse as the same kernels leave them.
  const KernelCase before = forward_case(s, context);
  const bool padded = !s.key_lengths.empty();
  result.prepare = [before, padded](void* const* d, DType dtype, const CpuContext& where) {
    // The forward case has its key lengths behind a workspace that this kernel does not use.
    void* const arrays[] = {d[0], d[1], d[2], d[3], d[4], d[5], nullptr, padded ? d[12] : nullptr};
    const Status status = before.prepare(arrays, dtype, where);
    return status.ok() ? before.run_simt(arrays, dtype, 0, SimtContext{}) : status;
  };
  result.naive = [s](void* const* d) { naive_backward(s, d); };
  result.cost.tensor_cores = true;
  return result;
}

std::vector<KernelCase> cases(KernelCase (*make)(const Problem&, const CpuContext&),
                              const CpuContext& context) {
  std::vector<KernelCase> all;
  for (const Problem& s : problems()) {
    all.push_back(make(s, context));
  }
  return all;
}

const RegisterKernel forward({"tensor_attention_forward",
                              "out = softmax(beta q.k) v in bf16, by tensor cores",
                              {},
                              [](const CpuContext& context) {
                                return cases(forward_case, context);
                              },
                              0,
                              0,
                              {},
                              {{1, "in turn", "bf16 on tensor cores; weights stay in registers"},
                               {2, "pipelined", "the next tile is fetched while one is used"}}});

const RegisterKernel backward({"tensor_attention_backward",
                               "gradients of softmax attention in bf16, by tensor cores",
                               {},
                               [](const CpuContext& context) {
                                 return cases(backward_case, context);
                               },
                               0,
                               0});

KernelCase sized_forward(const Sizes& sizes, const CpuContext& context) {
  return forward_case(association_problem(sizes), context);
}

KernelCase sized_backward(const Sizes& sizes, const CpuContext& context) {
  return backward_case(association_problem(sizes), context);
}

const RegisterSizes forward_sizes("tensor_attention_forward", association_sizes(), sized_forward);
const RegisterSizes backward_sizes("tensor_attention_backward", association_sizes(),
                                   sized_backward);

}  // namespace

KernelCase tensor_attention_forward_case(const Problem& s, const CpuContext& context) {
  return forward_case(s, context);
}

KernelCase tensor_attention_backward_case(const Problem& s, const CpuContext& context) {
  return backward_case(s, context);
}

}  // namespace basin::kernels
