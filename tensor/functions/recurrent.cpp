#include "tensor/functions/recurrent.h"

#include "tensor/check.h"
#include "tensor/functions/matmul.h"

namespace basin {

Tensor rnn(const Tensor& x, const Tensor& weight, kernels::Nonlinearity nonlinearity) {
  check_same_floating("rnn", x, weight);
  if (x.rank() != 3 || !(weight.shape() == Shape{x.size(2), x.size(2)})) {
    fail("[rnn] needs x (B, L, width) and weight (width, width), got {} and {}", describe(x),
         describe(weight));
  }
  const Tensor input = x.contiguous();
  const Tensor recurrent = weight.contiguous();
  Tensor h = Tensor::empty(x.shape(), x.dtype());
  check(kernels::rnn_forward({input.raw(), recurrent.raw(), h.mutable_raw(), x.size(0), x.size(1),
                              x.size(2), nonlinearity, x.dtype()},
                             cpu_context()),
        "rnn", x, weight);
  return h;
}

RnnGradients rnn_backward(const Tensor& h, const Tensor& weight, const Tensor& dh,
                          kernels::Nonlinearity nonlinearity) {
  check_same_floating("rnn_backward", h, weight, dh);
  const std::int64_t B = h.size(0);
  const std::int64_t L = h.size(1);
  const std::int64_t width = h.size(2);
  const Tensor gradient = dh.contiguous();
  const Tensor recurrent = weight.contiguous();
  RnnGradients result;
  result.dx = Tensor::empty(h.shape(), h.dtype());
  Tensor workspace = Tensor::empty({B, width}, h.dtype());
  check(kernels::rnn_backward({h.raw(), recurrent.raw(), gradient.raw(), result.dx.mutable_raw(),
                               workspace.mutable_raw(), B, L, width, nonlinearity, h.dtype()},
                              cpu_context()),
        "rnn_backward", h, weight, dh);
  // dweight = sum over b, t of dx_t h_(t-1)^T: one product once the states are shifted by a step.
  Tensor before = Tensor::zeros(h.shape(), h.dtype());
  if (L > 1) {
    before.slice(1, 1, L).copy_from(h.slice(1, 0, L - 1));
  }
  result.dweight = matmul(result.dx.view({-1, width}).transpose(0, 1), before.view({-1, width}));
  return result;
}

}  // namespace basin
