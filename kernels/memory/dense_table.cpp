#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "kernels/memory/dense.h"
#include "kernels/memory/memory_case.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::dense_table {

namespace {

using Role = CaseBuffer::Role;

struct Problem {
  const char* name;
  std::int64_t B, P, Q, N;
  Interaction interaction;
  std::int64_t degree = 1;
  RecallOrder order = RecallOrder::random;
  bool counted = false;  ///< memory b has b patterns
  bool real = false;     ///< patterns of any numbers
  std::int64_t most_sweeps = 50;
  std::int64_t first_sweep = 0;
};
constexpr Problem kProblems[] = {
    {"power_2", 2, 5, 7, 20, Interaction::power, 2},
    {"power_3", 2, 40, 7, 20, Interaction::power, 3},
    {"power_4_index", 1, 70, 9, 33, Interaction::power, 4, RecallOrder::index},
    {"rectified_2", 2, 33, 7, 20, Interaction::rectified, 2},
    {"rectified_30", 1, 65, 9, 33, Interaction::rectified, 30},
    {"exponential", 2, 33, 7, 20, Interaction::exponential},
    {"exponential_large", 1, 5, 3, 900, Interaction::exponential},
    {"counted", 4, 3, 5, 20, Interaction::rectified, 3, RecallOrder::random, true},
    {"counted_exponential", 3, 2, 5, 20, Interaction::exponential, 1, RecallOrder::random, true},
    {"real_patterns", 1, 30, 9, 33, Interaction::rectified, 5, RecallOrder::index, false, true},
    {"real_exponential", 1, 30, 9, 33, Interaction::exponential, 1, RecallOrder::index, false,
     true},
    {"one_later_sweep", 1, 30, 9, 33, Interaction::power, 3, RecallOrder::random, false, false, 1,
     5},
    {"one_unit", 1, 2, 3, 1, Interaction::power, 1}};

std::size_t at(std::int64_t n) { return static_cast<std::size_t>(n); }

double dot(const double* a, const double* b, std::int64_t count) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

// F(z), with e^-largest in front of the exponential.
double interact(const Problem& s, double z, double largest) {
  const double x = z / static_cast<double>(s.N);
  switch (s.interaction) {
    case Interaction::power: return std::pow(x, static_cast<double>(s.degree));
    case Interaction::rectified: return x <= 0 ? 0 : std::pow(x, static_cast<double>(s.degree));
    case Interaction::exponential: return std::exp(z - largest);
  }
  return 0;
}

// The overlaps of the whole state anew for every unit.
void recall_definition(const Problem& s, std::uint64_t key, const double* all_patterns,
                       const std::int64_t* counts, const double* queries, double* states,
                       std::int64_t* sweeps, std::int64_t* outcomes) {
  std::vector<std::int32_t> order(at(s.N));
  for (std::int64_t q = 0; q < s.B * s.Q; ++q) {
    const double* patterns = all_patterns + q / s.Q * s.P * s.N;
    const std::int64_t count = counts[q / s.Q];
    double* state = states + q * s.N;
    std::copy(queries + q * s.N, queries + (q + 1) * s.N, state);
    sweeps[q] = 0;
    outcomes[q] = static_cast<std::int64_t>(RecallOutcome::unsettled);
    for (std::int64_t t = 0; t < s.most_sweeps; ++t) {
      sweep_order(s.order, key, static_cast<std::uint64_t>(q),
                  static_cast<std::uint64_t>(s.first_sweep + t), order.data(), s.N);
      bool changed = false;
      for (const std::int32_t i : order) {
        const double old = state[i];
        double largest = 0;
        for (std::int64_t mu = 0; mu < count; ++mu) {
          largest = std::max(largest, dot(patterns + mu * s.N, state, s.N));
        }
        double sum = 0;
        double size = 0;
        for (std::int64_t mu = 0; mu < count; ++mu) {
          state[i] = 1;
          const double on = interact(s, dot(patterns + mu * s.N, state, s.N), largest);
          state[i] = -1;
          const double off = interact(s, dot(patterns + mu * s.N, state, s.N), largest);
          sum += on - off;
          size += std::abs(on) + std::abs(off);
        }
        state[i] = std::abs(sum) <= 1e-12 * size ? old : (sum > 0 ? 1 : -1);
        changed = changed || state[i] != old;
      }
      if (!changed) {
        outcomes[q] = static_cast<std::int64_t>(RecallOutcome::fixed_point);
        break;
      }
      ++sweeps[q];
    }
  }
}

constexpr std::uint64_t kKey = 0x5EEDULL;

Status prepare(const Problem& s, void* const* d, DType dtype) {
  if (!s.real) {
    make_signs(d[0], dtype, s.B * s.P * s.N);
  }
  for (std::int64_t b = 0; s.counted && b < s.B; ++b) {
    integers(d[1])[b] = b;
  }
  make_signs(d[2], dtype, s.B * s.Q * s.N);
  return {};
}

KernelCase recall_case(const Problem& s, const CpuContext& context) {
  const auto params = [s](void* const* d, DType dtype) {
    DenseRecall p{};
    p.interaction = s.interaction;
    p.degree = s.degree;
    p.order = s.order;
    p.most_sweeps = s.most_sweeps;
    p.first_sweep = s.first_sweep;
    p.key = kKey;
    p.B = s.B;
    p.P = s.P;
    p.Q = s.Q;
    p.N = s.N;
    p.dtype = dtype;
    if (d != nullptr) {
      p.patterns = d[0];
      p.counts = integers(d[1]);
      p.queries = d[2];
      p.states = d[3];
      p.sweeps = integers(d[4]);
      p.outcomes = integers(d[5]);
      p.workspace = d[6];
    }
    return p;
  };
  KernelCase result;
  result.name = s.name;
  result.buffers = {
      {"patterns", Role::input, {s.B, s.P, s.N}},
      integer_buffer("counts", Role::input, {s.B}, static_cast<double>(s.P),
                     static_cast<double>(s.P)),
      {"queries", Role::input, {s.B, s.Q, s.N}},
      {"states", Role::output, {s.B, s.Q, s.N}},
      integer_buffer("sweeps", Role::output, {s.B, s.Q}, 0, 0),
      integer_buffer("outcomes", Role::output, {s.B, s.Q}, 0, 0),
      workspace_bytes("workspace", dense_recall_workspace(params(nullptr, DType::f64), context))};
  result.prepare = [s](void* const* d, DType dtype, const CpuContext&) {
    return prepare(s, d, dtype);
  };
  result.run = [params](void* const* d, DType dtype, int, const CpuContext& on) {
    return dense_recall(params(d, dtype), on);
  };
  result.reference = [s](void* const* d) {
    recall_definition(s, kKey, doubles(d[0]), integers(d[1]), doubles(d[2]), doubles(d[3]),
                      integers(d[4]), integers(d[5]));
  };
  const auto terms = static_cast<double>(s.B * s.Q) * static_cast<double>(s.P * s.N);
  const bool exponential = s.interaction == Interaction::exponential;
  // Two sweeps at least: one that changes something and one that does not.
  result.cost = {16 * terms, static_cast<double>(s.B * s.N * (s.P + 2 * s.Q)),
                 exponential ? 4 * terms : 0};
  result.reference_work = 12 * terms * static_cast<double>(s.N);
  return result;
}

// States are -1 and 1: whatever is not equal differs by 2.
const RegisterKernel recall({"dense_memory_recall",
                             "asynchronous updates of a dense associative memory",
                             {{1, "kept overlaps", "a flip adds a column to all overlaps"}},
                             [](const CpuContext& context) {
                               std::vector<KernelCase> all;
                               for (const Problem& s : kProblems) {
                                 all.push_back(recall_case(s, context));
                               }
                               return all;
                             },
                             0.0,
                             0.0});

const std::vector<SizeParameter> kSizes = {{"memories", 1, "independent memories"},
                                           {"patterns", 1000, "patterns in each"},
                                           {"queries", 32, "queries for each"},
                                           {"units", 100, "units"},
                                           kept_size("degree", 3, "of the power")};

Problem sized(const Sizes& s) {
  return {"",
          s.at("memories"),
          s.at("patterns"),
          s.at("queries"),
          s.at("units"),
          Interaction::rectified,
          s.at("degree")};
}

const RegisterSizes recall_sizes("dense_memory_recall", kSizes,
                                 [](const Sizes& s, const CpuContext& context) {
                                   return recall_case(sized(s), context);
                                 });

KernelCase energy_case(const Problem& s) {
  KernelCase result;
  result.name = s.name;
  result.buffers = {{"patterns", Role::input, {s.B, s.P, s.N}},
                    integer_buffer("counts", Role::input, {s.B}, static_cast<double>(s.P),
                                   static_cast<double>(s.P)),
                    {"states", Role::input, {s.B, s.Q, s.N}},
                    {"energy", Role::output, {s.B, s.Q}}};
  result.prepare = [s](void* const* d, DType dtype, const CpuContext&) {
    return prepare(s, d, dtype);
  };
  result.run = [s](void* const* d, DType dtype, int, const CpuContext& on) {
    return dense_energy(
        {d[0], integers(d[1]), d[2], d[3], s.interaction, s.degree, s.B, s.P, s.Q, s.N, dtype}, on);
  };
  result.reference = [s](void* const* d) {
    for (std::int64_t q = 0; q < s.B * s.Q; ++q) {
      const double* patterns = doubles(d[0]) + q / s.Q * s.P * s.N;
      double sum = 0;
      for (std::int64_t mu = 0; mu < integers(d[1])[q / s.Q]; ++mu) {
        sum += interact(s, dot(patterns + mu * s.N, doubles(d[2]) + q * s.N, s.N), 0);
      }
      doubles(d[3])[q] = s.interaction == Interaction::exponential ? -std::log(sum) : -sum;
    }
  };
  const auto terms = static_cast<double>(s.B * s.Q) * static_cast<double>(s.P * s.N);
  result.cost = {2 * terms, static_cast<double>(s.B * s.N * (s.P + s.Q)), 0};
  return result;
}

// f32: energies are rounded once, at the end.
const RegisterKernel energy({"dense_memory_energy",
                             "the energy of a dense associative memory",
                             {{1, "blocks", "32 patterns at a time"}},
                             [](const CpuContext&) {
                               std::vector<KernelCase> all;
                               for (const Problem& s : kProblems) {
                                 all.push_back(energy_case(s));
                               }
                               return all;
                             },
                             5e-7,
                             1e-13});

const RegisterSizes energy_sizes("dense_memory_energy", kSizes,
                                 [](const Sizes& s, const CpuContext&) {
                                   return energy_case(sized(s));
                                 });

}  // namespace

}  // namespace basin::kernels::dense_table
