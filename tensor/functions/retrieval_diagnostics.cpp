#include "tensor/functions/retrieval_diagnostics.h"

#include "tensor/device.h"
#include "tensor/functions/retrieval_arrays.h"
#include "tensor/workspace.h"

namespace basin {

namespace {

constexpr const char* kWhere = "retrieval_diagnostics";

Tensor as_f64(const Tensor& x) {
  return x.defined() ? x.to(Device::cpu).to(DType::f64).contiguous() : Tensor();
}

RetrievalInputs on_the_cpu(const RetrievalInputs& in) {
  RetrievalInputs result = in;
  result.q = as_f64(in.q);
  result.k = as_f64(in.k);
  result.v = Tensor();
  result.beta = in.beta.defined() ? as_f64(in.beta) : Tensor::full({in.q.size(1)}, 1.0, DType::f64);
  result.alpha = as_f64(in.alpha);
  if (in.key_lengths.defined()) {
    result.key_lengths = in.key_lengths.to(Device::cpu);
  }
  if (in.mask.defined()) {
    result.mask = in.mask.to(Device::cpu);
  }
  result.random_key_there = in.random_key_there.to(Device::cpu);
  result.dropout_key_there = in.dropout_key_there.to(Device::cpu);
  return result;
}

}  // namespace

Tensor retrieval_diagnostics(const DiagnosticsInputs& inputs) {
  check_same_floating(kWhere, inputs.retrieval.q, inputs.retrieval.k);
  if (inputs.retrieval.q.rank() != 4) {
    fail("[{}] needs q (B,H,L,D) and k (B,H,M,D); got {} and {}", kWhere,
         describe(inputs.retrieval.q), describe(inputs.retrieval.k));
  }
  const RetrievalInputs given = on_the_cpu(inputs.retrieval);
  const association::PreparedRetrieval in(given, given.k, kWhere);
  const Shape of_rows = {in.B, in.L};
  const Tensor& rows_in = inputs.rows;
  if (rows_in.defined() && (!(rows_in.shape() == of_rows) ||
                            (rows_in.dtype() != DType::u8 && rows_in.dtype() != DType::boolean))) {
    fail("[{}] rows must be ({}, {}) u8 or bool, got {}", kWhere, in.B, in.L, describe(rows_in));
  }
  if (inputs.sources.defined() &&
      (!(inputs.sources.shape() == of_rows) || inputs.sources.dtype() != DType::i64)) {
    fail("[{}] sources must be ({}, {}) i64, got {}", kWhere, in.B, in.L, describe(inputs.sources));
  }
  const Tensor projection = as_f64(inputs.projection);
  if (projection.defined() && (projection.rank() != 2 || projection.size(1) != in.D)) {
    fail("[{}] the projection must be (features, {}), got {}", kWhere, in.D, describe(projection));
  }
  const Tensor rows = rows_in.defined() ? rows_in.to(Device::cpu).contiguous() : Tensor();
  const Tensor sources =
      inputs.sources.defined() ? inputs.sources.to(Device::cpu).contiguous() : Tensor();

  Tensor figures = Tensor::empty({in.B, in.H, in.L, kernels::kRowFigures}, DType::f64);
  kernels::RetrievalDiagnostics p{};
  p.q = association::input(in.q);
  p.k = association::input(in.k);
  p.beta = in.beta.data<double>();
  p.separation = in.rule();
  p.visibility = in.visibility;
  p.update_steps = in.options.update_steps;
  p.tolerance = in.options.tolerance;
  if (projection.defined()) {
    p.projection = projection.data<double>();
    p.features = projection.size(0);
  }
  p.feature_map = in.options.feature_map;
  p.rows = rows.defined() ? static_cast<const std::uint8_t*>(rows.raw()) : nullptr;
  p.sources = sources.defined() ? sources.data<std::int64_t>() : nullptr;
  p.settled = inputs.settled;
  p.most_steps = inputs.most_steps;
  p.figures = figures.mutable_data<double>();
  p.B = in.B;
  p.H = in.H;
  p.D = in.D;
  Workspace workspace(kernels::retrieval_diagnostics_workspace(p, cpu_context()), Device::cpu);
  p.workspace = workspace.data();
  check(kernels::retrieval_diagnostics(p, cpu_context()), kWhere, in.q, in.k);
  return figures;
}

}  // namespace basin
