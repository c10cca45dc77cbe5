#include <cmath>
#include <limits>

#include "kernels/association/association_case.h"
#include "kernels/association/softmax_attention.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels {

namespace {

using Role = CaseBuffer::Role;
using Problem = AssociationProblem;

// The weights of one query: softmax of beta q.k over the keys it sees, 0 for the others. Returns
// the log-sum-exp, -inf if it sees none.
double weights_of(const Problem& s, std::int64_t b, std::int64_t i, const double* q, HeadRows k,
                  double beta, std::vector<double>& weights) {
  weights.assign(static_cast<std::size_t>(s.M), 0.0);
  double largest = -std::numeric_limits<double>::infinity();
  for (std::int64_t j = 0; j < s.M; ++j) {
    if (s.sees(b, i, j)) {
      weights[static_cast<std::size_t>(j)] = beta * inner_product(q, k[j], s.D);
      largest = std::max(largest, weights[static_cast<std::size_t>(j)]);
    }
  }
  double sum = 0;
  for (std::int64_t j = 0; j < s.M; ++j) {
    double& weight = weights[static_cast<std::size_t>(j)];
    weight = s.sees(b, i, j) ? std::exp(weight - largest) : 0;
    sum += weight;
  }
  for (double& weight : weights) {
    weight = sum > 0 ? weight / sum : 0;
  }
  return largest + std::log(sum);
}

// Buffers 0 ... 6, shared by both directions.
std::vector<CaseBuffer> buffers(const Problem& s, Role out_role) {
  return {{"q", Role::input, s.extents(s.L, s.D), -1.2, 1.2},
          {"k", Role::input, s.extents(s.M, s.D), -1.2, 1.2},
          {"v", Role::input, s.extents(s.M, s.Dv)},
          {"beta", Role::input, {s.H}, 0.2, 0.9},
          {"out", out_role, s.extents(s.L, s.Dv)},
          {"lse", out_role, {s.B, s.H, s.L}}};
}

AttentionForward forward_call(const Problem& s, void* const* d, void* workspace,
                              const std::int64_t* lengths, DType dtype, int variant,
                              Precision precision) {
  return {s.view(d[0], s.L, s.D),
          s.view(d[1], s.M, s.D),
          s.view(d[2], s.M, s.Dv),
          s.view(d[4], s.L, s.Dv),
          d[3],
          lengths,
          d[5],
          workspace,
          s.B,
          s.H,
          s.L,
          s.M,
          s.D,
          s.Dv,
          s.causal,
          dtype,
          variant,
          precision};
}

AttentionBackward backward_call(const Problem& s, void* const* d, void* workspace,
                                const std::int64_t* lengths, DType dtype, int variant,
                                Precision precision) {
  return {s.view(d[0], s.L, s.D),
          s.view(d[1], s.M, s.D),
          s.view(d[2], s.M, s.Dv),
          s.view(d[4], s.L, s.Dv),
          s.view(d[6], s.L, s.Dv),
          s.view(d[7], s.L, s.D),
          s.view(d[8], s.M, s.D),
          s.view(d[9], s.M, s.Dv),
          d[3],
          d[10],
          lengths,
          d[5],
          workspace,
          s.B,
          s.H,
          s.L,
          s.M,
          s.D,
          s.Dv,
          s.causal,
          dtype,
          variant,
          precision};
}

void hide_keys(const Problem& s, void* const* d, DType dtype) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  fill_hidden(s, d[1], dtype, s.D, nan);
  fill_hidden(s, d[2], dtype, s.Dv, nan);
}

