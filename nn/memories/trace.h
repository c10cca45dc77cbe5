// A recall, sweep by sweep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tensor/functions/binary_memory.h"

namespace basin::nn {

struct RecallTrace {
  Tensor states;    ///< (T+1, ..., N): at the start and after each of T sweeps
  Tensor energies;  ///< (T+1, ...)
};

/// Traces the recall of any memory that has recall() and energy(). Each query takes the orders of
/// sweeps it would take in one call; a settled one stays where it is.
template <class Memory>
RecallTrace trace_recall(const Memory& memory, const Tensor& queries, RecallOptions options) {
  std::vector<Tensor> states{queries};
  const std::int64_t most = options.most_sweeps;
  options.most_sweeps = 1;
  for (std::int64_t t = 0; t < most; ++t) {
    Recall next = memory.recall(states.back(), options);
    bool changed = false;
    for (const std::int64_t sweeps : next.sweeps.to_vector<std::int64_t>()) {
      changed = changed || sweeps > 0;
    }
    if (!changed) {
      break;
    }
    states.push_back(next.states);
    ++options.first_sweep;
  }
  const auto with_steps = [&](const Tensor& one) {
    Shape shape = one.shape();
    shape.insert(0, static_cast<std::int64_t>(states.size()));
    return Tensor::empty(shape, one.dtype());
  };
  RecallTrace trace{with_steps(queries), with_steps(memory.energy(queries))};
  for (std::size_t t = 0; t < states.size(); ++t) {
    const auto step = static_cast<std::int64_t>(t);
    trace.states.select(0, step).copy_from(states[t]);
    trace.energies.select(0, step).copy_from(memory.energy(states[t]));
  }
  return trace;
}

}  // namespace basin::nn
