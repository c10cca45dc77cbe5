#include "tensor/functions/retrieval.h"

#include <algorithm>

#include "kernels/association/retrieval.h"
#include "tensor/device.h"
#include "tensor/functions/association_arrays.h"
#include "tensor/workspace.h"

namespace basin {

using association::empty_heads;
using association::head_layout;
using association::input;
using association::output;
using association::Prepared;

namespace {

// Queries and keys of the tiles and blocks that share a draw: 2^6.
constexpr std::int32_t kGrainShift = 6;

struct PreparedRetrieval : Prepared {
  const AssociationOptions& options;
  Tensor alpha, mask;
  kernels::Visibility visibility{};

  PreparedRetrieval(const RetrievalInputs& inputs, const Tensor& values, const char* where)
      : Prepared(inputs.q, inputs.k, values, inputs.beta, inputs.key_lengths, where),
        options(inputs.options) {
    if (!inputs.beta.defined()) {
      fail("[{}] beta is missing", where);
    }
    if (const std::string problem = validate(options); !problem.empty()) {
      fail("[{}] {}", where, problem);
    }
    if (options.separation == Separation::entmax) {
      if (!inputs.alpha.defined()) {
        fail("[{}] entmax needs alpha, one exponent per head", where);
      }
      check_same_floating(where, inputs.q, inputs.alpha);
      if (!(inputs.alpha.shape() == Shape{H})) {
        fail("[{}] alpha must have one entry per head, ({}); got {}", where, H,
             describe(inputs.alpha));
      }
      alpha = inputs.alpha.contiguous();
    }
    visibility.L = L;
    visibility.M = M;
    visibility.causal = options.causal;
    visibility.key_lengths = lengths();
    visibility.radius = options.window;
    visibility.dilation = options.dilation;
    visibility.global_tokens = options.global_tokens;
    visibility.random_key = inputs.random_key;
    visibility.keep_below = kernels::keep_bound(options.random_keep);
    visibility.query_shift = options.random_grain == MaskGrain::element ? 0 : kGrainShift;
    visibility.key_shift = options.random_grain == MaskGrain::block ? kGrainShift : 0;
    visibility.top_k = options.top_k;
    visibility.top_fraction = options.top_fraction;
    if (inputs.mask.defined()) {
      take_mask(inputs.mask, where);
    }
  }

  void take_mask(const Tensor& given, const char* where) {
    const bool is_byte = given.dtype() == DType::u8 || given.dtype() == DType::boolean;
    const auto fits = [&](int dim, std::int64_t extent) {
      return given.size(dim) == extent || given.size(dim) == 1;
    };
    if (!is_byte || given.rank() != 4 || !fits(0, B) || !fits(1, H) || given.size(2) != L ||
        given.size(3) != M) {
      fail("[{}] a mask must be u8 or bool, ({} or 1, {} or 1, {}, {}); got {}", where, B, H, L, M,
           describe(given));
    }
    mask = given.contiguous().to(q.device());
    visibility.mask = static_cast<const std::uint8_t*>(mask.raw());
    visibility.mask_head_stride = mask.size(1) == 1 ? 0 : L * M;
    visibility.mask_batch_stride = mask.size(0) == 1 ? 0 : mask.size(1) * L * M;
  }

  kernels::SeparationRule rule() const {
    return {options.separation, alpha.defined() ? alpha.raw() : nullptr, options.degree,
            options.normalise == Normalise::all};
  }

  template <class Params>
  void fill_in_all(Params& p, const RetrievalInputs& inputs) const {
    p.q = input(q);
    p.k = input(k);
    p.v = input(v);
    p.beta = beta.raw();
    p.separation = rule();
    p.visibility = visibility;
    p.dropout = {options.weight_dropout, inputs.dropout_key};
    p.update_steps = options.update_steps;
    p.tolerance = options.tolerance;
    p.B = B;
    p.H = H;
    p.D = D;
    p.Dv = Dv;
    p.dtype = q.dtype();
  }
};

}  // namespace

RetrievalResult retrieval(const RetrievalInputs& inputs) {
  const PreparedRetrieval in(inputs, inputs.v, "retrieval");
  RetrievalResult result{empty_heads(in.B, in.H, in.L, in.Dv, in.q),
                         Tensor::empty({in.B, in.H, in.L, 3}, in.q.dtype(), in.q.device()),
                         Tensor::empty({in.B, in.H, in.L}, DType::i64, in.q.device())};
  kernels::RetrievalForward p{};
  in.fill_in_all(p, inputs);
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
                                      const Tensor& dout) {
  const PreparedRetrieval in(inputs, inputs.v, "retrieval_backward");
  check_same_floating("retrieval_backward", in.q, dout);
  kernels::RetrievalBackward p{};
  in.fill_in_all(p, inputs);
  const Tensor gradient = head_layout(dout);
  RetrievalGradients result;
  result.dq = empty_heads(in.B, in.H, in.L, in.D, in.q);
  result.dk = empty_heads(in.B, in.H, in.M, in.D, in.q);
  result.dv = empty_heads(in.B, in.H, in.M, in.Dv, in.q);
  result.dbeta = Tensor::empty({in.H}, in.q.dtype(), in.q.device());
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