KernelCase forward_case(const Problem& s, const CpuContext& machine,
                        Precision precision = Precision::f32) {
  KernelCase result;
  result.name = s.name;
  result.buffers = buffers(s, Role::output);
  std::vector<void*> nowhere(result.buffers.size());
  result.buffers.push_back(workspace_bytes(
      "workspace",
      most_bytes_anywhere(3, machine, [&](DType dtype, int variant, const auto& context) {
        return attention_forward_workspace(
            forward_call(s, nowhere.data(), nullptr, nullptr, dtype, variant, Precision::f32),
            context);
      })));
  add_lengths(s, result.buffers);
  result.prepare = [s](void* const* d, DType dtype, const CpuContext&) {
    fill_lengths(s, d, 7);
    hide_keys(s, d, dtype);
    return Status{};
  };
  const auto run = [s, precision](void* const* d, DType dtype, int variant, const auto& context) {
    return attention_forward(
        forward_call(s, d, d[6], lengths_in(s, d, 7), dtype, variant, precision), context);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [s](void* const* d) {
    std::vector<double> weights;
    for (std::int64_t b = 0; b < s.B; ++b) {
      for (std::int64_t h = 0; h < s.H; ++h) {
        const HeadRows q = head_rows(s.view(d[0], s.L, s.D), b, h);
        const HeadRows k = head_rows(s.view(d[1], s.M, s.D), b, h);
        const HeadRows v = head_rows(s.view(d[2], s.M, s.Dv), b, h);
        const HeadRows out = head_rows(s.view(d[4], s.L, s.Dv), b, h);
        out.clear(s.L, s.Dv);
        for (std::int64_t i = 0; i < s.L; ++i) {
          doubles(d[5])[(b * s.H + h) * s.L + i] =
              weights_of(s, b, i, q[i], k, doubles(d[3])[h], weights);
          for (std::int64_t j = 0; j < s.M; ++j) {
            for (std::int64_t c = 0; s.sees(b, i, j) && c < s.Dv; ++c) {
              out[i][c] += weights[static_cast<std::size_t>(j)] * v[j][c];
            }
          }
        }
      }
    }
  };
  result.cost = {2 * s.pairs() * static_cast<double>(s.D + s.Dv),
                 s.elements(s.L, s.D + s.Dv) + s.elements(s.M, s.D + s.Dv), s.pairs()};
  return result;
}

// The gradient through the whole Jacobian of the softmax, dP_j / ds_l = P_j ([j = l] - P_l).
void backward_definition(const Problem& s, void* const* d) {
  std::vector<double> weights;
  std::vector<double> slopes(static_cast<std::size_t>(s.M));
  std::fill_n(doubles(d[10]), s.H, 0.0);
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      const HeadRows q = head_rows(s.view(d[0], s.L, s.D), b, h);
      const HeadRows k = head_rows(s.view(d[1], s.M, s.D), b, h);
      const HeadRows v = head_rows(s.view(d[2], s.M, s.Dv), b, h);
      const HeadRows dout = head_rows(s.view(d[6], s.L, s.Dv), b, h);
      const HeadRows dq = head_rows(s.view(d[7], s.L, s.D), b, h);
      const HeadRows dk = head_rows(s.view(d[8], s.M, s.D), b, h);
      const HeadRows dv = head_rows(s.view(d[9], s.M, s.Dv), b, h);
      const double beta = doubles(d[3])[h];
      dq.clear(s.L, s.D);
      dk.clear(s.M, s.D);
      dv.clear(s.M, s.Dv);
      for (std::int64_t i = 0; i < s.L; ++i) {
        weights_of(s, b, i, q[i], k, beta, weights);
        for (std::int64_t j = 0; j < s.M; ++j) {
          slopes[static_cast<std::size_t>(j)] =
              s.sees(b, i, j) ? inner_product(dout[i], v[j], s.Dv) : 0;
        }
        for (std::int64_t l = 0; l < s.M; ++l) {
          if (!s.sees(b, i, l)) {
            continue;
          }
          const double weight = weights[static_cast<std::size_t>(l)];
          double score_gradient = 0;
          for (std::int64_t j = 0; j < s.M; ++j) {
            score_gradient += slopes[static_cast<std::size_t>(j)] *
                              weights[static_cast<std::size_t>(j)] * ((j == l ? 1 : 0) - weight);
          }
          for (std::int64_t c = 0; c < s.D; ++c) {
            dq[i][c] += beta * score_gradient * k[l][c];
            dk[l][c] += beta * score_gradient * q[i][c];
          }
          for (std::int64_t c = 0; c < s.Dv; ++c) {
            dv[l][c] += weight * dout[i][c];
          }
          doubles(d[10])[h] += score_gradient * inner_product(q[i], k[l], s.D);
        }
      }
    }
  }
}

