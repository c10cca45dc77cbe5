#include "kernels/memory/classical.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "kernels/common/dispatch.h"
#include "kernels/common/row_math.h"
#include "kernels/memory/scratch.h"

namespace basin {

const char* name_of(StorageRule rule) {
  switch (rule) {
    case StorageRule::hebbian: return "hebbian";
    case StorageRule::storkey: return "storkey";
    case StorageRule::pseudo_inverse: return "pseudo-inverse";
  }
  return "?";
}

bool parse(const char* name, StorageRule& rule) {
  for (const StorageRule known :
       {StorageRule::hebbian, StorageRule::storkey, StorageRule::pseudo_inverse}) {
    if (std::strcmp(name, name_of(known)) == 0) {
      rule = known;
      return true;
    }
  }
  return false;
}

}  // namespace basin

namespace basin::kernels {

namespace {

// Rows of a weight matrix that one piece of work makes.
constexpr std::int64_t kRows = 16;

// A pattern whose part outside the span of those before it has at most this share of its squared
// length belongs to the span: rounding leaves about 1e-30, and the patterns of -1 and 1 that are
// nearest to a span without belonging to it much more than this.
constexpr double kSpanned = 1e-12;

template <class T>
void store_hebbian(const T* patterns, std::int64_t count, T* weights, std::int64_t N,
                   const CpuContext& context) {
  for_ranges(context, N, kRows, [&](std::int64_t begin, std::int64_t end) {
    std::fill(weights + begin * N, weights + end * N, T(0));
    for (std::int64_t mu = 0; mu < count; ++mu) {
      const T* pattern = patterns + mu * N;
      for (std::int64_t i = begin; i < end; ++i) {
        row_add(weights + i * N, pattern, N, pattern[i]);
      }
    }
  });
}

// With V = N W and H_i = sum_k V_ik xi_k, h_ij = (H_i - V_ij xi_j) / N; because xi^2 = 1,
// V_ij += xi_i xi_j - (xi_i H_j + xi_j H_i - 2 V_ij) / N.
template <class T>
void store_storkey(const T* patterns, std::int64_t count, T* weights, T* field, std::int64_t N,
                   const CpuContext& context) {
  std::fill(weights, weights + N * N, T(0));
  const T share = T(1) / static_cast<T>(N);
  for (std::int64_t mu = 0; mu < count; ++mu) {
    const T* pattern = patterns + mu * N;
    for_ranges(context, N, kRows, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        field[i] = row_dot(weights + i * N, pattern, N);
      }
    });
    for_ranges(context, N, kRows, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        T* row = weights + i * N;
        for (std::int64_t j = 0; j < N; ++j) {
          row[j] += pattern[i] * pattern[j] -
                    share * ((pattern[i] * field[j] + pattern[j] * field[i]) - 2 * row[j]);
        }
        row[i] = 0;
      }
    });
  }
}

// An orthonormal basis of the patterns (Gram and Schmidt, twice), then the sum of its outer
// products. `basis` has room for count N numbers.
template <class T>
void store_projection(const T* patterns, std::int64_t count, T* weights, double* basis,
                      std::int64_t N, const CpuContext& context) {
  std::int64_t rank = 0;
  for (std::int64_t mu = 0; mu < count && rank < N; ++mu) {
    double* rest = basis + rank * N;
    std::copy(patterns + mu * N, patterns + (mu + 1) * N, rest);
    const double length = row_dot(rest, rest, N);
    for (int pass = 0; pass < 2; ++pass) {
      for (std::int64_t n = 0; n < rank; ++n) {
        row_add(rest, basis + n * N, N, -row_dot(rest, basis + n * N, N));
      }
    }
    const double left = row_dot(rest, rest, N);
    if (left <= kSpanned * length) {
      continue;
    }
    const double factor = 1 / std::sqrt(left);
    for (std::int64_t i = 0; i < N; ++i) {
      rest[i] *= factor;
    }
    ++rank;
  }
  double* sums = basis + count * N;  // a row for each piece of work
  for_ranges(context, N, kRows, [&](std::int64_t begin, std::int64_t end) {
    double* sum = sums + begin / kRows * N;
    for (std::int64_t i = begin; i < end; ++i) {
      std::fill(sum, sum + N, 0.0);
      for (std::int64_t n = 0; n < rank; ++n) {
        row_add(sum, basis + n * N, N, basis[n * N + i]);
      }
      for (std::int64_t j = 0; j < N; ++j) {
        weights[i * N + j] = static_cast<T>(static_cast<double>(N) * sum[j]);
      }
    }
  });
}

