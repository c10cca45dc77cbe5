#include <cmath>
#include <limits>

#include "kernels/association/retrieval_case.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels {

namespace {

using Role = CaseBuffer::Role;
using Problem = RetrievalProblem;
using Numbers = std::vector<double>;

constexpr int kLastVariant = 4;

std::size_t index(std::int64_t n) { return static_cast<std::size_t>(n); }

// --- The definition, in plain f64 loops. ---

// Visible but for top-k, from the statement in visibility.h rather than its code.
bool visible(const Problem& s, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
  if (!s.shape.sees(b, i, j)) {
    return false;
  }
  const std::int64_t p = i + s.shape.M - s.shape.L;
  const std::int64_t g = s.seen.global_tokens;
  if (s.seen.radius >= 0 && j >= g && !(0 <= p && p < g)) {
    const std::int64_t distance = std::abs(j - p);
    if (distance > s.seen.radius * s.seen.dilation || distance % s.seen.dilation != 0) {
      return false;
    }
  }
  if (!s.mask.empty()) {
    const std::int64_t item = s.mask_items == 1 ? 0 : b;
    const std::int64_t head = s.mask_heads == 1 ? 0 : h;
    if (s.mask[index(((item * s.mask_heads + head) * s.shape.L + i) * s.shape.M + j)] == 0) {
      return false;
    }
  }
  return s.visibility().drawn(b, h, i, j);
}

struct Weights {
  Numbers scores;
  std::vector<bool> takes_part;  // in the weights
  std::vector<bool> read;        // in the read-out
  Numbers weights;               // 0 where a key takes no part
};

// sum over the keys that take part of max((alpha - 1) s - tau, 0)^(1 / (alpha - 1)), minus 1
double excess(const Weights& w, double alpha, double tau) {
  double sum = -1;
  for (std::size_t j = 0; j < w.scores.size(); ++j) {
    const double x = (alpha - 1) * w.scores[j] - tau;
    sum += w.takes_part[j] && x > 0 ? std::pow(x, 1 / (alpha - 1)) : 0;
  }
  return sum;
}

void set_weights(const Problem& s, double alpha, Weights& w) {
  const std::size_t M = w.scores.size();
  w.weights.assign(M, 0.0);
  double largest = -std::numeric_limits<double>::infinity();
  for (std::size_t j = 0; j < M; ++j) {
    largest = w.takes_part[j] ? std::max(largest, w.scores[j]) : largest;
  }
  if (!std::isfinite(largest)) {
    return;
  }
  if (s.separation == Separation::softmax || s.separation == Separation::polynomial) {
    double sum = s.separation == Separation::polynomial ? kPolynomialEps : 0;
    for (std::size_t j = 0; j < M; ++j) {
      if (w.takes_part[j]) {
        w.weights[j] = s.separation == Separation::softmax
                           ? std::exp(w.scores[j] - largest)
                           : std::pow(std::max(w.scores[j], 0.0), s.degree - 1);
        sum += w.weights[j];
      }
    }
    for (double& weight : w.weights) {
      weight /= sum;
    }
    return;
  }
  // Bisection: tau lies in [largest - 1, largest] of the scaled scores.
  double low = (alpha - 1) * largest - 1;
  double high = (alpha - 1) * largest;
  for (int step = 0; step < 200; ++step) {
    const double middle = low + (high - low) / 2;
    if (middle == low || middle == high) {
      break;  // neighbours
    }
    (excess(w, alpha, middle) > 0 ? low : high) = middle;
  }
  for (std::size_t j = 0; j < M; ++j) {
    const double x = (alpha - 1) * w.scores[j] - low;
    w.weights[j] = w.takes_part[j] && x > 0 ? std::pow(x, 1 / (alpha - 1)) : 0;
  }
}

Weights weights_of(const Problem& s, std::int64_t b, std::int64_t h, std::int64_t i,
                   const double* x, HeadRows k, double beta, double alpha) {
  const std::int64_t M = s.shape.M;
  Weights w;
  w.scores.assign(index(M), 0.0);
  Numbers seen;
  for (std::int64_t j = 0; j < M; ++j) {
    const bool padded = !s.shape.key_lengths.empty() && j >= s.shape.key_lengths[index(b)];
    w.read.push_back(visible(s, b, h, i, j));
    w.takes_part.push_back(s.normalise_all ? !padded : static_cast<bool>(w.read.back()));
    if (w.takes_part.back()) {
      w.scores[index(j)] = beta * inner_product(x, k[j], s.shape.D);
    }
    if (w.read.back()) {
      seen.push_back(w.scores[index(j)]);
    }
  }
  if (s.seen.has_top()) {
    std::int64_t count = s.seen.top_k > 0 ? s.seen.top_k : M;
    if (s.seen.top_fraction > 0) {
      const std::int64_t length = s.shape.key_lengths.empty() ? M : s.shape.key_lengths[index(b)];
      const double share = s.seen.top_fraction * static_cast<double>(length);
      count = std::min(
          count, std::max<std::int64_t>(1, static_cast<std::int64_t>(std::floor(share + 1e-9))));
    }
    std::sort(seen.rbegin(), seen.rend());
    if (count < static_cast<std::int64_t>(seen.size())) {
      for (std::int64_t j = 0; j < M; ++j) {
        if (w.read[index(j)] && w.scores[index(j)] < seen[index(count - 1)]) {
          w.read[index(j)] = false;
          w.takes_part[index(j)] = s.normalise_all;
        }
      }
    }
  }
  set_weights(s, alpha, w);
  return w;
}

struct Query {
  const Problem& s;
  std::int64_t b, h, i;
  HeadRows k, v;
  double beta, alpha;

