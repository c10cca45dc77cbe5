#include <cmath>
#include <limits>

#include "kernels/association/association_case.h"
#include "kernels/association/random_feature_attention.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels {

namespace {

using Role = CaseBuffer::Role;
using Problem = RandomFeatureProblem;
using Numbers = std::vector<double>;

std::vector<CaseBuffer> buffers(const Problem& p, Role out_role) {
  const AssociationProblem& s = p.shape;
  return {{"q", Role::input, s.extents(s.L, s.D), -1.2, 1.2},
          {"k", Role::input, s.extents(s.M, s.D), -1.2, 1.2},
          {"v", Role::input, s.extents(s.M, s.Dv)},
          {"projection", Role::input, {p.features, s.D}, -1.7, 1.7},
          {"beta", Role::input, {s.H}, 0.2, 0.9},
          {"out", out_role, s.extents(s.L, s.Dv)},
          {"log_normaliser", out_role, {s.B, s.H, s.L}}};
}

RandomFeatureForward forward_call(const Problem& p, void* const* d, void* workspace,
                                  const std::int64_t* lengths, DType dtype, int variant) {
  const AssociationProblem& s = p.shape;
  return {s.view(d[0], s.L, s.D),
          s.view(d[1], s.M, s.D),
          s.view(d[2], s.M, s.Dv),
          s.view(d[5], s.L, s.Dv),
          d[3],
          d[4],
          lengths,
          d[6],
          workspace,
          s.B,
          s.H,
          s.L,
          s.M,
          s.D,
          s.Dv,
          p.features,
          s.causal,
          p.relu ? FeatureMap::relu : FeatureMap::positive,
          dtype,
          variant};
}

RandomFeatureBackward backward_call(const Problem& p, void* const* d, const std::int64_t* lengths,
                                    DType dtype, int variant) {
  const AssociationProblem& s = p.shape;
  return {s.view(d[0], s.L, s.D),
          s.view(d[1], s.M, s.D),
          s.view(d[2], s.M, s.Dv),
          s.view(d[5], s.L, s.Dv),
          s.view(d[7], s.L, s.Dv),
          s.view(d[8], s.L, s.D),
          s.view(d[9], s.M, s.D),
          s.view(d[10], s.M, s.Dv),
          d[3],
          d[4],
          d[11],
          lengths,
          d[6],
          d[12],
          s.B,
          s.H,
          s.L,
          s.M,
          s.D,
          s.Dv,
          p.features,
          s.causal,
          p.relu ? FeatureMap::relu : FeatureMap::positive,
          dtype,
          variant};
}

// phi(x) and its derivative by x, (features) and (features, D), straight from the definition; of a
// positive map without any maximum, and for a query without e^(-|q'|^2/2).
struct Features {
  Numbers value;
  Numbers slope;

