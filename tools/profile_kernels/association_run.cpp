#include "tools/profile_kernels/association_run.h"

#include <map>

#include "kernels/association/association_case.h"
#include "tensor/device.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"

namespace basin::profile_kernels {

namespace {

using kernels::CaseBuffer;
using kernels::KernelCase;
using Role = CaseBuffer::Role;
using Arrays = std::map<std::string, Tensor>;

Tensor made_for(const CaseBuffer& buffer, DType dtype) {
  Shape shape;
  for (const std::int64_t extent : buffer.extents) {
    shape.push_back(extent);
  }
  return Tensor::empty(shape,
                       buffer.integer ? DType::i64 : (buffer.always_double ? DType::f64 : dtype));
}

// Runs a case of the table on arrays by name; what it writes is added to them.
void run_case(const KernelCase& problem, Arrays& arrays, DType dtype, int variant) {
  std::vector<Tensor> kept;  // workspaces, while the kernel runs
  std::vector<void*> data;
  for (const CaseBuffer& buffer : problem.buffers) {
    if (buffer.role == Role::workspace) {
      kept.push_back(made_for(buffer, dtype));
      data.push_back(kept.back().mutable_raw());
      continue;
    }
    if (buffer.role != Role::input) {
      arrays[buffer.name] = made_for(buffer, dtype);
    }
    data.push_back(arrays.at(buffer.name).mutable_raw());
  }
  const kernels::Status status = problem.run(data.data(), dtype, variant, cpu_context());
  if (!status.ok()) {
    fail("the kernel refuses these arrays: {}", status.message);
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

}  // namespace

AssociationOutputs run_association(const AssociationArrays& a, int variant) {
  const bool linear = a.options.separation == Separation::linear;
  const auto forward =
      linear ? kernels::linear_attention_forward_case : kernels::attention_forward_case;
  const auto backward =
      linear ? kernels::linear_attention_backward_case : kernels::attention_backward_case;
  // All steps but the last read the keys themselves.
  std::vector<Arrays> steps;
  Tensor state = a.q;
  for (std::int64_t t = 1; t <= a.options.update_steps; ++t) {
    const Tensor& values = t < a.options.update_steps ? a.k : a.v;
    steps.push_back({{"q", state}, {"k", a.k}, {"v", values}, {"beta", a.beta}});
    run_case(forward(problem_of(a, values), cpu_context()), steps.back(), a.dtype, variant);
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
    run_case(backward(problem_of(a, step.at("v")), cpu_context()), step, a.dtype, variant);
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