  Weights weigh(const Numbers& x) const { return weights_of(s, b, h, i, x.data(), k, beta, alpha); }

  // What multiplies the weight of key j in the read-out of the last step, or of another.
  double factor(const Weights& w, std::int64_t j, bool last) const {
    if (!w.read[index(j)]) {
      return 0;
    }
    return last ? s.dropout.factor(b, h, i, j) : 1.0;
  }
  Numbers read(const Weights& w, bool last) const {
    const HeadRows& x = last ? v : k;
    const std::int64_t width = last ? s.shape.Dv : s.shape.D;
    Numbers y(index(width), 0.0);
    for (std::int64_t j = 0; j < s.shape.M; ++j) {
      const double weight = factor(w, j, last) * w.weights[index(j)];
      for (std::int64_t c = 0; weight != 0 && c < width; ++c) {
        y[index(c)] += weight * x[j][c];
      }
    }
    return y;
  }
  // q and the states after each update.
  std::vector<Numbers> states(const double* q) const {
    std::vector<Numbers> all = {Numbers(q, q + s.shape.D)};
    while (static_cast<std::int64_t>(all.size()) < s.update_steps) {
      all.push_back(read(weigh(all.back()), false));
      double moved = 0;
      double size = 0;
      const Numbers& old = all[all.size() - 2];
      for (std::size_t d = 0; d < old.size(); ++d) {
        moved += std::pow(all.back()[d] - old[d], 2);
        size += std::pow(old[d], 2);
      }
      if (s.tolerance > 0 && std::sqrt(moved) <= s.tolerance * std::sqrt(size)) {
        break;
      }
    }
    return all;
  }
};

double alpha_of(const Problem& s, const double* alphas, std::int64_t h) {
  if (s.separation == Separation::entmax) {
    return alphas[h];
  }
  return s.separation == Separation::sparsemax ? 2.0 : 1.0;
}

// The derivative of the weights by the scores, J_jl = d weights_j / d scores_l, as
// [j = l] left_l - first_j second_l.
struct Jacobian {
  Numbers left, first, second;

