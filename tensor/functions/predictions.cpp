#include "tensor/functions/predictions.h"

#include <algorithm>

#include "kernels/loss/cross_entropy.h"
#include "tensor/check.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/reduce.h"
#include "tensor/indices.h"

namespace basin {

Predictions predictions(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const Tensor& targets, std::int64_t ignore_index, Precision precision) {
  if (targets.dtype() != DType::i64 || x.rank() < 1 ||
      !std::equal(targets.shape().begin(), targets.shape().end(), x.shape().begin(),
                  x.shape().end() - 1)) {
    fail("[predictions] needs x (..., width) and i64 targets (...), got {} and {}", describe(x),
         describe(targets));
  }
  constexpr std::int64_t most_logits = std::int64_t{16} << 20;
  const std::int64_t rows = targets.numel();
  const std::int64_t step =
      std::max<std::int64_t>(96, most_logits / std::max<std::int64_t>(1, weight.size(0)));
  const Tensor inputs = fold_leading(x, 1);
  check_range("predictions", targets, 0, weight.size(0), x.device(), &ignore_index);
  const Tensor labels = targets.contiguous().reshape({rows}).to(x.device());
  Tensor loss = Tensor::empty({rows}, x.dtype(), x.device());
  Tensor token = Tensor::empty({rows}, DType::i64, x.device());
  for (std::int64_t begin = 0; begin < rows; begin += step) {
    const std::int64_t count = std::min(step, rows - begin);
    const Tensor logits = linear(inputs.slice(0, begin, begin + count), weight, bias, precision);
    Tensor part = loss.slice(0, begin, begin + count);
    Tensor lse = Tensor::empty({count}, x.dtype(), x.device());
    const kernels::CrossEntropyForward p{
        logits.raw(),
        labels.slice(0, begin, begin + count).kernel_data<std::int64_t>(),
        part.mutable_raw(),
        lse.mutable_raw(),
        count,
        weight.size(0),
        ignore_index,
        0.0,
        x.dtype()};
    check(on_device(x.device(),
                    [&](const auto& at) { return kernels::cross_entropy_forward(p, at); }),
          "predictions", logits, targets);
    token.slice(0, begin, begin + count).copy_from(argmax(logits, -1));
  }
  return {loss.reshape(targets.shape()), token.reshape(targets.shape())};
}

}  // namespace basin
