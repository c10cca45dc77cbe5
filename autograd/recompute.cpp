#include "autograd/recompute.h"

#include "autograd/engine.h"
#include "autograd/node.h"
#include "autograd/product_precision.h"

namespace basin {

Variable recompute(const std::function<Variable(const Variable&)>& f, const Variable& x, Rng* rng) {
  if (!grad_enabled()) {
    return f(x);
  }
  const std::uint64_t position = rng != nullptr ? rng->position() : 0;
  Tensor y;
  {
    const NoGrad no_grad;
    y = f(x).value();
  }
  // Parameters inside f need gradients even where x does not: a stand-in that wants one keeps the
  // node in the graph.
  const Variable anchor(Tensor::zeros({}, DType::f32), true);
  return record("recompute", {x, anchor}, y,
                [f, rng, position, x = Saved(x.value()), precision = product_precision()](
                    const Tensor& dy, std::span<const bool> needed) {
                  const EnableGrad enable_grad;
                  const ProductPrecision as_before(precision);
                  const std::uint64_t now = rng != nullptr ? rng->position() : 0;
                  if (rng != nullptr) {
                    rng->set_position(position);
                  }
                  const Variable again(x.get(), needed[0]);
                  const Variable result = f(again);
                  if (rng != nullptr) {
                    rng->set_position(now);
                  }
                  if (result.requires_grad()) {
                    result.backward(dy);
                  }
                  return std::vector{needed[0] ? again.grad() : Tensor(), Tensor()};
                });
}

}  // namespace basin
