#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/association/association_case.h"
#include "kernels/association/linear_attention.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels {

namespace {

using Role = CaseBuffer::Role;
using Problem = AssociationProblem;

double phi(double x) { return x > 0 ? x + 1 : std::exp(x); }
double phi_slope(double x) { return x > 0 ? 1 : std::exp(x); }

// phi(q).phi(k)
double affinity(const double* q, const double* k, std::int64_t count) {
  double sum = 0;
  for (std::int64_t c = 0; c < count; ++c) {
    sum += phi(q[c]) * phi(k[c]);
  }
  return sum;
}

// The affinities of one query to the keys it sees (0 for the others) and their sum plus eps.
double affinities_of(const Problem& s, std::int64_t b, std::int64_t i, const double* q, HeadRows k,
                     std::vector<double>& affinities) {
  affinities.assign(static_cast<std::size_t>(s.M), 0.0);
  double sum = 0;
  for (std::int64_t j = 0; j < s.M; ++j) {
    if (s.sees(b, i, j)) {
      affinities[static_cast<std::size_t>(j)] = affinity(q, k[j], s.D);
      sum += affinities[static_cast<std::size_t>(j)];
    }
  }
  return sum + s.eps;
}

std::vector<CaseBuffer> buffers(const Problem& s, Role out_role) {
  return {{"q", Role::input, s.extents(s.L, s.D), -2, 2},
          {"k", Role::input, s.extents(s.M, s.D), -2, 2},
          {"v", Role::input, s.extents(s.M, s.Dv)},
          {"out", out_role, s.extents(s.L, s.Dv)},
          {"normaliser", out_role, {s.B, s.H, s.L}}};
}

LinearAttentionForward forward_call(const Problem& s, void* const* d, void* workspace,
                                    const std::int64_t* lengths, DType dtype, int variant) {
  return {s.view(d[0], s.L, s.D),
          s.view(d[1], s.M, s.D),
          s.view(d[2], s.M, s.Dv),
          s.view(d[3], s.L, s.Dv),
          lengths,
          d[4],
          workspace,
          s.B,
          s.H,
          s.L,
          s.M,
          s.D,
          s.Dv,
          s.causal,
          s.eps,
          dtype,
          variant};
}

LinearAttentionBackward backward_call(const Problem& s, void* const* d, void* workspace,
                                      const std::int64_t* lengths, DType dtype, int variant) {
  return {s.view(d[0], s.L, s.D),
          s.view(d[1], s.M, s.D),
          s.view(d[2], s.M, s.Dv),
          s.view(d[3], s.L, s.Dv),
          s.view(d[5], s.L, s.Dv),
          s.view(d[6], s.L, s.D),
          s.view(d[7], s.M, s.D),
          s.view(d[8], s.M, s.Dv),
          lengths,
          d[4],
          workspace,
          s.B,
          s.H,
          s.L,
          s.M,
          s.D,
          s.Dv,
          s.causal,
          s.eps,
          dtype,
          variant};
}

void hide_keys(const Problem& s, void* const* d, DType dtype) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  fill_hidden(s, d[1], dtype, s.D, nan);
  fill_hidden(s, d[2], dtype, s.Dv, nan);
}

// Every key of every query, without a running state: out_i = sum_j a_ij v_j / n_i.
void forward_definition(const Problem& s, void* const* d) {
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
            out[i][c] += affinities[static_cast<std::size_t>(j)] / normaliser * v[j][c];
          }
        }
      }
    }
  }
}