  Features(const Problem& p, const double* projection, double beta, const double* x, bool is_key) {
    const std::int64_t D = p.shape.D;
    const double root = std::sqrt(beta);
    const double half = is_key ? beta * inner_product(x, x, D) / 2 : 0;
    for (std::int64_t r = 0; r < p.features; ++r) {
      const double* w = projection + r * D;
      const double inner = root * inner_product(w, x, D);
      value.push_back(p.relu ? std::max(inner, 0.0) + kReluFeatureFloor : std::exp(inner - half));
      for (std::int64_t d = 0; d < D; ++d) {
        const double by_x = root * w[d] - (is_key ? beta * x[d] : 0.0);
        slope.push_back(p.relu ? (inner > 0 ? root * w[d] : 0.0) : value.back() * by_x);
      }
    }
  }
};

double affinity(const Features& a, const Features& b) {
  double sum = 0;
  for (std::size_t r = 0; r < a.value.size(); ++r) {
    sum += a.value[r] * b.value[r];
  }
  return sum;
}

// Every pair by itself: out_i = sum_j a_ij v_j / sum_j a_ij, and the quotient rule.
void definition(const Problem& p, void* const* d, bool backward) {
  const AssociationProblem& s = p.shape;
  if (backward) {
    std::fill_n(doubles(d[11]), s.H, 0.0);
  }
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      const auto rows = [&](std::size_t buffer, std::int64_t count, std::int64_t width) {
        return head_rows(s.view(d[buffer], count, width), b, h);
      };
      const double beta = doubles(d[4])[h];
      const HeadRows q = rows(0, s.L, s.D);
      const HeadRows k = rows(1, s.M, s.D);
      const HeadRows v = rows(2, s.M, s.Dv);
      std::vector<Features> keys;
      for (std::int64_t j = 0; j < s.M; ++j) {
        keys.emplace_back(p, doubles(d[3]), beta, k[j], true);
      }
      if (backward) {
        rows(9, s.M, s.D).clear(s.M, s.D);
        rows(10, s.M, s.Dv).clear(s.M, s.Dv);
      }
      for (std::int64_t i = 0; i < s.L; ++i) {
        const Features query(p, doubles(d[3]), beta, q[i], false);
        double normaliser = 0;
        Numbers out(static_cast<std::size_t>(s.Dv), 0.0);
        Numbers affinities(static_cast<std::size_t>(s.M), 0.0);
        for (std::int64_t j = 0; j < s.M; ++j) {
          if (s.sees(b, i, j)) {
            affinities[static_cast<std::size_t>(j)] =
                affinity(query, keys[static_cast<std::size_t>(j)]);
            normaliser += affinities[static_cast<std::size_t>(j)];
          }
        }
        for (std::int64_t j = 0; j < s.M; ++j) {
          for (std::int64_t c = 0; s.sees(b, i, j) && c < s.Dv; ++c) {
            out[static_cast<std::size_t>(c)] +=
                affinities[static_cast<std::size_t>(j)] / normaliser * v[j][c];
          }
        }
        if (!backward) {
          std::copy(out.begin(), out.end(), rows(5, s.L, s.Dv)[i]);
          doubles(d[6])[(b * s.H + h) * s.L + i] = std::log(normaliser);
          continue;
        }
        const double* dout = rows(7, s.L, s.Dv)[i];
        double* dq = rows(8, s.L, s.D)[i];
        std::fill_n(dq, s.D, 0.0);
        for (std::int64_t j = 0; j < s.M; ++j) {
          if (!s.sees(b, i, j)) {
            continue;
          }
          const Features& key = keys[static_cast<std::size_t>(j)];
          double slope = 0;
          for (std::int64_t c = 0; c < s.Dv; ++c) {
            slope += dout[c] * (v[j][c] - out[static_cast<std::size_t>(c)]) / normaliser;
            rows(10, s.M, s.Dv)[j][c] +=
                affinities[static_cast<std::size_t>(j)] / normaliser * dout[c];
          }
          for (std::int64_t r = 0; r < p.features; ++r) {
            for (std::int64_t c = 0; c < s.D; ++c) {
              const auto at = static_cast<std::size_t>(r * s.D + c);
              const double by_q = slope * key.value[static_cast<std::size_t>(r)] * query.slope[at];
              const double by_k = slope * query.value[static_cast<std::size_t>(r)] * key.slope[at];
              dq[c] += by_q;
              rows(9, s.M, s.D)[j][c] += by_k;
              // phi depends on sqrt(beta) x.
              doubles(d[11])[h] += (by_q * q[i][c] + by_k * k[j][c]) / (2 * beta);
            }
          }
        }
      }
    }
  }
}

void hide_keys(const Problem& p, void* const* d, DType dtype) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  fill_hidden(p.shape, d[1], dtype, p.shape.D, nan);
  fill_hidden(p.shape, d[2], dtype, p.shape.Dv, nan);
}

