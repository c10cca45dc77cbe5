// A recurrent layer by cuDNN: the same function as linear() followed by rnn(), lstm() or gru(), and
// as one node. It exists on a GPU only, where tests/cuda compares it with those; the database of
// operations, which is checked on the CPU, does not have it.
#include "autograd/node.h"
#include "autograd/operations.h"
#include "autograd/product_precision.h"
#include "tensor/functions/recurrent_layer.h"

namespace basin {

Variable recurrent_layer(const Variable& x, const Variable& weight_ih, const Variable& weight_hh,
                         const Variable& bias_ih, const Variable& bias_hh,
                         kernels::RecurrentCell cell) {
  const Precision precision = product_precision();
  const RecurrentLayerResult result = recurrent_layer(
      x.value(), {weight_ih.value(), weight_hh.value(), bias_ih.value(), bias_hh.value()}, cell,
      precision);
  return record("recurrent_layer", {x, weight_ih, weight_hh, bias_ih, bias_hh}, result.h,
                [x = Saved(x.value()), h = Saved(result.h), weights = Saved(result.weights),
                 reserve = Saved(result.reserve), cell, precision](const Tensor& dh, auto) {
                  const RecurrentLayerGradients g = recurrent_layer_backward(
                      x.get(), {h.get(), weights.get(), reserve.get()}, dh, cell, precision);
                  return std::vector{g.dx, g.dweight_ih, g.dweight_hh, g.dbias_ih, g.dbias_hh};
                });
}

}  // namespace basin