KernelCase backward_case(const Problem& s, const CpuContext& machine,
                         Precision precision = Precision::f32) {
  KernelCase result;
  result.name = s.name;
  result.buffers = buffers(s, Role::input);
  result.buffers.insert(result.buffers.end(), {{"dout", Role::input, s.extents(s.L, s.Dv)},
                                               {"dq", Role::output, s.extents(s.L, s.D)},
                                               {"dk", Role::output, s.extents(s.M, s.D)},
                                               {"dv", Role::output, s.extents(s.M, s.Dv)},
                                               {"dbeta", Role::output, {s.H}}});
  std::vector<void*> nowhere(result.buffers.size());
  result.buffers.push_back(workspace_bytes(
      "workspace",
      most_bytes_anywhere(3, machine, [&](DType dtype, int variant, const auto& context) {
        return attention_backward_workspace(
            backward_call(s, nowhere.data(), nullptr, nullptr, dtype, variant, Precision::f32),
            context);
      })));
  add_lengths(s, result.buffers);
  result.prepare = [s](void* const* d, DType dtype, const CpuContext& context) {
    fill_lengths(s, d, 12);
    hide_keys(s, d, dtype);
    const AttentionForward sizes =
        forward_call(s, d, nullptr, lengths_in(s, d, 12), dtype, 1, Precision::f32);
    std::vector<double> workspace(
        static_cast<std::size_t>(attention_forward_workspace(sizes, context) / 8 + 1));
    return attention_forward(
        forward_call(s, d, workspace.data(), lengths_in(s, d, 12), dtype, 1, Precision::f32),
        context);
  };
  const auto run = [s, precision](void* const* d, DType dtype, int variant, const auto& context) {
    return attention_backward(
        backward_call(s, d, d[11], lengths_in(s, d, 12), dtype, variant, precision), context);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [s](void* const* d) { backward_definition(s, d); };
  // Every pair meets the whole Jacobian of its row.
  result.reference_work = s.pairs() * static_cast<double>(4 * s.M + 8 * s.D + 6 * s.Dv);
  result.cost = {s.pairs() * static_cast<double>(6 * s.D + 4 * s.Dv),
                 s.elements(s.L, 2 * s.D + 2 * s.Dv) + s.elements(s.M, 2 * s.D + 2 * s.Dv),
                 s.pairs()};
  return result;
}

std::vector<KernelCase> cases(KernelCase (*make)(const Problem&, const CpuContext&, Precision),
                              const CpuContext& context) {
  std::vector<KernelCase> all;
  for (const Problem& s : association_problems()) {
    all.push_back(make(s, context, Precision::f32));
  }
  return all;
}

const std::vector<KernelVariant> kVariants = {
    {1, "queries", "one query at a time, scores of a tile kept"},
    {2, "tiles", "tiles of 32 queries, products over their common keys by OpenBLAS"},
    {3, "flash", "blocks of keys with a running maximum, vector instructions, no stored scores"}};

// Of the forward kernel for GPUs.
const std::vector<KernelVariant> kDeviceVariants = {
    {1, "threads", "a thread for a query, which reads all for itself and adds up in global memory"},
    {2, "tiles", "tiles of keys and values in shared memory, sums in registers"}};

// f32: scores near 5 at width 64 carry 1e-6 of rounding into the exponential.
const RegisterKernel forward({"attention_forward",
                              "out = softmax(beta q.k) v over the visible keys",
                              kVariants,
                              [](const CpuContext& context) {
                                return cases(forward_case, context);
                              },
                              3e-6,
                              1e-14,
                              {},
                              kDeviceVariants});

// dbeta adds up B L M terms of both signs: 3000 of them near 1 leave a sum near 2.
const RegisterKernel backward(
    {"attention_backward", "gradients of softmax attention by q, k, v and beta", kVariants,
     [](const CpuContext& context) { return cases(backward_case, context); }, 3e-5, 1e-13});

KernelCase sized_forward(const Sizes& sizes, const CpuContext& context) {
  return forward_case(association_problem(sizes), context);
}

KernelCase sized_backward(const Sizes& sizes, const CpuContext& context) {
  return backward_case(association_problem(sizes), context);
}

const RegisterSizes forward_sizes("attention_forward", association_sizes(), sized_forward);
const RegisterSizes backward_sizes("attention_backward", association_sizes(), sized_backward);

}  // namespace

KernelCase attention_forward_case(const AssociationProblem& s, const CpuContext& context) {
  return forward_case(s, context);
}

KernelCase attention_backward_case(const AssociationProblem& s, const CpuContext& context) {
  return backward_case(s, context);
}

KernelCase attention_forward_case_in(Precision precision, const AssociationProblem& s,
                                     const CpuContext& context) {
  return forward_case(s, context, precision);
}

KernelCase attention_backward_case_in(Precision precision, const AssociationProblem& s,
                                      const CpuContext& context) {
  return backward_case(s, context, precision);
}

}  // namespace basin::kernels
