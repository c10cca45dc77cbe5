#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

#include "kernels/memory/classical.h"
#include "kernels/memory/memory_case.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::classical_table {

namespace {

using Role = CaseBuffer::Role;
using Numbers = std::vector<double>;

// --- Storage ---

struct StoreProblem {
  const char* name;
  StorageRule rule;
  std::int64_t B, P, N;
  bool keep_diagonal = false;
  bool counted = false;    ///< memory b stores b patterns
  bool dependent = false;  ///< the last pattern is the negative of the first
};
constexpr StoreProblem kStoreProblems[] = {
    {"hebbian", StorageRule::hebbian, 3, 5, 19},
    {"hebbian_one_unit", StorageRule::hebbian, 1, 2, 1},
    {"hebbian_counted", StorageRule::hebbian, 4, 3, 33, false, true},
    {"hebbian_diagonal", StorageRule::hebbian, 1, 4, 40, true},
    {"storkey", StorageRule::storkey, 2, 6, 23},
    {"storkey_counted", StorageRule::storkey, 4, 3, 17, false, true},
    {"storkey_rows", StorageRule::storkey, 1, 9, 50},
    {"pseudo_inverse", StorageRule::pseudo_inverse, 2, 6, 23},
    {"pseudo_inverse_diagonal", StorageRule::pseudo_inverse, 1, 9, 50, true},
    {"pseudo_inverse_counted", StorageRule::pseudo_inverse, 4, 3, 17, false, true},
    {"pseudo_inverse_dependent", StorageRule::pseudo_inverse, 1, 7, 40, true, false, true}};

std::size_t at(std::int64_t n) { return static_cast<std::size_t>(n); }

// W_ij += (xi_i xi_j - xi_i h_ji - h_ij xi_j) / N, each h a sum over the other units.
void storkey_definition(const double* patterns, std::int64_t count, double* w, std::int64_t N) {
  const auto n = static_cast<double>(N);
  for (std::int64_t mu = 0; mu < count; ++mu) {
    const double* xi = patterns + mu * N;
    const Numbers before(w, w + N * N);
    const auto h = [&](std::int64_t i, std::int64_t j) {
      double sum = 0;
      for (std::int64_t k = 0; k < N; ++k) {
        sum += k == i || k == j ? 0 : before[at(i * N + k)] * xi[k];
      }
      return sum;
    };
    for (std::int64_t i = 0; i < N; ++i) {
      for (std::int64_t j = 0; j < N; ++j) {
        w[i * N + j] += i == j ? 0 : (xi[i] * xi[j] - xi[i] * h(j, i) - h(i, j) * xi[j]) / n;
      }
    }
  }
}

// X^T (X X^T)^-1 X by elimination. Of dependent patterns the caller passes a basis.
void projection_definition(const double* patterns, std::int64_t count, double* w, std::int64_t N) {
  const std::int64_t width = count + N;
  Numbers system(at(count * width));  // X X^T | X becomes 1 | (X X^T)^-1 X
  for (std::int64_t a = 0; a < count; ++a) {
    for (std::int64_t b = 0; b < count; ++b) {
      for (std::int64_t i = 0; i < N; ++i) {
        system[at(a * width + b)] += patterns[a * N + i] * patterns[b * N + i];
      }
    }
    std::copy(patterns + a * N, patterns + (a + 1) * N, system.data() + a * width + count);
  }
  for (std::int64_t a = 0; a < count; ++a) {
    const double pivot = system[at(a * width + a)];
    for (std::int64_t c = 0; c < width; ++c) {
      system[at(a * width + c)] /= pivot;
    }
    for (std::int64_t b = 0; b < count; ++b) {
      const double factor = b == a ? 0 : system[at(b * width + a)];
      for (std::int64_t c = 0; c < width; ++c) {
        system[at(b * width + c)] -= factor * system[at(a * width + c)];
      }
    }
  }
  for (std::int64_t i = 0; i < N; ++i) {
    for (std::int64_t j = 0; j < N; ++j) {
      for (std::int64_t a = 0; a < count; ++a) {
        w[i * N + j] += patterns[a * N + i] * system[at(a * width + count + j)];
      }
    }
  }
}

void store_definition(const StoreProblem& s, const double* patterns, const std::int64_t* counts,
                      double* weights) {
  const auto n = static_cast<double>(s.N);
  for (std::int64_t b = 0; b < s.B; ++b, patterns += s.P * s.N, weights += s.N * s.N) {
    const std::int64_t count = counts[b] - (s.dependent ? 1 : 0);
    std::fill(weights, weights + s.N * s.N, 0.0);
    if (s.rule == StorageRule::hebbian) {
      for (std::int64_t i = 0; i < s.N; ++i) {
        for (std::int64_t j = 0; j < s.N; ++j) {
          for (std::int64_t mu = 0; mu < count; ++mu) {
            weights[i * s.N + j] += patterns[mu * s.N + i] * patterns[mu * s.N + j] / n;
          }
        }
      }
    } else if (s.rule == StorageRule::storkey) {
      storkey_definition(patterns, count, weights, s.N);
    } else {
      projection_definition(patterns, count, weights, s.N);
    }
    for (std::int64_t i = 0; i < s.N; ++i) {
      for (std::int64_t j = 0; j < s.N; ++j) {
        weights[i * s.N + j] *= i == j && !s.keep_diagonal ? 0 : n;
      }
    }
  }
}

KernelCase store_case(const StoreProblem& s, const CpuContext& context) {
  const auto params = [s](void* const* d, DType dtype) {
    ClassicalStore p{};
    p.rule = s.rule;
    p.keep_diagonal = s.keep_diagonal;
    p.B = s.B;
    p.P = s.P;
    p.N = s.N;
    p.dtype = dtype;
    if (d != nullptr) {
      p.patterns = d[0];
      p.counts = integers(d[1]);
      p.weights = d[2];
      p.workspace = d[3];
    }
    return p;
  };
  KernelCase result;
  result.name = s.name;
  result.buffers = {{"patterns", Role::input, {s.B, s.P, s.N}},
                    integer_buffer("counts", Role::input, {s.B}, static_cast<double>(s.P),
                                   static_cast<double>(s.P)),
                    {"weights", Role::output, {s.B, s.N, s.N}},
                    workspace_bytes("workspace", classical_store_workspace(
                                                     params(nullptr, DType::f64), context))};
  result.prepare = [s](void* const* d, DType dtype, const CpuContext&) {
    make_signs(d[0], dtype, s.B * s.P * s.N);
    for (std::int64_t b = 0; s.counted && b < s.B; ++b) {
      integers(d[1])[b] = b;
    }
    for (std::int64_t i = 0; s.dependent && i < s.N; ++i) {
      set_element(d[0], dtype, (s.P - 1) * s.N + i, -element(d[0], dtype, i));
    }
    return Status{};
  };
  result.run = [params](void* const* d, DType dtype, int, const CpuContext& on) {
    return classical_store(params(d, dtype), on);
  };
  result.reference = [s](void* const* d) {
    store_definition(s, doubles(d[0]), integers(d[1]), doubles(d[2]));
  };
  const auto pairs = static_cast<double>(s.B * s.P) * static_cast<double>(s.N * s.N);
  const double passes = s.rule == StorageRule::hebbian ? 2 : 8;
  result.cost = {passes * pairs, static_cast<double>(s.B * s.N * (s.P + s.N)), 0};
  result.reference_work = pairs * (s.rule == StorageRule::storkey ? static_cast<double>(s.N) : 4);
  return result;
}

// Whole numbers are exact in the Hebbian rule. The others add up P terms of rounded products of
// the size of P; f32 weights of the Storkey rule feed back into each other.
const RegisterKernel store(
    {"classical_memory_store",
     "weights of a Hopfield network: Hebbian, Storkey or pseudo-inverse rule",
     {{1, "rows", "rows of one memory, or whole memories, on each thread"}},
     [](const CpuContext& context) {
       std::vector<KernelCase> all;
       for (const StoreProblem& s : kStoreProblems) {
         all.push_back(store_case(s, context));
       }
       return all;
     },
     2e-6,
     1e-14});

const RegisterSizes store_sizes("classical_memory_store",
                                {{"memories", 1, "independent memories"},
                                 {"patterns", 100, "patterns in each"},
                                 {"units", 1000, "units"}},
                                [](const Sizes& s, const CpuContext& context) {
                                  return store_case({"", StorageRule::hebbian, s.at("memories"),
                                                     s.at("patterns"), s.at("units")},
                                                    context);
                                });

// --- Recall and energy ---

struct RecallProblem {
  const char* name;
  std::int64_t B, Q, N;
  RecallOrder order;
  bool whole = true;  ///< weights are small whole numbers, so that fields of zero occur
  bool diagonal = false;
  std::int64_t most_sweeps = 50;
  std::int64_t first_sweep = 0;
};
constexpr RecallProblem kRecallProblems[] = {
    {"random", 2, 9, 20, RecallOrder::random},
    {"index", 2, 9, 20, RecallOrder::index},
    {"synchronous", 2, 9, 20, RecallOrder::synchronous},
    {"one_unit", 1, 3, 1, RecallOrder::random},
    {"two_units_synchronous", 1, 8, 2, RecallOrder::synchronous},
    {"diagonal", 3, 5, 33, RecallOrder::random, true, true},
    {"real_weights", 3, 40, 33, RecallOrder::random, false},
    {"real_weights_synchronous", 3, 40, 33, RecallOrder::synchronous, false},
    {"one_later_sweep", 1, 40, 50, RecallOrder::random, false, false, 1, 7},
    {"no_sweep", 1, 3, 5, RecallOrder::index, true, false, 0}};

void symmetric(const RecallProblem& s, void* weights, DType dtype) {
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t i = 0; i < s.N; ++i) {
      for (std::int64_t j = 0; j <= i; ++j) {
        const std::int64_t here = (b * s.N + i) * s.N + j;
        double w = element(weights, dtype, here);
        w = s.whole ? std::round(3 * w) : w;
        w = i == j ? (s.diagonal ? std::abs(w) : 0) : w;
        set_element(weights, dtype, here, w);
        set_element(weights, dtype, (b * s.N + j) * s.N + i, w);
      }
    }
  }
}