  double operator()(std::size_t j, std::size_t l) const {
    return (j == l ? left[l] : 0.0) - first[j] * second[l];
  }
};

// Of softmax, sparsemax and entmax diag(u) - u u^T / sum u, u = P^(2 - alpha) on the support; of
// the polynomial the quotient rule.
Jacobian jacobian_of(const Problem& s, const Weights& w, double alpha) {
  Jacobian result;
  double total = s.separation == Separation::polynomial ? kPolynomialEps : 0;
  for (std::size_t n = 0; n < w.scores.size(); ++n) {
    const double score = std::max(w.scores[n], 0.0);
    const double weight = w.weights[n];
    if (s.separation == Separation::polynomial) {
      total += w.takes_part[n] ? std::pow(score, s.degree - 1) : 0;
      result.first.push_back(weight);
      result.left.push_back(
          score > 0 ? static_cast<double>(s.degree - 1) * std::pow(score, s.degree - 2) : 0);
    } else {
      result.left.push_back(weight > 0 ? std::pow(weight, 2 - alpha) : 0.0);
      result.first.push_back(result.left.back());
      total += result.left.back();
    }
  }
  for (double& x : result.left) {
    result.second.push_back(x / total);
    x /= s.separation == Separation::polynomial ? total : 1;
  }
  return result;
}

void for_queries(const Problem& s, void* const* d, const auto& visit) {
  for (std::int64_t b = 0; b < s.shape.B; ++b) {
    for (std::int64_t h = 0; h < s.shape.H; ++h) {
      const HeadRows k = head_rows(s.shape.view(d[1], s.shape.M, s.shape.D), b, h);
      const HeadRows v = head_rows(s.shape.view(d[2], s.shape.M, s.shape.Dv), b, h);
      for (std::int64_t i = 0; i < s.shape.L; ++i) {
        visit(Query{s, b, h, i, k, v, doubles(d[3])[h], alpha_of(s, doubles(d[4]), h)});
      }
    }
  }
}

void forward_definition(const Problem& s, void* const* d) {
  for_queries(s, d, [&](const Query& query) {
    const HeadRows q = head_rows(s.shape.view(d[0], s.shape.L, s.shape.D), query.b, query.h);
    const HeadRows out = head_rows(s.shape.view(d[5], s.shape.L, s.shape.Dv), query.b, query.h);
    const std::vector<Numbers> states = query.states(q[query.i]);
    const Numbers y = query.read(query.weigh(states.back()), true);
    std::copy(y.begin(), y.end(), out[query.i]);
    integers(d[7])[(query.b * s.shape.H + query.h) * s.shape.L + query.i] =
        static_cast<std::int64_t>(states.size());
  });
}

// The slope of sum_j slopes_j weights_j by alpha. With a = alpha - 1, x = a s - tau and P =
// x^(1/a), dP_j = P_j (-ln x_j / a^2 + (s_j - dtau) / (a x_j)), and dtau makes their sum 0.
double alpha_slope(const Query& query, const Weights& w, const Numbers& slopes) {
  const double a = query.alpha - 1;
  double above = 0;
  double below = 0;
  const auto moves = [&](std::size_t j) {
    const double x = std::pow(w.weights[j], a);
    return w.weights[j] * (-std::log(x) / (a * a) + w.scores[j] / (a * x));
  };
  const auto pulls = [&](std::size_t j) { return w.weights[j] / (a * std::pow(w.weights[j], a)); };
  for (std::size_t j = 0; j < slopes.size(); ++j) {
    above += w.weights[j] > 0 ? moves(j) : 0;
    below += w.weights[j] > 0 ? pulls(j) : 0;
  }
  double sum = 0;
  for (std::size_t j = 0; j < slopes.size(); ++j) {
    sum += w.weights[j] > 0 ? slopes[j] * (moves(j) - above / below * pulls(j)) : 0;
  }
  return sum;
}

void backward_definition(const Problem& s, void* const* d) {
  std::fill_n(doubles(d[12]), s.shape.H, 0.0);
  std::fill_n(doubles(d[13]), s.shape.H, 0.0);
  for (std::int64_t b = 0; b < s.shape.B; ++b) {
    for (std::int64_t h = 0; h < s.shape.H; ++h) {
      head_rows(s.shape.view(d[10], s.shape.M, s.shape.D), b, h).clear(s.shape.M, s.shape.D);
      head_rows(s.shape.view(d[11], s.shape.M, s.shape.Dv), b, h).clear(s.shape.M, s.shape.Dv);
    }
  }
  for_queries(s, d, [&](const Query& query) {
    const auto rows = [&](std::size_t buffer, std::int64_t count, std::int64_t width) {
      return head_rows(s.shape.view(d[buffer], count, width), query.b, query.h);
    };
    const HeadRows q = rows(0, s.shape.L, s.shape.D);
    const HeadRows dout = rows(8, s.shape.L, s.shape.Dv);
    const HeadRows dq = rows(9, s.shape.L, s.shape.D);
    const HeadRows dk = rows(10, s.shape.M, s.shape.D);
    const HeadRows dv = rows(11, s.shape.M, s.shape.Dv);
    const std::vector<Numbers> states = query.states(q[query.i]);
    Numbers gradient(dout[query.i], dout[query.i] + s.shape.Dv);
    for (std::size_t t = states.size(); t-- > 0;) {
      const bool last = t + 1 == states.size();
      const HeadRows& x = last ? query.v : query.k;
      const HeadRows& dx = last ? dv : dk;
      const Weights w = query.weigh(states[t]);
      Numbers slopes(index(s.shape.M), 0.0);
      for (std::int64_t j = 0; j < s.shape.M; ++j) {
        const double factor = query.factor(w, j, last);
        for (std::size_t c = 0; factor != 0 && c < gradient.size(); ++c) {
          slopes[index(j)] += factor * gradient[c] * x[j][c];
          dx[j][c] += factor * w.weights[index(j)] * gradient[c];
        }
      }
      gradient.assign(index(s.shape.D), 0.0);
      const Jacobian jacobian = jacobian_of(s, w, query.alpha);
      for (std::int64_t l = 0; l < s.shape.M; ++l) {
        if (!w.takes_part[index(l)]) {
          continue;
        }
        double slope = 0;
        for (std::int64_t j = 0; j < s.shape.M; ++j) {
          if (slopes[index(j)] != 0) {
            slope += slopes[index(j)] * jacobian(index(j), index(l));
          }
        }
        for (std::int64_t c = 0; c < s.shape.D; ++c) {
          gradient[index(c)] += query.beta * slope * query.k[l][c];
          dk[l][c] += query.beta * slope * states[t][index(c)];
        }
        doubles(d[12])[query.h] += slope * inner_product(states[t].data(), query.k[l], s.shape.D);
      }
      if (s.separation == Separation::entmax) {
        doubles(d[13])[query.h] += alpha_slope(query, w, slopes);
      }
    }
    std::copy(gradient.begin(), gradient.end(), dq[query.i]);
  });
}

// --- Cases. ---

std::vector<CaseBuffer> buffers(const Problem& p, Role out_role) {
  const AssociationProblem& s = p.shape;
  std::vector<CaseBuffer> all = {{"q", Role::input, s.extents(s.L, s.D), -1.2, 1.2},
                                 {"k", Role::input, s.extents(s.M, s.D), -1.2, 1.2},
                                 {"v", Role::input, s.extents(s.M, s.Dv)},
                                 {"beta", Role::input, {s.H}, 0.4, 0.9},
                                 {"alpha", Role::input, {s.H}, p.least_alpha, p.most_alpha},
                                 {"out", out_role, s.extents(s.L, s.Dv)},
                                 {"statistics", out_role, {s.B, s.H, s.L, 3}},
                                 integer_buffer("steps", out_role, {s.B, s.H, s.L}, 1, 1)};
  all[6].compared = false;
  return all;
}

RetrievalForward forward_call(const Problem& p, void* const* d, void* workspace,
                              const Visibility& seen, DType dtype, int variant,
                              Precision precision) {
  const AssociationProblem& s = p.shape;
  return {s.view(d[0], s.L, s.D),
          s.view(d[1], s.M, s.D),
          s.view(d[2], s.M, s.Dv),
          s.view(d[5], s.L, s.Dv),
          d[3],
          p.rule(d[4]),
          seen,
          p.dropout,
          p.update_steps,
          p.tolerance,
          d[6],
          static_cast<std::int64_t*>(d[7]),
          workspace,
          s.B,
          s.H,
          s.D,
          s.Dv,
          dtype,
          variant,
          precision};
}

RetrievalBackward backward_call(const Problem& p, void* const* d, const Visibility& seen,
                                DType dtype, int variant, Precision precision) {
  const AssociationProblem& s = p.shape;
  return {s.view(d[0], s.L, s.D),
          s.view(d[1], s.M, s.D),
          s.view(d[2], s.M, s.Dv),
          s.view(d[5], s.L, s.Dv),
          s.view(d[8], s.L, s.Dv),
          s.view(d[9], s.L, s.D),
          s.view(d[10], s.M, s.D),
          s.view(d[11], s.M, s.Dv),
          d[3],
          d[12],
          d[13],
          p.rule(d[4]),
          seen,
          p.dropout,
          p.update_steps,
          p.tolerance,
          d[6],
          d[14],
          s.B,
          s.H,
          s.D,
          s.Dv,
          dtype,
          variant,
          precision};
}

// NaN in every key that no query may read, and in every value.
void hide_keys(const Problem& p, void* const* d, DType dtype) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const AssociationProblem& s = p.shape;
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t j = 0; j < s.M; ++j) {
      const bool padded = !s.key_lengths.empty() && j >= s.key_lengths[index(b)];
      bool seen = false;
      for (std::int64_t h = 0; h < s.H; ++h) {
        for (std::int64_t i = 0; i < s.L && !seen; ++i) {
          seen = visible(p, b, h, i, j);
        }
      }
      if (!seen) {
        set_row(s, d[2], dtype, s.M, s.Dv, b, j, nan);
      }
      if (p.normalise_all ? padded : !seen) {
        set_row(s, d[1], dtype, s.M, s.D, b, j, nan);
      }
    }
  }
}

