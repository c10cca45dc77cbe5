// Linear attention on tensor cores in the kernel table: the cases of linear_attention_forward and
// linear_attention_backward in bf16, judged by what a plain program for that format would be off
// by.
#include <cmath>
#include <tuple>
#include <vector>

#include "kernels/association/association_case.h"
#include "kernels/association/linear_attention.h"
#include "kernels/common/half.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels {

namespace {

using Problem = AssociationProblem;

double rounded(double x) { return static_cast<double>(to_float(to_bfloat16(x))); }
double phi(double x) { return x > 0 ? x + 1 : std::exp(x); }
double phi_slope(double x) { return x > 0 ? 1 : std::exp(x); }

// The widths that the kernel is compiled for, and more segments than one. Where there is one pair
// only, its one weight is 1 but for eps, and a naive computation may get it by chance.
std::vector<Problem> problems() {
  std::vector<Problem> all = association_problems();
  all.front() = {.name = "few", .B = 2, .H = 4, .L = 3, .M = 2, .D = 5, .Dv = 9};
  all.push_back({.name = "wide_causal",
                 .B = 1,
                 .H = 1,
                 .L = 150,
                 .M = 150,
                 .D = 256,
                 .Dv = 200,
                 .causal = true});
  all.push_back(
      {.name = "half_wide", .B = 1, .H = 1, .L = 65, .M = 200, .D = 96, .Dv = 128, .causal = true});
  return all;
}

void keep_normaliser_in_f32(KernelCase& problem) {
  for (CaseBuffer& buffer : problem.buffers) {
    buffer.at_least_f32 = buffer.name == "normaliser";
  }
}

// phi(q).phi(k) of rounded phi, 0 for hidden keys, and the sum plus eps.
double affinities_of(const Problem& s, std::int64_t b, std::int64_t i, const double* q, HeadRows k,
                     std::vector<double>& affinities) {
  affinities.assign(static_cast<std::size_t>(s.M), 0.0);
  double sum = 0;
  for (std::int64_t j = 0; j < s.M; ++j) {
    double affinity = 0;
    for (std::int64_t c = 0; s.sees(b, i, j) && c < s.D; ++c) {
      affinity += rounded(phi(q[c])) * rounded(phi(k[j][c]));
    }
    affinities[static_cast<std::size_t>(j)] = affinity;
    sum += affinity;
  }
  return sum + s.eps;
}

// phi, affinities and out pass through bf16.
void naive_forward(const Problem& s, void* const* d) {
  std::vector<double> affinities;
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      const HeadRows q = head_rows(s.view(d[0], s.L, s.D), b, h);
      const HeadRows k = head_rows(s.view(d[1], s.M, s.D), b, h);
      const HeadRows v = head_rows(s.view(d[2], s.M, s.Dv), b, h);
      const HeadRows out = head_rows(s.view(d[3], s.L, s.Dv), b, h);
      out.clear(s.L, s.Dv);
      for (std::int64_t i = 0; i < s.L; ++i) {
        const double normaliser = affinities_of(s, b, i, q[i], k, affinities);
        doubles(d[4])[(b * s.H + h) * s.L + i] = normaliser;
        for (std::int64_t j = 0; j < s.M; ++j) {
          for (std::int64_t c = 0; s.sees(b, i, j) && c < s.Dv; ++c) {
            out[i][c] += rounded(affinities[static_cast<std::size_t>(j)]) * v[j][c];
          }
        }
        for (std::int64_t c = 0; c < s.Dv; ++c) {
          out[i][c] = rounded(out[i][c] / normaliser);
        }
      }
    }
  }
}