double field_of(const double* weights, const double* state, std::int64_t i, std::int64_t N) {
  double sum = 0;
  for (std::int64_t j = 0; j < N; ++j) {
    sum += weights[i * N + j] * state[j];
  }
  return sum;
}

double next_of(const double* weights, const double* state, std::int64_t i, std::int64_t N) {
  const double field = field_of(weights, state, i, N);
  return field > 0 ? 1.0 : (field < 0 ? -1.0 : state[i]);
}

// Every field anew from the definition.
void recall_definition(const RecallProblem& s, std::uint64_t key, const double* weights,
                       const double* queries, double* states, std::int64_t* sweeps,
                       std::int64_t* outcomes) {
  std::vector<std::int32_t> order(at(s.N));
  for (std::int64_t q = 0; q < s.B * s.Q; ++q) {
    const double* w = weights + q / s.Q * s.N * s.N;
    std::vector<Numbers> history{Numbers(queries + q * s.N, queries + (q + 1) * s.N)};
    auto outcome = RecallOutcome::unsettled;
    for (std::int64_t t = 0; t < s.most_sweeps && outcome == RecallOutcome::unsettled; ++t) {
      Numbers state = history.back();
      if (s.order == RecallOrder::synchronous) {
        for (std::int64_t i = 0; i < s.N; ++i) {
          state[at(i)] = next_of(w, history.back().data(), i, s.N);
        }
      } else {
        sweep_order(s.order, key, static_cast<std::uint64_t>(q),
                    static_cast<std::uint64_t>(s.first_sweep + t), order.data(), s.N);
        for (const std::int32_t i : order) {
          state[at(i)] = next_of(w, state.data(), i, s.N);
        }
      }
      if (state == history.back()) {
        outcome = RecallOutcome::fixed_point;
        break;
      }
      if (s.order == RecallOrder::synchronous && history.size() > 1 &&
          state == history[history.size() - 2]) {
        outcome = RecallOutcome::cycle;
      }
      history.push_back(state);
    }
    std::copy(history.back().begin(), history.back().end(), states + q * s.N);
    sweeps[q] = static_cast<std::int64_t>(history.size()) - 1;
    outcomes[q] = static_cast<std::int64_t>(outcome);
  }
}