double visible_pairs(const Problem& p) {
  const AssociationProblem& s = p.shape;
  if (p.visibility().is_prefix()) {
    return s.pairs();
  }
  double pairs = 0;
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      for (std::int64_t i = 0; i < s.L; ++i) {
        for_each_visible(p.visibility(), b, h, i, [&](std::int64_t) { ++pairs; });
      }
    }
  }
  return pairs;
}

KernelCase forward_case_in(Precision precision, const Problem& p, const CpuContext& machine) {
  const AssociationProblem& s = p.shape;
  KernelCase result;
  result.name = s.name;
  result.buffers = buffers(p, Role::output);
  std::vector<void*> nowhere(result.buffers.size());
  result.buffers.push_back(workspace_bytes(
      "workspace", most_bytes_anywhere(
                       kLastVariant, machine, [&](DType dtype, int variant, const auto& context) {
                         return retrieval_forward_workspace(
                             forward_call(p, nowhere.data(), nullptr, p.visibility(), dtype,
                                          variant, precision),
                             context);
                       })));
  constexpr std::size_t kSeen = 9;
  add_visibility(p, result.buffers);
  result.prepare = [p](void* const* d, DType dtype, const CpuContext&) {
    fill_visibility(p, d, kSeen);
    hide_keys(p, d, dtype);
    return Status{};
  };
  const auto run = [p, precision](void* const* d, DType dtype, int variant, const auto& context) {
    return retrieval_forward(
        forward_call(p, d, d[8], visibility_in(p, d, kSeen), dtype, variant, precision), context);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [p](void* const* d) { forward_definition(p, d); };
  const double steps = static_cast<double>(p.update_steps);
  const double pairs = visible_pairs(p);
  // Up to twice 200 powers of a bisection are what the reference takes.
  result.reference_work = steps * static_cast<double>(s.B * s.H * s.L * s.M) *
                          (static_cast<double>(2 * s.D + 2 * s.Dv) + 400);
  result.cost = {steps * 2 * pairs * static_cast<double>(s.D + s.Dv),
                 s.elements(s.L, s.D + s.Dv) + s.elements(s.M, s.D + s.Dv) + 1,
                 p.separation == Separation::softmax ? steps * pairs : 0};
  return result;
}

KernelCase backward_case_in(Precision precision, const Problem& p, const CpuContext& machine) {
  const AssociationProblem& s = p.shape;
  KernelCase result;
  result.name = s.name;
  result.buffers = buffers(p, Role::input);
  result.buffers.insert(result.buffers.end(), {{"dout", Role::input, s.extents(s.L, s.Dv)},
                                               {"dq", Role::output, s.extents(s.L, s.D)},
                                               {"dk", Role::output, s.extents(s.M, s.D)},
                                               {"dv", Role::output, s.extents(s.M, s.Dv)},
                                               {"dbeta", Role::output, {s.H}},
                                               {"dalpha", Role::output, {s.H}}});
  std::vector<void*> nowhere(result.buffers.size() + 1);
  result.buffers.push_back(workspace_bytes(
      "workspace", most_bytes_anywhere(kLastVariant, machine,
                                       [&](DType dtype, int variant, const auto& context) {
                                         return retrieval_backward_workspace(
                                             backward_call(p, nowhere.data(), p.visibility(), dtype,
                                                           variant, precision),
                                             context);
                                       })));
  constexpr std::size_t kSeen = 15;
  add_visibility(p, result.buffers);
  result.prepare = [p](void* const* d, DType dtype, const CpuContext& context) {
    fill_visibility(p, d, kSeen);
    hide_keys(p, d, dtype);
    const Visibility seen = visibility_in(p, d, kSeen);
    const auto call = [&](void* workspace) {
      return forward_call(p, d, workspace, seen, dtype, 0, Precision::f32);
    };
    std::vector<double> workspace(
        index(retrieval_forward_workspace(call(nullptr), context) / 8 + 1));
    return retrieval_forward(call(workspace.data()), context);
  };
  const auto run = [p, precision](void* const* d, DType dtype, int variant, const auto& context) {
    return retrieval_backward(
        backward_call(p, d, visibility_in(p, d, kSeen), dtype, variant, precision), context);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [p](void* const* d) { backward_definition(p, d); };
  const double steps = static_cast<double>(p.update_steps);
  const double pairs = visible_pairs(p);
  result.reference_work = steps * static_cast<double>(s.B * s.H * s.L * s.M) *
                          static_cast<double>(6 * s.M + 8 * s.D + 6 * s.Dv + 1200);
  result.cost = {steps * pairs * static_cast<double>(6 * s.D + 4 * s.Dv),
                 s.elements(s.L, 2 * s.D + 2 * s.Dv) + s.elements(s.M, 2 * s.D + 2 * s.Dv) + 1,
                 p.separation == Separation::softmax ? steps * pairs : 0};
  return result;
}

KernelCase forward_case(const Problem& p, const CpuContext& machine) {
  return forward_case_in(Precision::f32, p, machine);
}

KernelCase backward_case(const Problem& p, const CpuContext& machine) {
  return backward_case_in(Precision::f32, p, machine);
}

std::vector<KernelCase> cases(KernelCase (*make)(const Problem&, const CpuContext&),
                              const CpuContext& context) {
  std::vector<KernelCase> all;
  for (const Problem& p : retrieval_problems()) {
    all.push_back(make(p, context));
    // A GPU runs all; for the executor the large ones with one separation are enough.
    if (p.shape.L * p.shape.M > 20000 && p.separation != Separation::sparsemax) {
      all.back().run_simt = nullptr;
    }
  }
  return all;
}

const std::vector<KernelVariant> kVariants = {
    {1, "rows", "the definition, one query at a time, scratch of O(M)"},
    {2, "lists", "sparsemax, entmax: one pass of products that keeps the keys above a bound"},
    {3, "tiles", "softmax, polynomial: gathered keys of 64 queries, blocks with a running maximum"},
    {4, "top", "softmax over top-k: the k-th largest score by a sample and one pass, then lists"}};

const std::vector<KernelVariant> kDeviceVariants = {
    {1, "warps", "the definition, a warp for a query, scratch of O(M)"},
    {2, "lists", "sparsemax and entmax: one pass over the scores, a short list for each query"},
    {3, "tiles",
     "softmax: tiles of gathered keys with a running maximum; of a top-k, the thresholds first"}};

// f32: a score carries 1e-6 of rounding into weights and, over three steps, states.
const RegisterKernel forward({"retrieval_forward",
                              "out = separation(beta q.k) v over any visible keys, any steps",
                              kVariants,
                              [](const CpuContext& context) {
                                return cases(forward_case, context);
                              },
                              5e-6,
                              1e-13,
                              {},
                              kDeviceVariants});

// f32: sums over 230 queries.
const RegisterKernel backward({"retrieval_backward",
                               "gradients of retrieval by q, k, v, beta and alpha",
                               kVariants,
                               [](const CpuContext& context) {
                                 return cases(backward_case, context);
                               },
                               5e-5,
                               1e-11,
                               {},
                               kDeviceVariants});

KernelCase sized_forward(const Sizes& s, const CpuContext& context) {
  return forward_case(retrieval_problem(s), context);
}

KernelCase sized_backward(const Sizes& s, const CpuContext& context) {
  return backward_case(retrieval_problem(s), context);
}

const RegisterSizes forward_sizes("retrieval_forward", retrieval_sizes(), sized_forward);
const RegisterSizes backward_sizes("retrieval_backward", retrieval_sizes(), sized_backward);

}  // namespace

std::vector<SizeParameter> retrieval_sizes() {
  std::vector<SizeParameter> all = association_sizes();
  all.push_back(choice("separation", "how scores become weights",
                       {"sparsemax", "entmax15", "entmax", "softmax", "polynomial"}));
  all.push_back({"window", 0, "radius of a window; 0: none", 0});
  all.push_back({"keep", 100, "per cent of keys that a random mask keeps", 1});
  all.push_back(choice("grain", "of the random mask", {"element", "tile", "block"}));
  all.push_back({"top", 0, "per cent of keys that top-k keeps; 0: all", 0});
  all.push_back({"steps", 1, "update steps"});
  return all;
}

RetrievalProblem retrieval_problem(const Sizes& s) {
  Problem p;
  p.shape = association_problem(s);
  constexpr Separation kSeparations[] = {Separation::sparsemax, Separation::entmax,
                                         Separation::entmax, Separation::softmax,
                                         Separation::polynomial};
  p.separation = kSeparations[s.at("separation")];
  if (s.at("separation") == 1) {
    p.least_alpha = p.most_alpha = 1.5;
  }
  p.seen.radius = s.at("window") == 0 ? -1 : s.at("window");
  p.seen.random_key = 1;
  p.seen.keep_below = keep_bound(std::min(1.0, static_cast<double>(s.at("keep")) / 100));
  p.seen.query_shift = s.at("grain") == 0 ? 0 : 6;
  p.seen.key_shift = s.at("grain") == 2 ? 6 : 0;
  p.seen.top_fraction = std::min(1.0, static_cast<double>(s.at("top")) / 100);
  p.update_steps = s.at("steps");
  return p;
}

KernelCase retrieval_forward_case(const RetrievalProblem& p, const CpuContext& context) {
  return forward_case(p, context);
}

KernelCase retrieval_backward_case(const RetrievalProblem& p, const CpuContext& context) {
  return backward_case(p, context);
}

KernelCase retrieval_forward_case_in(Precision precision, const RetrievalProblem& p,
                                     const CpuContext& context) {
  return forward_case_in(precision, p, context);
}

KernelCase retrieval_backward_case_in(Precision precision, const RetrievalProblem& p,
                                      const CpuContext& context) {
  return backward_case_in(precision, p, context);
}

}  // namespace basin::kernels
