#include "nn/memories/modern.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/error.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/reduce.h"
#include "tensor/functions/retrieval.h"

namespace basin::nn {

namespace {

// (rows, D) as one head of one batch item.
Tensor as_heads(const Tensor& x) { return x.unsqueeze(0).unsqueeze(0); }

RetrievalInputs inputs(const Tensor& states, const Tensor& patterns, const Tensor& beta,
                       const Tensor& alpha, const AssociationOptions& options) {
  RetrievalInputs in;
  in.q = as_heads(states);
  in.k = as_heads(patterns);
  in.v = in.k;
  in.beta = beta;
  in.alpha = alpha;
  in.options = options;
  return in;
}

void check_states(const char* where, const Tensor& states, const Tensor& patterns) {
  if (states.rank() != 2 || states.size(1) != patterns.size(1)) {
    fail("[{}] needs states (Q, {}) for patterns {}, got {}", where, patterns.size(1),
         describe(patterns), describe(states));
  }
}

}  // namespace

ModernMemory::ModernMemory(const Tensor& patterns, const AssociationOptions& options)
    : patterns_(patterns), options_(options) {
  if (patterns.rank() != 2 || patterns.size(0) < 1 || patterns.size(1) < 1 ||
      (patterns.dtype() != DType::f32 && patterns.dtype() != DType::f64)) {
    fail("[ModernMemory] needs patterns (M, D), f32 or f64, at least one; got {}",
         describe(patterns));
  }
  if (const std::string problem = validate(options); !problem.empty()) {
    fail("[ModernMemory] {}", problem);
  }
  if (is_kernelised(options.separation)) {
    fail("[ModernMemory] {} knows no single patterns; use softmax, sparsemax, entmax or polynomial",
         name_of(options.separation));
  }
  AssociationOptions rest = options;
  const AssociationOptions defaults;
  rest.separation = defaults.separation;
  rest.beta = defaults.beta;
  rest.alpha = defaults.alpha;
  rest.degree = defaults.degree;
  rest.top_k = defaults.top_k;
  rest.top_fraction = defaults.top_fraction;
  rest.normalise = defaults.normalise;
  if (!(rest == defaults)) {
    fail(
        "[ModernMemory] takes separation, beta, alpha, degree, top_k, top_fraction and normalise; "
        "got {}",
        to_text(options));
  }
  const double beta =
      options.beta > 0 ? options.beta : 1 / std::sqrt(static_cast<double>(patterns.size(1)));
  options_.beta = beta;
  patterns_ = patterns_.contiguous();
  beta_ = Tensor::full({1}, beta, patterns.dtype(), patterns.device());
  if (options.separation == Separation::entmax) {
    alpha_ = Tensor::full({1}, options.alpha, patterns.dtype(), patterns.device());
  }
}

Tensor ModernMemory::update(const Tensor& states, std::int64_t steps) const {
  check_states("ModernMemory::update", states, patterns_);
  if (steps == 0) {
    return states;
  }
  AssociationOptions options = options_;
  options.update_steps = steps;
  const RetrievalResult result = retrieval(inputs(states, patterns_, beta_, alpha_, options));
  return result.out.reshape(states.shape());
}

ModernRetrieval ModernMemory::retrieve(const Tensor& states, std::int64_t most_steps,
                                       double tolerance) const {
  check_states("ModernMemory::retrieve", states, patterns_);
  AssociationOptions options = options_;
  options.update_steps = most_steps;
  options.tolerance = tolerance;
  const RetrievalResult result = retrieval(inputs(states, patterns_, beta_, alpha_, options));
  ModernRetrieval found;
  found.states = result.out.reshape(states.shape());
  found.steps = result.steps.reshape({states.size(0)});
  found.residuals = sqrt(sum(square(sub(update(found.states), found.states)), 1));
  return found;
}

bool ModernMemory::has_energy() const {
  return options_.separation != Separation::polynomial && options_.top_k == 0 &&
         options_.top_fraction == 0.0;
}

Tensor ModernMemory::energy(const Tensor& states) const {
  check_states("ModernMemory::energy", states, patterns_);
  if (!has_energy()) {
    fail("[ModernMemory::energy] {} has no known energy; look at the residuals of retrieve()",
         to_text(options_));
  }
  return retrieval_energy(inputs(states, patterns_, beta_, alpha_, options_))
      .reshape({states.size(0)});
}

ModernTrace ModernMemory::trace(const Tensor& states, std::int64_t steps) const {
  check_states("ModernMemory::trace", states, patterns_);
  ModernTrace trace;
  trace.states = Tensor::empty({steps + 1, states.size(0), states.size(1)}, states.dtype());
  if (has_energy()) {
    trace.energies = Tensor::empty({steps + 1, states.size(0)}, states.dtype());
  }
  Tensor state = states;
  for (std::int64_t t = 0; t <= steps; ++t) {
    trace.states.select(0, t).copy_from(state);
    if (has_energy()) {
      trace.energies.select(0, t).copy_from(energy(state));
    }
    state = t < steps ? update(state) : state;
  }
  return trace;
}

Tensor ModernMemory::best_match(const Tensor& states) const {
  check_states("ModernMemory::best_match", states, patterns_);
  // As many states at a time as have 4 million scores.
  const std::int64_t step = std::max<std::int64_t>(1, (std::int64_t{4} << 20) / patterns_.size(0));
  Tensor best = Tensor::empty({states.size(0)}, DType::i64);
  for (std::int64_t begin = 0; begin < states.size(0); begin += step) {
    const std::int64_t end = std::min(begin + step, states.size(0));
    best.slice(0, begin, end)
        .copy_from(argmax(linear(states.slice(0, begin, end), patterns_, Tensor()), 1));
  }
  return best;
}

}  // namespace basin::nn