// out (as the forward pass stored it), phi, phi(q) / n, weights, slopes and gradients pass through
// bf16.
void naive_backward(const Problem& s, void* const* d) {
  std::vector<double> affinities;
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      const HeadRows q = head_rows(s.view(d[0], s.L, s.D), b, h);
      const HeadRows k = head_rows(s.view(d[1], s.M, s.D), b, h);
      const HeadRows v = head_rows(s.view(d[2], s.M, s.Dv), b, h);
      const HeadRows out = head_rows(s.view(d[3], s.L, s.Dv), b, h);
      const HeadRows dout = head_rows(s.view(d[5], s.L, s.Dv), b, h);
      const HeadRows dq = head_rows(s.view(d[6], s.L, s.D), b, h);
      const HeadRows dk = head_rows(s.view(d[7], s.M, s.D), b, h);
      const HeadRows dv = head_rows(s.view(d[8], s.M, s.Dv), b, h);
      dq.clear(s.L, s.D);
      dk.clear(s.M, s.D);
      dv.clear(s.M, s.Dv);
      for (std::int64_t i = 0; i < s.L; ++i) {
        const double normaliser = affinities_of(s, b, i, q[i], k, affinities);
        for (std::int64_t j = 0; j < s.M; ++j) {
          if (!s.sees(b, i, j)) {
            continue;
          }
          double weight = 0;
          for (std::int64_t c = 0; c < s.D; ++c) {
            weight += rounded(phi(q[i][c]) / normaliser) * rounded(phi(k[j][c]));
          }
          double slope = 0;
          for (std::int64_t c = 0; c < s.Dv; ++c) {
            slope += dout[i][c] * (v[j][c] - out[i][c]) / normaliser;
            dv[j][c] += rounded(weight) * dout[i][c];
          }
          slope = rounded(slope);
          for (std::int64_t c = 0; c < s.D; ++c) {
            dq[i][c] += slope * rounded(phi(k[j][c]));
            dk[j][c] += slope * rounded(phi(q[i][c]));
          }
        }
      }
      const auto times_slope = [&](HeadRows rows, HeadRows x, std::int64_t count) {
        for (std::int64_t i = 0; i < count; ++i) {
          for (std::int64_t c = 0; c < s.D; ++c) {
            rows[i][c] = rows[i][c] == 0 ? 0 : rows[i][c] * phi_slope(x[i][c]);
          }
        }
      };
      times_slope(dq, q, s.L);
      times_slope(dk, k, s.M);
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
}

KernelCase forward_case(const Problem& s, const CpuContext& context) {
  KernelCase result = linear_attention_forward_case(s, context);
  result.dtypes = {DType::bf16};
  result.run = {};
  keep_normaliser_in_f32(result);
  result.naive = [s](void* const* d) { naive_forward(s, d); };
  result.cost.tensor_cores = true;
  return result;
}

KernelCase backward_case(const Problem& s, const CpuContext& context) {
  KernelCase result = linear_attention_backward_case(s, context);
  result.dtypes = {DType::bf16};
  result.run = {};
  keep_normaliser_in_f32(result);
  // out and normaliser as the same kernels leave them.
  const KernelCase before = forward_case(s, context);
  const bool padded = !s.key_lengths.empty();
  result.prepare = [before, padded](void* const* d, DType dtype, const CpuContext& where) {
    std::vector<double> workspace(static_cast<std::size_t>(before.buffers[5].extents[0]) + 1);
    void* const arrays[] = {
        d[0], d[1], d[2], d[3], d[4], workspace.data(), padded ? d[10] : nullptr};
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
  // Values that have much in common: dout.(v - out) is a small difference of large sums.
  for (const bool causal : {false, true}) {
    all.push_back(
        make({.name = "", .B = 1, .H = 1, .L = 300, .M = 300, .D = 16, .Dv = 24, .causal = causal},
             context));
    all.back().name = causal ? "far_values_causal" : "far_values";
    all.back().buffers[2].low = 9;
    all.back().buffers[2].high = 11;
  }
  return all;
}

const RegisterKernel forward({"tensor_linear_attention_forward",
                              "out = phi(q).S / (phi(q).z + eps) in bf16, by tensor cores",
                              {},
                              [](const CpuContext& context) {
                                return cases(forward_case, context);
                              },
                              0,
                              0});

const RegisterKernel backward({"tensor_linear_attention_backward",
                               "gradients of linear attention in bf16, by tensor cores",
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

const RegisterSizes forward_sizes("tensor_linear_attention_forward", association_sizes(),
                                  sized_forward);
const RegisterSizes backward_sizes("tensor_linear_attention_backward", association_sizes(),
                                   sized_backward);

}  // namespace

KernelCase tensor_linear_attention_forward_case(const Problem& s, const CpuContext& context) {
  return forward_case(s, context);
}

KernelCase tensor_linear_attention_backward_case(const Problem& s, const CpuContext& context) {
  return backward_case(s, context);
}

}  // namespace basin::kernels
