#include "autograd/node.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "autograd/anomaly.h"
#include "autograd/engine.h"
#include "autograd/impl.h"
#include "autograd/profiler.h"
#include "tensor/error.h"

namespace basin {

namespace {

std::atomic<std::uint64_t> next_sequence{1};

// Inputs of nodes that died on this thread and wait to be let go, and whether somebody already is
// emptying the list. Letting go of a Variable can destroy its node, whose destructor adds to the
// list and returns: the depth of the call stack does not grow with the length of the chain.
thread_local std::vector<Variable>* graveyard = nullptr;

}  // namespace

Node::Node(const char* name, std::vector<Variable> inputs, std::span<const Tensor> values,
           BackwardOfSeveral backward)
    : name_(name),
      sequence_(next_sequence.fetch_add(1, std::memory_order_relaxed)),
      inputs_(std::move(inputs)),
      dtype_(values.front().dtype()),
      backward_(std::move(backward)) {
  for (const Tensor& value : values) {
    shapes_.push_back(value.shape());
  }
}

Node::~Node() {
  const auto bury = [this](std::vector<Variable>& into) {
    std::move(inputs_.begin(), inputs_.end(), std::back_inserter(into));
    inputs_.clear();
  };
  if (graveyard != nullptr) {
    bury(*graveyard);
    return;
  }
  std::vector<Variable> pending;
  graveyard = &pending;
  bury(pending);
  while (!pending.empty()) {
    const Variable last = std::move(pending.back());
    pending.pop_back();
  }
  graveyard = nullptr;
}

std::vector<Tensor> Node::backward(std::span<const Tensor> dys) const {
  if (released()) {
    fail(
        "[{}] backward() a second time through a graph that was freed; pass retain_graph = true "
        "the first time",
        name_);
  }
  // vector<bool> has no contiguous bools to make a span of.
  const auto needed = std::make_unique<bool[]>(inputs_.size());
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    needed[i] = inputs_[i].requires_grad();
  }
  std::vector<Tensor> gradients =
      backward_(dys, std::span<const bool>(needed.get(), inputs_.size()));
  for (const Tensor& gradient : gradients) {
    check_anomaly(name_, "a gradient in its backward pass", gradient, inputs_);
  }
  if (gradients.size() != inputs_.size()) {
    fail("[{}] {} gradients for {} inputs", name_, gradients.size(), inputs_.size());
  }
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Tensor& gradient = gradients[i];
    if (!needed[i] || !gradient.defined()) {
      continue;
    }
    const Tensor& input = inputs_[i].value();
    if (!(gradient.shape() == input.shape()) || gradient.dtype() != input.dtype()) {
      fail("[{}] the gradient of input {} is {}, but the input is {}", name_, i, describe(gradient),
           describe(input));
    }
  }
  return gradients;
}

bool records_gradients(const std::vector<Variable>& inputs) {
  return grad_enabled() && std::any_of(inputs.begin(), inputs.end(),
                                       [](const Variable& input) { return input.requires_grad(); });
}

Variable record(const char* name, std::vector<Variable> inputs, Tensor value,
                BackwardFunction backward) {
  return record_several(name, std::move(inputs), {std::move(value)},
                        [backward = std::move(backward)](std::span<const Tensor> dys,
                                                         std::span<const bool> needed) {
                          return backward(dys[0], needed);
                        })
      .front();
}

std::vector<Variable> record_several(const char* name, std::vector<Variable> inputs,
                                     std::vector<Tensor> values, BackwardOfSeveral backward) {
  for (const Tensor& value : values) {
    check_anomaly(name, "its result", value, inputs);
  }
  profile_forward(name);
  const bool wanted = records_gradients(inputs);
  std::shared_ptr<Node> node;
  if (wanted) {
    node = std::make_shared<Node>(name, std::move(inputs), values, std::move(backward));
  }
  std::vector<Variable> results;
  for (Tensor& value : values) {
    Variable& result = results.emplace_back(std::move(value), wanted);
    result.impl_->node = node;
    result.impl_->result = results.size() - 1;
  }
  return results;
}

const Tensor& Saved::get() const {
  if (tensor_.defined() && tensor_.version() != version_) {
    fail(
        "[{}] a tensor kept for the backward pass, {}, was written to after the forward pass "
        "(version {}, was {}); work on a clone() instead",
        running_node(), describe(tensor_), tensor_.version(), version_);
  }
  return tensor_;
}

}  // namespace basin
