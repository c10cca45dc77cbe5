// What each query of a retrieval does with its keys: sharpness of its weights, and the retrieval
// seen as an update of a memory.
#pragma once

#include <cstdint>

#include "kernels/association/retrieval_diagnostics.h"
#include "tensor/functions/retrieval.h"

namespace basin {

struct DiagnosticsInputs {
  /// Of any dtype and device, with any separation; `v` is not used, nor is dropout of weights.
  RetrievalInputs retrieval;
  Tensor projection;  ///< (features, D): of random features
  Tensor rows;        ///< (B, L) u8 or bool: 0 leaves the query out; undefined: all
  Tensor sources;     ///< (B, L) i64: the key that RowFigure::source_weight is about, below 0: none
  double settled = 1e-3;        ///< see RowFigure::further_steps
  std::int64_t most_steps = 0;  ///< 0: further_steps is not counted
};

/// (B, H, L, kernels::kRowFigures) f64: see kernels::RowFigure. Computed in f64 on the CPU, a query
/// at a time, never with L times M numbers. Throws Error for shapes, dtypes or options that do not
/// fit.
Tensor retrieval_diagnostics(const DiagnosticsInputs&);

}  // namespace basin
