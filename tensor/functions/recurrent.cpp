#include "tensor/functions/recurrent.h"

#include "kernels/recurrent/gru.h"
#include "kernels/recurrent/lstm.h"
#include "tensor/check.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/reduce.h"
#include "tensor/workspace.h"

namespace basin {

namespace {

// sum over b, t of da_t h_(t-1)^T for da (B, L, n) and h (B, L, width): one product once the states
// are shifted by a step.
Tensor recurrent_weight_gradient(const Tensor& da, const Tensor& h) {
  Tensor before = Tensor::zeros(h.shape(), h.dtype(), h.device());
  const std::int64_t L = h.size(1);
  if (L > 1) {
    before.slice(1, 1, L).copy_from(h.slice(1, 0, L - 1));
  }
  return matmul(da.view({-1, da.size(2)}).transpose(0, 1), before.view({-1, h.size(2)}));
}

// Checks x (B, L, gates * width) against weight (gates * width, width) and returns the width.
std::int64_t width_of(const Tensor& x, const Tensor& weight, std::int64_t gates,
                      const char* where) {
  check_same_floating(where, x, weight);
  if (x.rank() != 3 || weight.rank() != 2 || weight.size(0) != gates * weight.size(1) ||
      x.size(2) != weight.size(0)) {
    fail("[{}] needs x (B, L, {} width) and weight ({} width, width), got {} and {}", where, gates,
         gates, describe(x), describe(weight));
  }
  return weight.size(1);
}

}  // namespace

Tensor rnn(const Tensor& x, const Tensor& weight, kernels::Nonlinearity nonlinearity) {
  check_same_floating("rnn", x, weight);
  if (x.rank() != 3 || !(weight.shape() == Shape{x.size(2), x.size(2)})) {
    fail("[rnn] needs x (B, L, width) and weight (width, width), got {} and {}", describe(x),
         describe(weight));
  }
  const Tensor input = x.contiguous();
  const Tensor recurrent = weight.contiguous();
  Tensor h = Tensor::empty(x.shape(), x.dtype(), x.device());
  kernels::RnnForward p{input.raw(), recurrent.raw(), h.mutable_raw(), nullptr,  x.size(0),
                        x.size(1),   x.size(2),       nonlinearity,    x.dtype()};
  Workspace workspace(
      on_device(x.device(), [&](const auto& at) { return kernels::rnn_forward_workspace(p, at); }),
      x.device());
  p.workspace = workspace.data();
  check(on_device(x.device(), [&](const auto& at) { return kernels::rnn_forward(p, at); }), "rnn",
        x, weight);
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
  result.dx = Tensor::empty(h.shape(), h.dtype(), h.device());
  kernels::RnnBackward p{
      h.raw(), recurrent.raw(), gradient.raw(), result.dx.mutable_raw(), nullptr, B, L,
      width,   nonlinearity,    h.dtype()};
  Workspace workspace(
      on_device(dh.device(),
                [&](const auto& at) { return kernels::rnn_backward_workspace(p, at); }),
      dh.device());
  p.workspace = workspace.data();
  check(on_device(dh.device(), [&](const auto& at) { return kernels::rnn_backward(p, at); }),
        "rnn_backward", h, weight, dh);
  result.dweight = recurrent_weight_gradient(result.dx, h);
  return result;
}

LstmResult lstm(const Tensor& x, const Tensor& weight) {
  const std::int64_t width = width_of(x, weight, 4, "lstm");
  const Tensor input = x.contiguous();
  const Tensor recurrent = weight.contiguous();
  const Shape shape = {x.size(0), x.size(1), width};
  LstmResult result{Tensor::empty(shape, x.dtype(), x.device()),
                    Tensor::empty(x.shape(), x.dtype(), x.device()),
                    Tensor::empty(shape, x.dtype(), x.device())};
  kernels::LstmForward p{input.raw(),
                         recurrent.raw(),
                         result.gates.mutable_raw(),
                         result.c.mutable_raw(),
                         result.h.mutable_raw(),
                         nullptr,
                         x.size(0),
                         x.size(1),
                         width,
                         x.dtype()};
  Workspace workspace(
      on_device(x.device(), [&](const auto& at) { return kernels::lstm_forward_workspace(p, at); }),
      x.device());
  p.workspace = workspace.data();
  check(on_device(x.device(), [&](const auto& at) { return kernels::lstm_forward(p, at); }), "lstm",
        x, weight);
  return result;
}

RnnGradients lstm_backward(const LstmResult& forward, const Tensor& weight, const Tensor& dh) {
  check_same_floating("lstm_backward", forward.h, weight, dh);
  const std::int64_t B = forward.h.size(0);
  const std::int64_t width = forward.h.size(2);
  const Tensor gradient = dh.contiguous();
  const Tensor recurrent = weight.contiguous();
  RnnGradients result;
  result.dx = Tensor::empty(forward.gates.shape(), dh.dtype(), dh.device());
  kernels::LstmBackward p{recurrent.raw(),
                          forward.gates.raw(),
                          forward.c.raw(),
                          gradient.raw(),
                          result.dx.mutable_raw(),
                          nullptr,
                          B,
                          forward.h.size(1),
                          width,
                          dh.dtype()};
  Workspace workspace(
      on_device(dh.device(),
                [&](const auto& at) { return kernels::lstm_backward_workspace(p, at); }),
      dh.device());
  p.workspace = workspace.data();
  check(on_device(dh.device(), [&](const auto& at) { return kernels::lstm_backward(p, at); }),
        "lstm_backward", forward.h, weight, dh);
  result.dweight = recurrent_weight_gradient(result.dx, forward.h);
  return result;
}

GruResult gru(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const std::int64_t width = width_of(x, weight, 3, "gru");
  check_same_floating("gru", x, bias);
  if (!(bias.shape() == Shape{3 * width})) {
    fail("[gru] bias must be ({}), got {}", 3 * width, describe(bias));
  }
  const Tensor input = x.contiguous();
  const Tensor recurrent = weight.contiguous();
  const Tensor shift = bias.contiguous();
  const Shape shape = {x.size(0), x.size(1), width};
  GruResult result{Tensor::empty(shape, x.dtype(), x.device()),
                   Tensor::empty({x.size(0), x.size(1), 4 * width}, x.dtype(), x.device())};
  kernels::GruForward p{input.raw(),
                        recurrent.raw(),
                        shift.raw(),
                        result.saved.mutable_raw(),
                        result.h.mutable_raw(),
                        nullptr,
                        x.size(0),
                        x.size(1),
                        width,
                        x.dtype()};
  Workspace workspace(
      on_device(x.device(), [&](const auto& at) { return kernels::gru_forward_workspace(p, at); }),
      x.device());
  p.workspace = workspace.data();
  check(on_device(x.device(), [&](const auto& at) { return kernels::gru_forward(p, at); }), "gru",
        x, weight, bias);
  return result;
}

GruGradients gru_backward(const GruResult& forward, const Tensor& weight, const Tensor& dh) {
  check_same_floating("gru_backward", forward.h, weight, dh);
  const std::int64_t B = forward.h.size(0);
  const std::int64_t L = forward.h.size(1);
  const std::int64_t width = forward.h.size(2);
  const Tensor gradient = dh.contiguous();
  const Tensor recurrent = weight.contiguous();
  GruGradients result;
  result.dx = Tensor::empty({B, L, 3 * width}, dh.dtype(), dh.device());
  Tensor da = Tensor::empty({B, L, 3 * width}, dh.dtype(), dh.device());
  kernels::GruBackward p{recurrent.raw(),
                         forward.saved.raw(),
                         forward.h.raw(),
                         gradient.raw(),
                         result.dx.mutable_raw(),
                         da.mutable_raw(),
                         nullptr,
                         B,
                         L,
                         width,
                         dh.dtype()};
  Workspace workspace(
      on_device(dh.device(),
                [&](const auto& at) { return kernels::gru_backward_workspace(p, at); }),
      dh.device());
  p.workspace = workspace.data();
  check(on_device(dh.device(), [&](const auto& at) { return kernels::gru_backward(p, at); }),
        "gru_backward", forward.h, weight, dh);
  result.dweight = recurrent_weight_gradient(da, forward.h);
  result.dbias = sum(da.view({-1, 3 * width}), 0);
  return result;
}

}  // namespace basin
