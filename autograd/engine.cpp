#include "autograd/engine.h"

#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

#include "autograd/node.h"
#include "autograd/profiler.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"

namespace basin {

namespace {

thread_local const char* running = "no operation";

// Puts the name back when a backward pass ends, also inside another one (recompute) or by an
// exception.
class RunningNames {
 public:
  RunningNames() : outer_(running) {}
  ~RunningNames() { running = outer_; }
  RunningNames(const RunningNames&) = delete;
  RunningNames& operator=(const RunningNames&) = delete;

 private:
  const char* outer_;
};

// The gradient collected for one result of a node so far. The first contribution is only borrowed,
// because the same tensor may have gone to several inputs.
struct Collected {
  Tensor gradient;
  bool owned = false;

  void add(const Tensor& contribution) {
    if (!gradient.defined()) {
      gradient = contribution;
    } else if (!owned) {
      gradient = basin::add(gradient, contribution);
      owned = true;
    } else {
      accumulate(gradient, contribution);
    }
  }
};

struct Pending {
  std::shared_ptr<Node> node;
  std::vector<Collected> results;

  // Undefined where nothing came.
  std::vector<Tensor> gradients() const {
    std::vector<Tensor> all;
    for (const Collected& result : results) {
      all.push_back(result.gradient);
    }
    return all;
  }
};

struct BySequence {
  bool operator()(const Node* a, const Node* b) const { return a->sequence() < b->sequence(); }
};

Tensor seed_for(const Variable& root, const Tensor& seed) {
  if (!seed.defined()) {
    if (root.value().numel() != 1) {
      fail("[backward] without a seed the variable must have one element; it is {}",
           describe(root.value()));
    }
    return Tensor::full(root.shape(), 1.0, root.dtype(), root.device());
  }
  if (!(seed.shape() == root.shape()) || seed.dtype() != root.dtype()) {
    fail("[backward] the seed is {}, but the variable is {}", describe(seed),
         describe(root.value()));
  }
  return seed;
}

}  // namespace

const char* running_node() { return running; }

void run_backward(const Variable& root, const Tensor& seed, bool retain_graph) {
  if (!root.requires_grad()) {
    fail("[backward] no input of this variable, {}, requires a gradient", describe(root.value()));
  }
  const Tensor first = seed_for(root, seed);
  if (root.node() == nullptr) {
    Variable leaf = root;
    leaf.add_grad(first);
    return;
  }
  const NoGrad no_grad;
  const RunningNames names;
  // An input always has a smaller sequence number than the results made from it, so taking the
  // largest number first guarantees that a node's gradient is complete when its turn comes.
  std::unordered_map<const Node*, Pending> pending;
  std::priority_queue<const Node*, std::vector<const Node*>, BySequence> order;
  const auto contribute = [&](const Variable& to, const Tensor& gradient) {
    const std::shared_ptr<Node>& node = to.node();
    Pending& entry = pending[node.get()];
    if (entry.node == nullptr) {
      entry.node = node;
      entry.results.resize(node->results());
      order.push(node.get());
    }
    entry.results[to.result()].add(gradient);
  };
  contribute(root, first);
  while (!order.empty()) {
    const Node* const top = order.top();
    order.pop();
    const Pending entry = std::move(pending.extract(top).mapped());
    running = top->name();
    const ProfiledScope scope(top->name(), ProfilePhase::backward);
    std::vector<Tensor> gradients = top->backward(entry.gradients());
    const std::vector<Variable>& inputs = top->inputs();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].requires_grad() || !gradients[i].defined()) {
        continue;
      }
      if (inputs[i].node() == nullptr) {
        Variable leaf = inputs[i];
        leaf.add_grad(gradients[i]);
      } else {
        contribute(inputs[i], gradients[i]);
      }
      gradients[i] = Tensor();  // let go before the next node runs
    }
    if (!retain_graph) {
      entry.node->release();
    }
  }
}

}  // namespace basin