std::int64_t store_doubles(const ClassicalStore& p) {
  switch (p.rule) {
    case StorageRule::hebbian: return 0;
    case StorageRule::storkey: return p.N;
    case StorageRule::pseudo_inverse: return (p.P + (p.N + kRows - 1) / kRows) * p.N;
  }
  return 0;
}

// -1, 1, or what it was.
template <class T>
T sign_or(T field, T tie, T old) {
  return field > tie ? T(1) : (field < -tie ? T(-1) : old);
}

template <class T>
struct Query {
  const ClassicalRecall& p;
  const T* weights;  // of its memory
  T* state;
  T* field;
  T* next;  // synchronous only, like previous
  T* previous;
  std::int32_t* order;

  void flip(std::int64_t i, T to) {
    state[i] = to;
    row_add(field, weights + i * p.N, p.N, 2 * to);
  }

  // Whether a sweep changed something.
  bool sweep(std::uint64_t query, std::int64_t t) {
    sweep_order(p.order, p.key, query, static_cast<std::uint64_t>(p.first_sweep + t), order, p.N);
    const T tie = static_cast<T>(p.tie);
    bool changed = false;
    for (std::int64_t n = 0; n < p.N; ++n) {
      const std::int64_t i = order[n];
      const T to = sign_or(field[i], tie, state[i]);
      if (to != state[i]) {
        flip(i, to);
        changed = true;
      }
    }
    return changed;
  }

  // All units from the fields before any of them changed; in `previous` the state before.
  bool step() {
    const T tie = static_cast<T>(p.tie);
    bool changed = false;
    for (std::int64_t i = 0; i < p.N; ++i) {
      next[i] = sign_or(field[i], tie, state[i]);
      changed = changed || next[i] != state[i];
    }
    std::copy(state, state + p.N, previous);
    for (std::int64_t i = 0; i < p.N; ++i) {
      if (next[i] != state[i]) {
        flip(i, next[i]);
      }
    }
    return changed;
  }
};

template <class T>
void recall(const ClassicalRecall& p, std::int64_t query, std::byte* scratch) {
  const std::int64_t b = query / p.Q;
  Scratch room(scratch);
  T* field = room.take<T>(p.N);
  T* next = room.take<T>(p.N);
  T* previous = room.take<T>(p.N);
  T* before = room.take<T>(p.N);
  auto* order = room.take<std::int32_t>(p.N);
  T* state = static_cast<T*>(p.states) + query * p.N;
  const T* start = static_cast<const T*>(p.queries) + query * p.N;
  const T* weights = static_cast<const T*>(p.weights) + b * p.N * p.N;
  std::copy(start, start + p.N, state);
  for (std::int64_t i = 0; i < p.N; ++i) {
    field[i] = row_dot(weights + i * p.N, state, p.N);
  }
  Query<T> unit{p, weights, state, field, next, previous, order};
  auto outcome = RecallOutcome::unsettled;
  std::int64_t changes = 0;
  for (std::int64_t t = 0; t < p.most_sweeps; ++t) {
    if (p.order == RecallOrder::synchronous) {
      std::copy(previous, previous + p.N, before);  // two steps back, from the second step on
      if (!unit.step()) {
        outcome = RecallOutcome::fixed_point;
        break;
      }
      ++changes;
      if (t > 0 && std::equal(state, state + p.N, before)) {
        outcome = RecallOutcome::cycle;
        break;
      }
    } else {
      if (!unit.sweep(static_cast<std::uint64_t>(query), t)) {
        outcome = RecallOutcome::fixed_point;
        break;
      }
      ++changes;
    }
  }
  if (p.sweeps != nullptr) {
    p.sweeps[query] = changes;
  }
  if (p.outcomes != nullptr) {
    p.outcomes[query] = static_cast<std::int64_t>(outcome);
  }
}