KernelCase forward_case(const Problem& p, const CpuContext& machine) {
  const AssociationProblem& s = p.shape;
  KernelCase result;
  result.name = s.name;
  result.buffers = buffers(p, Role::output);
  std::vector<void*> nowhere(result.buffers.size());
  result.buffers.push_back(workspace_bytes(
      "workspace",
      most_bytes_anywhere(1, machine, [&](DType dtype, int variant, const auto& context) {
        return random_feature_forward_workspace(
            forward_call(p, nowhere.data(), nullptr, nullptr, dtype, variant), context);
      })));
  add_lengths(s, result.buffers);
  result.prepare = [p](void* const* d, DType dtype, const CpuContext&) {
    fill_lengths(p.shape, d, 8);
    hide_keys(p, d, dtype);
    return Status{};
  };
  const auto run = [p](void* const* d, DType dtype, int variant, const auto& context) {
    return random_feature_forward(
        forward_call(p, d, d[7], lengths_in(p.shape, d, 8), dtype, variant), context);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [p](void* const* d) { definition(p, d, false); };
  const double features = static_cast<double>(p.features);
  const double width = static_cast<double>(s.D + s.Dv);
  result.reference_work = s.pairs() * (2 * features + static_cast<double>(2 * s.Dv));
  result.cost = {2 * features * width * s.elements(s.L + s.M, 1),
                 s.elements(s.L, s.D + s.Dv) + s.elements(s.M, s.D + s.Dv) + 1,
                 features * s.elements(s.L + s.M, 1)};
  return result;
}

KernelCase backward_case(const Problem& p, const CpuContext& machine) {
  const AssociationProblem& s = p.shape;
  KernelCase result;
  result.name = s.name;
  result.buffers = buffers(p, Role::input);
  result.buffers.insert(result.buffers.end(), {{"dout", Role::input, s.extents(s.L, s.Dv)},
                                               {"dq", Role::output, s.extents(s.L, s.D)},
                                               {"dk", Role::output, s.extents(s.M, s.D)},
                                               {"dv", Role::output, s.extents(s.M, s.Dv)},
                                               {"dbeta", Role::output, {s.H}}});
  std::vector<void*> nowhere(result.buffers.size() + 1);
  result.buffers.push_back(workspace_bytes(
      "workspace",
      most_bytes_anywhere(1, machine, [&](DType dtype, int variant, const auto& context) {
        return random_feature_backward_workspace(
            backward_call(p, nowhere.data(), nullptr, dtype, variant), context);
      })));
  add_lengths(s, result.buffers);
  result.prepare = [p](void* const* d, DType dtype, const CpuContext& context) {
    fill_lengths(p.shape, d, 13);
    hide_keys(p, d, dtype);
    const std::int64_t* lengths = lengths_in(p.shape, d, 13);
    const RandomFeatureForward sizes = forward_call(p, d, nullptr, lengths, dtype, 1);
    std::vector<double> workspace(
        static_cast<std::size_t>(random_feature_forward_workspace(sizes, context) / 8 + 1));
    return random_feature_forward(forward_call(p, d, workspace.data(), lengths, dtype, 1), context);
  };
  const auto run = [p](void* const* d, DType dtype, int variant, const auto& context) {
    return random_feature_backward(backward_call(p, d, lengths_in(p.shape, d, 13), dtype, variant),
                                   context);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [p](void* const* d) { definition(p, d, true); };
  const double features = static_cast<double>(p.features);
  const double width = static_cast<double>(s.D + s.Dv);
  result.reference_work =
      s.pairs() * features * static_cast<double>(12 * s.D) + s.pairs() * static_cast<double>(s.Dv);
  result.cost = {features * width * (4 * s.elements(s.L, 1) + 6 * s.elements(s.M, 1)),
                 s.elements(s.L, 2 * s.D + 2 * s.Dv) + s.elements(s.M, 2 * s.D + 2 * s.Dv) + 1,
                 2 * features * s.elements(s.L + s.M, 1)};
  return result;
}

std::vector<KernelCase> cases(KernelCase (*make)(const Problem&, const CpuContext&),
                              const CpuContext& context) {
  std::vector<KernelCase> all;
  for (const bool relu : {false, true}) {
    for (const AssociationProblem& shape : association_problems()) {
      Problem problem{shape, 7, relu};
      problem.shape.name += relu ? "_relu" : "";
      all.push_back(make(problem, context));
      // The executor has seen the large ones with the other map.
      if (relu && (shape.L * shape.M > 6000 || shape.D > 64)) {
        all.back().run_simt = nullptr;
      }
    }
    // More features than a tile of the CUDA kernels has, values in two slices.
    all.push_back(make({{.name = relu ? "many_features_relu" : "many_features",
                         .B = 1,
                         .H = 2,
                         .L = 19,
                         .M = 23,
                         .D = 35,
                         .Dv = 66,
                         .causal = relu},
                        70,
                        relu},
                       context));
  }
  return all;
}

const std::vector<KernelVariant> kVariants = {
    {1, "scan", "one (features, Dv) state per head, a key at a time"}};

// f32: exponents near 10 carry 1e-6 of rounding into e^x, over sums of up to 300 keys.
const RegisterKernel forward(
    {"random_feature_attention_forward", "out = phi(q).S / phi(q).z, phi of random features",
     kVariants, [](const CpuContext& context) { return cases(forward_case, context); }, 2e-5,
     1e-13});

// v_j - out_i cancels inside two separately rounded sums, and dbeta adds up both signs.
const RegisterKernel backward(
    {"random_feature_attention_backward",
     "gradients of attention through random features by q, k, v and beta", kVariants,
     [](const CpuContext& context) { return cases(backward_case, context); }, 2e-4, 1e-12});

std::vector<SizeParameter> sizes() {
  std::vector<SizeParameter> all = association_sizes();
  all.push_back(kept_size("features", 256, "random features"));
  all.push_back(choice("map", "of the features", {"positive", "relu"}));
  return all;
}

Problem sized_problem(const Sizes& s) {
  return {association_problem(s), s.at("features"), s.at("map") == 1};
}

const RegisterSizes forward_sizes("random_feature_attention_forward", sizes(),
                                  [](const Sizes& s, const CpuContext& context) {
                                    return forward_case(sized_problem(s), context);
                                  });
const RegisterSizes backward_sizes("random_feature_attention_backward", sizes(),
                                   [](const Sizes& s, const CpuContext& context) {
                                     return backward_case(sized_problem(s), context);
                                   });

}  // namespace

KernelCase random_feature_forward_case(const RandomFeatureProblem& p, const CpuContext& context) {
  return forward_case(p, context);
}

KernelCase random_feature_backward_case(const RandomFeatureProblem& p, const CpuContext& context) {
  return backward_case(p, context);
}

}  // namespace basin::kernels
