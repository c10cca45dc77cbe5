#include "tensor/functions/retrieval.h"

#include <algorithm>

#include "kernels/association/retrieval.h"
#include "tensor/device.h"
#include "tensor/functions/retrieval_arrays.h"
#include "tensor/workspace.h"

namespace basin {

using association::empty_heads;
using association::head_layout;
using association::input;
using association::output;
using association::PreparedRetrieval;

bool retrieval_rounds_factors(const AssociationOptions& options, std::int64_t width) {
  constexpr std::int64_t kWidest = 256;
  return options.separation == Separation::softmax && options.update_steps == 1 &&
         options.top_k == 0 && options.top_fraction == 0 && width <= kWidest;
}

RetrievalResult retrieval(const RetrievalInputs& inputs, Precision precision) {
  const PreparedRetrieval in(inputs, inputs.v, "retrieval", true);
  RetrievalResult result{empty_heads(in.B, in.H, in.L, in.Dv, in.q),
                         Tensor::empty({in.B, in.H, in.L, 3}, in.per_head_dtype(), in.q.device()),
                         Tensor::empty({in.B, in.H, in.L}, DType::i64, in.q.device())};
  kernels::RetrievalForward p{};
  in.fill_in_all(p);
  p.precision = in.kernel_precision(precision);
  p.out = output(result.out);
  p.statistics = result.statistics.mutable_raw();
  p.steps = static_cast<std::int64_t*>(result.steps.mutable_raw());
  Workspace workspace(
      on_device(in.q.device(),
                [&](const auto& at) { return kernels::retrieval_forward_workspace(p, at); }),
      in.q.device());
  p.workspace = workspace.data();
  check(on_device(in.q.device(), [&](const auto& at) { return kernels::retrieval_forward(p, at); }),
        "retrieval", in.q, in.k, in.v);
  return result;
}

RetrievalGradients retrieval_backward(const RetrievalInputs& inputs, const RetrievalResult& forward,
                                      const Tensor& dout, Precision precision) {
  const PreparedRetrieval in(inputs, inputs.v, "retrieval_backward", true);
  association::check_same_heads("retrieval_backward", true, in.q, dout);
  kernels::RetrievalBackward p{};
  in.fill_in_all(p);
  p.precision = in.kernel_precision(precision);
  const Tensor gradient = head_layout(dout);
  RetrievalGradients result;
  result.dq = empty_heads(in.B, in.H, in.L, in.D, in.q);
  result.dk = empty_heads(in.B, in.H, in.M, in.D, in.q);
  result.dv = empty_heads(in.B, in.H, in.M, in.Dv, in.q);
  result.dbeta = Tensor::empty({in.H}, in.per_head_dtype(), in.q.device());
  p.out = input(forward.out);
  p.dout = input(gradient);
  p.dq = output(result.dq);
  p.dk = output(result.dk);
  p.dv = output(result.dv);
  p.dbeta = result.dbeta.mutable_raw();
  if (in.alpha.defined()) {
    result.dalpha = Tensor::empty({in.H}, in.q.dtype(), in.q.device());
    p.dalpha = result.dalpha.mutable_raw();
  }
  p.statistics = forward.statistics.raw();
  Workspace workspace(
      on_device(in.q.device(),
                [&](const auto& at) { return kernels::retrieval_backward_workspace(p, at); }),
      in.q.device());
  p.workspace = workspace.data();
  check(
      on_device(in.q.device(), [&](const auto& at) { return kernels::retrieval_backward(p, at); }),
      "retrieval_backward", in.q, in.k, in.v);
  return result;
}

StepReport report_steps(const Tensor& steps) {
  if (steps.rank() != 3 || steps.dtype() != DType::i64) {
    fail("[report_steps] needs steps (B, H, L) i64, got {}", describe(steps));
  }
  StepReport report;
  for (std::int64_t h = 0; h < steps.size(1); ++h) {
    const std::vector<std::int64_t> taken = steps.select(1, h).to_vector<std::int64_t>();
    std::int64_t most = 0;
    double sum = 0;
    for (const std::int64_t n : taken) {
      most = std::max(most, n);
      sum += static_cast<double>(n);
    }
    report.most.push_back(most);
    report.mean.push_back(taken.empty() ? 0 : sum / static_cast<double>(taken.size()));
  }
  return report;
}

Tensor retrieval_energy(const RetrievalInputs& inputs) {
  const PreparedRetrieval in(inputs, inputs.k, "retrieval_energy");
  Tensor energy = Tensor::empty({in.B, in.H, in.L}, in.q.dtype(), in.q.device());
  kernels::RetrievalEnergy p{};
  p.q = input(in.q);
  p.k = input(in.k);
  p.beta = in.beta.raw();
  p.separation = in.rule();
  p.visibility = in.visibility;
  p.energy = energy.mutable_raw();
  p.B = in.B;
  p.H = in.H;
  p.D = in.D;
  p.dtype = in.q.dtype();
  Workspace workspace(
      on_device(in.q.device(),
                [&](const auto& at) { return kernels::retrieval_energy_workspace(p, at); }),
      in.q.device());
  p.workspace = workspace.data();
  check(on_device(in.q.device(), [&](const auto& at) { return kernels::retrieval_energy(p, at); }),
        "retrieval_energy", in.q, in.k);
  return energy;
}

}  // namespace basin