// The quotient rule for each pair: da_ij = sum_c dout_ic (v_jc - out_ic) / n_i.
void backward_definition(const Problem& s, void* const* d) {
  std::vector<double> affinities;
  std::vector<double> out(static_cast<std::size_t>(s.Dv));
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      const HeadRows q = head_rows(s.view(d[0], s.L, s.D), b, h);
      const HeadRows k = head_rows(s.view(d[1], s.M, s.D), b, h);
      const HeadRows v = head_rows(s.view(d[2], s.M, s.Dv), b, h);
      const HeadRows dout = head_rows(s.view(d[5], s.L, s.Dv), b, h);
      const HeadRows dq = head_rows(s.view(d[6], s.L, s.D), b, h);
      const HeadRows dk = head_rows(s.view(d[7], s.M, s.D), b, h);
      const HeadRows dv = head_rows(s.view(d[8], s.M, s.Dv), b, h);
      dq.clear(s.L, s.D);
      dk.clear(s.M, s.D);
      dv.clear(s.M, s.Dv);
      for (std::int64_t i = 0; i < s.L; ++i) {
        const double normaliser = affinities_of(s, b, i, q[i], k, affinities);
        out.assign(out.size(), 0.0);
        for (std::int64_t j = 0; j < s.M; ++j) {
          for (std::int64_t c = 0; s.sees(b, i, j) && c < s.Dv; ++c) {
            out[static_cast<std::size_t>(c)] +=
                affinities[static_cast<std::size_t>(j)] / normaliser * v[j][c];
          }
        }
        for (std::int64_t j = 0; j < s.M; ++j) {
          if (!s.sees(b, i, j)) {
            continue;
          }
          double slope = 0;
          for (std::int64_t c = 0; c < s.Dv; ++c) {
            slope += dout[i][c] * (v[j][c] - out[static_cast<std::size_t>(c)]) / normaliser;
            dv[j][c] += affinities[static_cast<std::size_t>(j)] / normaliser * dout[i][c];
          }
          for (std::int64_t c = 0; c < s.D; ++c) {
            dq[i][c] += slope * phi(k[j][c]) * phi_slope(q[i][c]);
            dk[j][c] += slope * phi(q[i][c]) * phi_slope(k[j][c]);
          }
        }
      }
    }
  }
}

// What every variant in every dtype can work with.
template <class F>
std::int64_t most_bytes(F&& workspace) {
  std::int64_t most = 0;
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const int variant : {0, 1, 2}) {
      most = std::max(most, workspace(dtype, variant));
    }
  }
  return most;
}