std::int64_t recall_bytes(const ClassicalRecall& p) {
  const auto size =
      static_cast<std::int64_t>(p.dtype == DType::f32 ? sizeof(float) : sizeof(double));
  return 4 * scratch_bytes(p.N, size) + scratch_bytes(p.N, sizeof(std::int32_t));
}

}  // namespace

std::int64_t classical_store_workspace(const ClassicalStore& p, const CpuContext& context) {
  return context.pool->threads() * scratch_bytes(store_doubles(p), sizeof(double));
}

Status classical_store(const ClassicalStore& p, const CpuContext& context) {
  if (p.rule == StorageRule::storkey && p.keep_diagonal) {
    return Status::invalid("classical_store: the Storkey rule has no diagonal to keep");
  }
  for (std::int64_t b = 0; p.counts != nullptr && b < p.B; ++b) {
    if (p.counts[b] < 0 || p.counts[b] > p.P) {
      return Status::invalid("classical_store: counts must lie between 0 and the patterns", b);
    }
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t doubles = store_doubles(p);
    // A single memory is cut into rows instead: calls from inside a piece run on its thread.
    for_ranges(context, p.B, 1, [&](std::int64_t b, std::int64_t) {
      const T* patterns = static_cast<const T*>(p.patterns) + b * p.P * p.N;
      T* weights = static_cast<T*>(p.weights) + b * p.N * p.N;
      const std::int64_t count = p.counts == nullptr ? p.P : p.counts[b];
      auto* scratch = static_cast<std::byte*>(p.workspace) +
                      ThreadPool::thread_index() * scratch_bytes(doubles, sizeof(double));
      if (p.rule == StorageRule::hebbian) {
        store_hebbian(patterns, count, weights, p.N, context);
      } else if (p.rule == StorageRule::storkey) {
        store_storkey(patterns, count, weights, reinterpret_cast<T*>(scratch), p.N, context);
      } else {
        store_projection(patterns, count, weights, reinterpret_cast<double*>(scratch), p.N,
                         context);
      }
      for (std::int64_t i = 0; i < p.N && !p.keep_diagonal; ++i) {
        weights[i * p.N + i] = 0;
      }
    });
    return Status{};
  });
}

std::int64_t classical_recall_workspace(const ClassicalRecall& p, const CpuContext& context) {
  return context.pool->threads() * recall_bytes(p);
}

Status classical_recall(const ClassicalRecall& p, const CpuContext& context) {
  if (p.most_sweeps < 0 || p.first_sweep < 0 || !(p.tie >= 0)) {
    return Status::invalid("classical_recall: sweeps and tie must not be negative");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t grain =
        std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(1, p.N * p.N));
    for_ranges(context, p.B * p.Q, grain, [&](std::int64_t begin, std::int64_t end) {
      auto* scratch =
          static_cast<std::byte*>(p.workspace) + ThreadPool::thread_index() * recall_bytes(p);
      for (std::int64_t query = begin; query < end; ++query) {
        recall<T>(p, query, scratch);
      }
    });
    return Status{};
  });
}

Status classical_energy(const ClassicalEnergy& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    for_ranges(context, p.B * p.Q, 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t query = begin; query < end; ++query) {
        const T* state = static_cast<const T*>(p.states) + query * p.N;
        const T* weights = static_cast<const T*>(p.weights) + query / p.Q * p.N * p.N;
        double sum = 0;
        for (std::int64_t i = 0; i < p.N; ++i) {
          sum += static_cast<double>(state[i]) *
                 static_cast<double>(row_dot(weights + i * p.N, state, p.N));
        }
        static_cast<T*>(p.energy)[query] = static_cast<T>(-0.5 * p.scale * sum);
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels
