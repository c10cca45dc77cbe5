#include "tensor/functions/cross_entropy.h"

#include <algorithm>

#include "kernels/loss/cross_entropy.h"
#include "tensor/check.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/reduce.h"
#include "tensor/indices.h"

namespace basin {

CrossEntropyResult cross_entropy(const Tensor& logits, const Tensor& targets,
                                 std::int64_t ignore_index, double label_smoothing) {
  check_same_floating("cross_entropy", logits);
  if (logits.rank() < 1 || targets.dtype() != DType::i64 ||
      !std::equal(targets.shape().begin(), targets.shape().end(), logits.shape().begin(),
                  logits.shape().end() - 1)) {
    fail("[cross_entropy] needs logits (..., classes) and i64 targets (...), got {} and {}",
         describe(logits), describe(targets));
  }
  if (!(label_smoothing >= 0.0 && label_smoothing < 1.0)) {
    fail("[cross_entropy] label smoothing must be in [0, 1), got {}", label_smoothing);
  }
  const Tensor scores = logits.contiguous();
  check_range("cross_entropy", targets, 0, logits.size(-1), logits.device(), &ignore_index);
  const Tensor labels = targets.contiguous().to(logits.device());
  const std::int64_t rows = targets.numel();
  CrossEntropyResult result;
  result.count = count_other_than(targets, ignore_index);
  if (result.count == 0) {
    fail("[cross_entropy] every target of {} is the ignored index {}", describe(targets),
         ignore_index);
  }
  Tensor row_loss = Tensor::empty({rows}, logits.dtype(), logits.device());
  result.lse = Tensor::empty({rows}, logits.dtype(), logits.device());
  const kernels::CrossEntropyForward p{scores.raw(),
                                       labels.kernel_data<std::int64_t>(),
                                       row_loss.mutable_raw(),
                                       result.lse.mutable_raw(),
                                       rows,
                                       logits.size(-1),
                                       ignore_index,
                                       label_smoothing,
                                       logits.dtype()};
  check(on_device(logits.device(),
                  [&](const auto& at) { return kernels::cross_entropy_forward(p, at); }),
        "cross_entropy", logits, targets);
  result.loss = affine(sum(row_loss), 1.0 / static_cast<double>(result.count), 0.0);
  return result;
}

Tensor cross_entropy_backward(const Tensor& logits, const Tensor& targets, const Tensor& lse,
                              std::int64_t count, const Tensor& dloss, std::int64_t ignore_index,
                              double label_smoothing) {
  const Tensor scores = logits.contiguous();
  const Tensor labels = targets.contiguous().to(logits.device());
  Tensor dlogits = Tensor::empty(logits.shape(), logits.dtype(), logits.device());
  // On the CPU the factor dloss is at hand; elsewhere it is multiplied in where it lies.
  const bool here = dloss.device() == Device::cpu;
  const kernels::CrossEntropyBackward p{scores.raw(),
                                        labels.kernel_data<std::int64_t>(),
                                        lse.raw(),
                                        dlogits.mutable_raw(),
                                        targets.numel(),
                                        logits.size(-1),
                                        ignore_index,
                                        label_smoothing,
                                        (here ? dloss.item() : 1.0) / static_cast<double>(count),
                                        logits.dtype()};
  check(on_device(logits.device(),
                  [&](const auto& at) { return kernels::cross_entropy_backward(p, at); }),
        "cross_entropy_backward", logits, targets);
  return here ? dlogits : mul(dlogits, dloss);
}

}  // namespace basin
