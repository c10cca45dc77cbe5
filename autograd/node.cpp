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

Node::Node(const char* name, std::vector<Variable> inputs, const Tensor& value,
           BackwardFunction backward)
    : name_(name),
      sequence_(next_sequence.fetch_add(1, std::memory_order_relaxed)),
      inputs_(std::move(inputs)),
      shape_(value.shape()),
      dtype_(value.dtype()),
      backward_(std::move(backward)) {}

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

std::vector<Tensor> Node::backward(const Tensor& dy) const {
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
      backward_(dy, std::span<const bool>(needed.get(), inputs_.size()));
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
  check_anomaly(name, "its result", value, inputs);
  profile_forward(name);
  const bool wanted = records_gradients(inputs);
  Variable result(std::move(value), wanted);
  if (wanted) {
    result.impl_->node =
        std::make_shared<Node>(name, std::move(inputs), result.value(), std::move(backward));
  }
  return result;
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
