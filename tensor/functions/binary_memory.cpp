#include "tensor/functions/binary_memory.h"

#include "kernels/common/dispatch.h"
#include "tensor/check.h"
#include "tensor/workspace.h"

namespace basin {

namespace {

// Whole numbers up to here are exact in f32.
constexpr std::int64_t kExactInF32 = std::int64_t{1} << 24;

// A contiguous tensor on the CPU.
Tensor operand(const char* where, const Tensor& x, const char* shape) {
  check_same_floating(where, x);
  cpu_only(where, x);
  if (x.rank() != 3) {
    fail("[{}] needs {}, got {}", where, shape, describe(x));
  }
  return x.contiguous();
}

void check_signs(const char* where, const Tensor& x) {
  check(kernels::dispatch_floating(x.dtype(),
                                   [&]<class T>(T) {
                                     const T* data = x.data<T>();
                                     for (std::int64_t i = 0; i < x.numel(); ++i) {
                                       if (data[i] != T(1) && data[i] != T(-1)) {
                                         return kernels::Status::invalid(
                                             "every number must be -1 or 1", i);
                                       }
                                     }
                                     return kernels::Status{};
                                   }),
        where, x);
}

Tensor check_counts(const char* where, const Tensor& counts, const Tensor& patterns) {
  if (!counts.defined()) {
    return counts;
  }
  if (counts.dtype() != DType::i64 || !(counts.shape() == Shape{patterns.size(0)})) {
    fail("[{}] counts must be ({}) i64, one for each memory; got {}", where, patterns.size(0),
         describe(counts));
  }
  cpu_only(where, counts);
  return counts.contiguous();
}

const std::int64_t* pointer(const Tensor& counts) {
  return counts.defined() ? counts.data<std::int64_t>() : nullptr;
}

// Of states or queries (B,Q,N) for memories that are (B,.,N).
void check_fit(const char* where, const Tensor& memories, const Tensor& states) {
  check_same_floating(where, memories, states);
  if (states.size(0) != memories.size(0) || states.size(2) != memories.size(2)) {
    fail("[{}] the states {} do not fit memories {}: batches and units must agree", where,
         describe(states), describe(memories));
  }
}

Tensor weights_operand(const char* where, const Tensor& weights) {
  Tensor w = operand(where, weights, "weights (B, N, N)");
  if (w.size(1) != w.size(2)) {
    fail("[{}] needs weights (B, N, N), got {}", where, describe(weights));
  }
  return w;
}

Recall empty_recall(const Tensor& queries) {
  return {Tensor::empty(queries.shape(), queries.dtype()),
          Tensor::empty({queries.size(0), queries.size(1)}, DType::i64),
          Tensor::empty({queries.size(0), queries.size(1)}, DType::i64)};
}

template <class Params>
void fill_in(Params& p, const Tensor& queries, Recall& result, const RecallOptions& options) {
  p.queries = queries.raw();
  p.states = result.states.mutable_raw();
  p.sweeps = result.sweeps.mutable_data<std::int64_t>();
  p.outcomes = result.outcomes.mutable_data<std::int64_t>();
  p.order = options.order;
  p.most_sweeps = options.most_sweeps;
  p.first_sweep = options.first_sweep;
  p.key = options.key;
  p.B = queries.size(0);
  p.Q = queries.size(1);
  p.N = queries.size(2);
  p.dtype = queries.dtype();
}

}  // namespace

Tensor classical_store(const Tensor& patterns, StorageRule rule, bool keep_diagonal,
                       const Tensor& counts) {
  const char* where = "classical_store";
  const Tensor x = operand(where, patterns, "patterns (B, P, N)");
  const Tensor numbers = check_counts(where, counts, x);
  check_signs(where, x);
  if (x.dtype() == DType::f32 && x.size(1) * x.size(2) > kExactInF32) {
    fail("[{}] {} patterns of {} units in f32: fields above 2^24 are no longer exact. Use f64",
         where, x.size(1), x.size(2));
  }
  Tensor weights = Tensor::empty({x.size(0), x.size(2), x.size(2)}, x.dtype());
  kernels::ClassicalStore p{};
  p.patterns = x.raw();
  p.counts = pointer(numbers);
  p.weights = weights.mutable_raw();
  p.rule = rule;
  p.keep_diagonal = keep_diagonal;
  p.B = x.size(0);
  p.P = x.size(1);
  p.N = x.size(2);
  p.dtype = x.dtype();
  Workspace workspace(kernels::classical_store_workspace(p, cpu_context()));
  p.workspace = workspace.data();
  check(kernels::classical_store(p, cpu_context()), where, patterns);
  return weights;
}

Recall classical_recall(const Tensor& weights, const Tensor& queries, const RecallOptions& options,
                        double tie) {
  const char* where = "classical_recall";
  const Tensor w = weights_operand(where, weights);
  const Tensor x = operand(where, queries, "queries (B, Q, N)");
  check_fit(where, w, x);
  check_signs(where, x);
  Recall result = empty_recall(x);
  kernels::ClassicalRecall p{};
  fill_in(p, x, result, options);
  p.weights = w.raw();
  p.tie = tie;
  Workspace workspace(kernels::classical_recall_workspace(p, cpu_context()));
  p.workspace = workspace.data();
  check(kernels::classical_recall(p, cpu_context()), where, weights, queries);
  return result;
}

Tensor classical_energy(const Tensor& weights, const Tensor& states, double scale) {
  const char* where = "classical_energy";
  const Tensor w = weights_operand(where, weights);
  const Tensor x = operand(where, states, "states (B, Q, N)");
  check_fit(where, w, x);
  Tensor energy = Tensor::empty({x.size(0), x.size(1)}, x.dtype());
  check(kernels::classical_energy({w.raw(), x.raw(), energy.mutable_raw(), scale, x.size(0),
                                   x.size(1), x.size(2), x.dtype()},
                                  cpu_context()),
        where, weights, states);
  return energy;
}

Recall dense_recall(const Tensor& patterns, const Tensor& queries, Interaction interaction,
                    std::int64_t degree, const RecallOptions& options, const Tensor& counts) {
  const char* where = "dense_recall";
  const Tensor xi = operand(where, patterns, "patterns (B, P, N)");
  const Tensor x = operand(where, queries, "queries (B, Q, N)");
  const Tensor numbers = check_counts(where, counts, xi);
  check_fit(where, xi, x);
  check_signs(where, x);
  Recall result = empty_recall(x);
  kernels::DenseRecall p{};
  fill_in(p, x, result, options);
  p.patterns = xi.raw();
  p.counts = pointer(numbers);
  p.interaction = interaction;
  p.degree = degree;
  p.P = xi.size(1);
  Workspace workspace(kernels::dense_recall_workspace(p, cpu_context()));
  p.workspace = workspace.data();
  check(kernels::dense_recall(p, cpu_context()), where, patterns, queries);
  return result;
}

Tensor dense_energy(const Tensor& patterns, const Tensor& states, Interaction interaction,
                    std::int64_t degree, const Tensor& counts) {
  const char* where = "dense_energy";
  const Tensor xi = operand(where, patterns, "patterns (B, P, N)");
  const Tensor x = operand(where, states, "states (B, Q, N)");
  const Tensor numbers = check_counts(where, counts, xi);
  check_fit(where, xi, x);
  Tensor energy = Tensor::empty({x.size(0), x.size(1)}, x.dtype());
  check(
      kernels::dense_energy({xi.raw(), pointer(numbers), x.raw(), energy.mutable_raw(), interaction,
                             degree, x.size(0), xi.size(1), x.size(1), x.size(2), x.dtype()},
                            cpu_context()),
      where, patterns, states);
  return energy;
}

}  // namespace basin