constexpr std::uint64_t kKey = 0x5EEDULL;

KernelCase recall_case(const RecallProblem& s, const CpuContext& context) {
  const auto params = [s](void* const* d, DType dtype) {
    ClassicalRecall p{};
    p.order = s.order;
    p.most_sweeps = s.most_sweeps;
    p.first_sweep = s.first_sweep;
    p.key = kKey;
    p.B = s.B;
    p.Q = s.Q;
    p.N = s.N;
    p.dtype = dtype;
    if (d != nullptr) {
      p.weights = d[0];
      p.queries = d[1];
      p.states = d[2];
      p.sweeps = integers(d[3]);
      p.outcomes = integers(d[4]);
      p.workspace = d[5];
    }
    return p;
  };
  KernelCase result;
  result.name = s.name;
  result.buffers = {{"weights", Role::input, {s.B, s.N, s.N}},
                    {"queries", Role::input, {s.B, s.Q, s.N}},
                    {"states", Role::output, {s.B, s.Q, s.N}},
                    integer_buffer("sweeps", Role::output, {s.B, s.Q}, 0, 0),
                    integer_buffer("outcomes", Role::output, {s.B, s.Q}, 0, 0),
                    workspace_bytes("workspace", classical_recall_workspace(
                                                     params(nullptr, DType::f64), context))};
  result.prepare = [s](void* const* d, DType dtype, const CpuContext&) {
    symmetric(s, d[0], dtype);
    make_signs(d[1], dtype, s.B * s.Q * s.N);
    return Status{};
  };
  result.run = [params](void* const* d, DType dtype, int, const CpuContext& on) {
    return classical_recall(params(d, dtype), on);
  };
  result.reference = [s](void* const* d) {
    recall_definition(s, kKey, doubles(d[0]), doubles(d[1]), doubles(d[2]), integers(d[3]),
                      integers(d[4]));
  };
  const auto fields = static_cast<double>(s.B * s.Q) * static_cast<double>(s.N * s.N);
  const auto numbers = static_cast<double>(s.B * s.N * (s.N + 2 * s.Q));
  result.cost = {2 * fields, numbers, 0};
  result.reference_work = 20 * fields;
  return result;
}

// States are -1 and 1: whatever is not equal differs by 2.
const RegisterKernel recall({"classical_memory_recall",
                             "sign updates of a Hopfield network until nothing changes",
                             {{1, "kept fields", "a flip adds a row of weights to all fields"}},
                             [](const CpuContext& context) {
                               std::vector<KernelCase> all;
                               for (const RecallProblem& s : kRecallProblems) {
                                 all.push_back(recall_case(s, context));
                               }
                               return all;
                             },
                             0.0,
                             0.0});

const RegisterSizes recall_sizes("classical_memory_recall",
                                 {{"memories", 1, "independent memories"},
                                  {"queries", 64, "queries for each"},
                                  {"units", 1000, "units"}},
                                 [](const Sizes& s, const CpuContext& context) {
                                   return recall_case({"", s.at("memories"), s.at("queries"),
                                                       s.at("units"), RecallOrder::random},
                                                      context);
                                 });

KernelCase energy_case(const RecallProblem& s) {
  constexpr double kScale = 0.25;
  KernelCase result;
  result.name = s.name;
  result.buffers = {{"weights", Role::input, {s.B, s.N, s.N}},
                    {"states", Role::input, {s.B, s.Q, s.N}},
                    {"energy", Role::output, {s.B, s.Q}}};
  result.prepare = [s](void* const* d, DType dtype, const CpuContext&) {
    symmetric(s, d[0], dtype);
    make_signs(d[1], dtype, s.B * s.Q * s.N);
    return Status{};
  };
  result.run = [s](void* const* d, DType dtype, int, const CpuContext& on) {
    return classical_energy({d[0], d[1], d[2], kScale, s.B, s.Q, s.N, dtype}, on);
  };
  result.reference = [s](void* const* d) {
    for (std::int64_t q = 0; q < s.B * s.Q; ++q) {
      const double* state = doubles(d[1]) + q * s.N;
      double sum = 0;
      for (std::int64_t i = 0; i < s.N; ++i) {
        sum += state[i] * field_of(doubles(d[0]) + q / s.Q * s.N * s.N, state, i, s.N);
      }
      doubles(d[2])[q] = -kScale / 2 * sum;
    }
  };
  const auto fields = static_cast<double>(s.B * s.Q) * static_cast<double>(s.N * s.N);
  result.cost = {2 * fields, static_cast<double>(s.B * s.N * (s.N + s.Q)), 0};
  return result;
}

// N^2 terms of 1, in partial sums of N.
const RegisterKernel energy({"classical_memory_energy",
                             "-s W s / 2",
                             {{1, "rows", "a dot product for each unit"}},
                             [](const CpuContext&) {
                               std::vector<KernelCase> all;
                               for (const RecallProblem& s : kRecallProblems) {
                                 all.push_back(energy_case(s));
                               }
                               return all;
                             },
                             5e-6,
                             1e-14});

const RegisterSizes energy_sizes("classical_memory_energy",
                                 {{"memories", 1, "independent memories"},
                                  {"states", 64, "states of each"},
                                  {"units", 1000, "units"}},
                                 [](const Sizes& s, const CpuContext&) {
                                   return energy_case({"", s.at("memories"), s.at("states"),
                                                       s.at("units"), RecallOrder::random});
                                 });

}  // namespace

}  // namespace basin::kernels::classical_table
