#include "tools/profile_kernels/association_run.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "kernels/association/association_case.h"
#include "kernels/association/retrieval_case.h"
#include "tensor/device.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/retrieval.h"

namespace basin::profile_kernels {

namespace {

using kernels::CaseBuffer;
using kernels::KernelCase;
using Role = CaseBuffer::Role;
using Arrays = std::map<std::string, Tensor>;

Tensor made_for(const CaseBuffer& buffer, DType dtype, Device device) {
  Shape shape;
  for (const std::int64_t extent : buffer.extents) {
    shape.push_back(extent);
  }
  return Tensor::empty(shape, kernels::dtype_in(buffer, dtype), device);
}

kernels::Status run_on(Device device, const KernelCase& problem, void* const* data, DType dtype,
                       int variant) {
  switch (device) {
    case Device::cpu: return problem.run(data, dtype, variant, cpu_context());
    case Device::simt: return problem.run_simt(data, dtype, variant, simt_context());
    case Device::cuda: break;
  }
  return problem.run_cuda(data, dtype, variant, cuda_context());
}

// Runs a case of the table on arrays by name; what it writes is added to them. The arrays lie on
// the CPU before and after.
void run_case(const KernelCase& problem, Arrays& arrays, DType dtype, int variant, Device device) {
  std::vector<Tensor> there;  // in the order of the buffers
  std::vector<void*> data;
  for (const CaseBuffer& buffer : problem.buffers) {
    there.push_back(buffer.role == Role::input ? arrays.at(buffer.name).to(device)
                                               : made_for(buffer, dtype, device));
    data.push_back(there.back().mutable_raw());
  }
  const kernels::Status status = run_on(device, problem, data.data(), dtype, variant);
  if (!status.ok()) {
    fail("the kernel refuses these arrays: {}", status.message);
  }
  synchronize(device);
  for (std::size_t n = 0; n < there.size(); ++n) {
    const CaseBuffer& buffer = problem.buffers[n];
    if (buffer.role == Role::output || buffer.role == Role::in_out) {
      arrays[buffer.name] = there[n].to(Device::cpu);
    }
  }
}

kernels::AssociationProblem problem_of(const AssociationArrays& a, const Tensor& values) {
  kernels::AssociationProblem problem{.name = "",
                                      .B = a.q.shape()[0],
                                      .H = a.q.shape()[1],
                                      .L = a.q.shape()[2],
                                      .M = a.k.shape()[2],
                                      .D = a.q.shape()[3],
                                      .Dv = values.shape()[3],
                                      .causal = a.options.causal};
  if (a.key_lengths.defined()) {
    problem.key_lengths = a.key_lengths.to_vector<std::int64_t>();
  }
  problem.eps = a.eps;
  return problem;
}

kernels::RetrievalProblem retrieval_problem_of(const AssociationArrays& a) {
  const AssociationOptions& o = a.options;
  kernels::RetrievalProblem problem{.shape = problem_of(a, a.v),
                                    .separation = o.separation,
                                    .degree = o.degree,
                                    .normalise_all = o.normalise == Normalise::all};
  problem.seen.radius = o.window;
  problem.seen.dilation = o.dilation;
  problem.seen.global_tokens = o.global_tokens;
  problem.seen.random_key = a.random_key;
  problem.seen.keep_below = kernels::keep_bound(o.random_keep);
  problem.seen.query_shift = o.random_grain == MaskGrain::element ? 0 : 6;
  problem.seen.key_shift = o.random_grain == MaskGrain::block ? 6 : 0;
  problem.seen.top_k = o.top_k;
  problem.seen.top_fraction = o.top_fraction;
  if (a.mask.defined()) {
    const Tensor mask = a.mask.contiguous();
    const auto* bytes = static_cast<const std::uint8_t*>(mask.raw());
    problem.mask.assign(bytes, bytes + mask.shape().numel());
    problem.mask_items = mask.shape()[0];
    problem.mask_heads = mask.shape()[1];
  }
  problem.update_steps = o.update_steps;
  problem.tolerance = o.tolerance;
  return problem;
}

// All steps are in one call.
AssociationOutputs run_retrieval(const AssociationArrays& a, int variant, Device device) {
  const kernels::RetrievalProblem problem = retrieval_problem_of(a);
  Arrays arrays = {{"q", a.q},
                   {"k", a.k},
                   {"v", a.v},
                   {"beta", a.beta},
                   {"alpha", a.alpha.defined() ? a.alpha : a.beta},  // not read unless entmax
                   {"key_lengths", a.key_lengths}};
  if (!problem.mask.empty()) {  // its bytes, in words
    Tensor words =
        Tensor::zeros({static_cast<std::int64_t>((problem.mask.size() + 7) / 8)}, DType::i64);
    std::memcpy(words.mutable_raw(), problem.mask.data(), problem.mask.size());
    arrays["mask"] = words;
  }
  const bool halves = a.dtype == DType::bf16;
  const auto made = [&](auto in_bf16, auto otherwise) {
    return halves ? in_bf16(kernels::TensorProducts::bf16, problem, cpu_context())
                  : otherwise(problem, cpu_context());
  };
  run_case(made(kernels::retrieval_tensor_forward_case, kernels::retrieval_forward_case), arrays,
           a.dtype, variant, device);
  AssociationOutputs result;
  result.out = arrays.at("out");
  if (a.dout.defined()) {
    arrays["dout"] = a.dout;
    run_case(made(kernels::retrieval_tensor_backward_case, kernels::retrieval_backward_case),
             arrays, a.dtype, variant, device);
    result.dq = arrays.at("dq");
    result.dk = arrays.at("dk");
    result.dv = arrays.at("dv");
    result.dbeta = arrays.at("dbeta");
    result.dalpha = a.alpha.defined() ? arrays.at("dalpha") : Tensor();
  }
  return result;
}

AssociationOutputs run_random_features(const AssociationArrays& a, int variant, Device device) {
  const kernels::RandomFeatureProblem problem{problem_of(a, a.v), a.projection.shape()[0],
                                              a.options.feature_map == FeatureMap::relu};
  Arrays arrays = {{"q", a.q},
                   {"k", a.k},
                   {"v", a.v},
                   {"beta", a.beta},
                   {"projection", a.projection},
                   {"key_lengths", a.key_lengths}};
  run_case(kernels::random_feature_forward_case(problem, cpu_context()), arrays, a.dtype, variant,
           device);
  AssociationOutputs result;
  result.out = arrays.at("out");
  if (a.dout.defined()) {
    arrays["dout"] = a.dout;
    run_case(kernels::random_feature_backward_case(problem, cpu_context()), arrays, a.dtype,
             variant, device);
    result.dq = arrays.at("dq");
    result.dk = arrays.at("dk");
    result.dv = arrays.at("dv");
    result.dbeta = arrays.at("dbeta");
  }
  return result;
}

}  // namespace

std::string entry_for(const AssociationArrays& a) {
  if (a.options.separation == Separation::linear) {
    return a.dtype == DType::bf16 ? "tensor_linear_attention_forward" : "linear_attention_forward";
  }
  if (a.options.separation == Separation::random_features) {
    return "random_feature_attention_forward";
  }
  const bool plain =
      a.options.separation == Separation::softmax && is_plain(a.options) && !a.mask.defined();
  const bool halves = a.dtype == DType::bf16;
  if (plain) {
    return halves ? "tensor_attention_forward" : "attention_forward";
  }
  const std::int64_t width = std::max(a.q.size(-1), a.v.size(-1));
  return halves && retrieval_rounds_factors(a.options, width) ? "retrieval_tensor_forward"
                                                              : "retrieval_forward";
}

AssociationOutputs run_association(const AssociationArrays& a, int variant, Device device) {
  if (entry_for(a).starts_with("retrieval_")) {
    return run_retrieval(a, variant, device);
  }
  if (a.options.separation == Separation::random_features) {
    return run_random_features(a, variant, device);
  }
  const bool linear = a.options.separation == Separation::linear;
  const bool halves = a.dtype == DType::bf16;
  const auto forward = linear && halves ? kernels::tensor_linear_attention_forward_case
                       : linear         ? kernels::linear_attention_forward_case
                       : halves         ? kernels::tensor_attention_forward_case
                                        : kernels::attention_forward_case;
  const auto backward = linear && halves ? kernels::tensor_linear_attention_backward_case
                        : linear         ? kernels::linear_attention_backward_case
                        : halves         ? kernels::tensor_attention_backward_case
                                         : kernels::attention_backward_case;
  if (halves && a.options.update_steps > 1) {
    fail("bf16 runs one step; this is {} steps, which f32 and f64 run", a.options.update_steps);
  }
  // All steps but the last read the keys themselves.
  std::vector<Arrays> steps;
  Tensor state = a.q;
  for (std::int64_t t = 1; t <= a.options.update_steps; ++t) {
    const Tensor& values = t < a.options.update_steps ? a.k : a.v;
    steps.push_back({{"q", state},
                     {"k", a.k},
                     {"v", values},
                     {"beta", a.beta},
                     {"key_lengths", a.key_lengths}});
    run_case(forward(problem_of(a, values), cpu_context()), steps.back(), a.dtype, variant, device);
    state = steps.back().at("out");
  }
  AssociationOutputs result;
  result.out = state;
  if (!a.dout.defined()) {
    return result;
  }
  Tensor gradient = a.dout;
  for (std::size_t t = steps.size(); t-- > 0;) {
    Arrays& step = steps[t];
    step["dout"] = gradient;
    run_case(backward(problem_of(a, step.at("v")), cpu_context()), step, a.dtype, variant, device);
    gradient = step.at("dq");
    if (t + 1 == steps.size()) {
      result.dk = step.at("dk");
      result.dv = step.at("dv");
    } else {
      result.dk = add(result.dk, add(step.at("dk"), step.at("dv")));
    }
    if (!linear) {
      const Tensor& dbeta = step.at("dbeta");
      result.dbeta = result.dbeta.defined() ? add(result.dbeta, dbeta) : dbeta;
    }
  }
  result.dq = gradient;
  return result;
}

}  // namespace basin::profile_kernels
