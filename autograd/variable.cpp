#include "autograd/variable.h"

#include <utility>

#include "autograd/engine.h"
#include "autograd/impl.h"
#include "autograd/node.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"

namespace basin {

namespace {
thread_local bool recording = true;
}  // namespace

NoGrad::NoGrad() : previous_(std::exchange(recording, false)) {}
NoGrad::~NoGrad() { recording = previous_; }
EnableGrad::EnableGrad() : previous_(std::exchange(recording, true)) {}
EnableGrad::~EnableGrad() { recording = previous_; }
bool grad_enabled() { return recording; }

Variable::Variable(Tensor value, bool requires_grad) : impl_(std::make_shared<Impl>()) {
  if (requires_grad && value.dtype() != DType::f32 && value.dtype() != DType::f64) {
    fail("[Variable] only f32 and f64 tensors have gradients, got {}", describe(value));
  }
  impl_->value = std::move(value);
  impl_->requires_grad = requires_grad;
}

const Tensor& Variable::value() const {
  if (!defined()) {
    fail("an undefined Variable has no value");
  }
  return impl_->value;
}

Tensor& Variable::mutable_value() {
  (void)value();
  return impl_->value;
}

bool Variable::requires_grad() const { return defined() && impl_->requires_grad; }

const std::shared_ptr<Node>& Variable::node() const {
  static const std::shared_ptr<Node> none;
  return defined() ? impl_->node : none;
}

std::size_t Variable::result() const { return defined() ? impl_->result : 0; }

const Tensor& Variable::grad() const {
  (void)value();
  return impl_->grad;
}

void Variable::clear_grad() {
  (void)value();
  impl_->grad = Tensor();
  impl_->owns_grad = false;
}

void Variable::add_grad(const Tensor& gradient) {
  (void)value();
  if (!impl_->grad.defined()) {
    // May be a tensor somebody else still reads: it is copied before it is first added to.
    impl_->grad = gradient;
    impl_->owns_grad = false;
    return;
  }
  if (!impl_->owns_grad) {
    impl_->grad = add(impl_->grad, gradient);
    impl_->owns_grad = true;
    return;
  }
  accumulate(impl_->grad, gradient);
}

void Variable::backward(const Tensor& seed, bool retain_graph) const {
  run_backward(*this, seed, retain_graph);
}

void Variable::move_to(Device device) {
  if (node() != nullptr) {
    fail("[move_to] {} was computed; move the variables it was computed from", describe(value()));
  }
  mutable_value() = value().to(device);
  clear_grad();
}

Variable Variable::detach() const { return Variable(value(), false); }

}  // namespace basin