KernelCase forward_case(const Problem& s, const CpuContext& machine) {
  KernelCase result;
  result.name = s.name;
  result.buffers = buffers(s, Role::output);
  std::vector<void*> nowhere(result.buffers.size());
  const auto bytes = [&](DType dtype, int variant, const auto& context) {
    return linear_attention_forward_workspace(
        forward_call(s, nowhere.data(), nullptr, nullptr, dtype, variant), context);
  };
  result.buffers.push_back(workspace_bytes(
      "workspace",
      std::max(most_bytes_anywhere(2, machine, bytes), bytes(DType::bf16, 0, SimtContext{}))));
  add_lengths(s, result.buffers);
  result.prepare = [s](void* const* d, DType dtype, const CpuContext&) {
    fill_lengths(s, d, 6);
    hide_keys(s, d, dtype);
    return Status{};
  };
  const auto run = [s](void* const* d, DType dtype, int variant, const auto& context) {
    return linear_attention_forward(forward_call(s, d, d[5], lengths_in(s, d, 6), dtype, variant),
                                    context);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [s](void* const* d) { forward_definition(s, d); };
  result.reference_work = s.pairs() * static_cast<double>(2 * s.D + 2 * s.Dv);
  // One outer product for each key, one product with the state for each query.
  const double state = static_cast<double>(s.D * s.Dv + s.D);
  result.cost = {2 * state * s.elements(s.L + s.M, 1),
                 s.elements(s.L, s.D + s.Dv) + s.elements(s.M, s.D + s.Dv),
                 s.elements(s.L + s.M, s.D)};
  return result;
}

KernelCase backward_case(const Problem& s, const CpuContext& machine) {
  KernelCase result;
  result.name = s.name;
  result.buffers = buffers(s, Role::input);
  result.buffers.insert(result.buffers.end(), {{"dout", Role::input, s.extents(s.L, s.Dv)},
                                               {"dq", Role::output, s.extents(s.L, s.D)},
                                               {"dk", Role::output, s.extents(s.M, s.D)},
                                               {"dv", Role::output, s.extents(s.M, s.Dv)}});
  std::vector<void*> nowhere(result.buffers.size());
  const auto bytes = [&](DType dtype, int variant, const auto& context) {
    return linear_attention_backward_workspace(
        backward_call(s, nowhere.data(), nullptr, nullptr, dtype, variant), context);
  };
  result.buffers.push_back(workspace_bytes(
      "workspace",
      std::max(most_bytes_anywhere(2, machine, bytes), bytes(DType::bf16, 0, SimtContext{}))));
  add_lengths(s, result.buffers);
  result.prepare = [s](void* const* d, DType dtype, const CpuContext& context) {
    fill_lengths(s, d, 10);
    hide_keys(s, d, dtype);
    const LinearAttentionForward sizes =
        forward_call(s, d, nullptr, lengths_in(s, d, 10), dtype, 1);
    std::vector<double> workspace(
        static_cast<std::size_t>(linear_attention_forward_workspace(sizes, context) / 8 + 1));
    return linear_attention_forward(
        forward_call(s, d, workspace.data(), lengths_in(s, d, 10), dtype, 1), context);
  };
  const auto run = [s](void* const* d, DType dtype, int variant, const auto& context) {
    return linear_attention_backward(
        backward_call(s, d, d[9], lengths_in(s, d, 10), dtype, variant), context);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [s](void* const* d) { backward_definition(s, d); };
  result.reference_work = s.pairs() * static_cast<double>(10 * s.D + 6 * s.Dv);
  const double state = static_cast<double>(s.D * s.Dv + s.D);
  result.cost = {2 * state * (2 * s.elements(s.L, 1) + 3 * s.elements(s.M, 1)),
                 s.elements(s.L, 2 * s.D + 2 * s.Dv) + s.elements(s.M, 2 * s.D + 2 * s.Dv),
                 s.elements(s.L + 2 * s.M, s.D)};
  return result;
}

std::vector<KernelCase> cases(KernelCase (*make)(const Problem&, const CpuContext&),
                              const CpuContext& context) {
  std::vector<KernelCase> all;
  for (const Problem& s : association_problems()) {
    all.push_back(make(s, context));
  }
  return all;
}

const std::vector<KernelVariant> kVariants = {
    {1, "scan", "one (D, Dv) state per head, a key at a time"},
    {2, "chunks", "64 queries at a time: the state and the pairs inside as matrix products"}};

// f32: sums over up to 300 keys of positive numbers; nothing cancels going forward.
const RegisterKernel forward(
    {"linear_attention_forward", "out = phi(q).S / (phi(q).z + eps), phi = elu + 1", kVariants,
     [](const CpuContext& context) { return cases(forward_case, context); }, 2e-6, 1e-14});

// v_j - out_i cancels inside two separately rounded sums.
const RegisterKernel backward(
    {"linear_attention_backward", "gradients of linear attention by q, k and v", kVariants,
     [](const CpuContext& context) { return cases(backward_case, context); }, 2e-6, 1e-14});

KernelCase sized_forward(const Sizes& sizes, const CpuContext& context) {
  return forward_case(association_problem(sizes), context);
}

KernelCase sized_backward(const Sizes& sizes, const CpuContext& context) {
  return backward_case(association_problem(sizes), context);
}

const RegisterSizes forward_sizes("linear_attention_forward", association_sizes(), sized_forward);
const RegisterSizes backward_sizes("linear_attention_backward", association_sizes(),
                                   sized_backward);

}  // namespace

KernelCase linear_attention_forward_case(const AssociationProblem& s, const CpuContext& context) {
  return forward_case(s, context);
}

KernelCase linear_attention_backward_case(const AssociationProblem& s, const CpuContext& context) {
  return backward_case(s, context);
}

}  // namespace basin::kernels
