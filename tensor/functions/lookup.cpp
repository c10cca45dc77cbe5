#include "tensor/functions/lookup.h"

#include "kernels/dropout/dropout.h"
#include "kernels/embedding/embedding.h"
#include "tensor/check.h"
#include "tensor/indices.h"
#include "tensor/workspace.h"

namespace basin {

Tensor embedding(const Tensor& table, const Tensor& ids) {
  check_same_floating("embedding", table);
  if (table.rank() != 2 || ids.dtype() != DType::i64) {
    fail("[embedding] needs a table (V, D) and i64 ids, got {} and {}", describe(table),
         describe(ids));
  }
  const Tensor rows = table.contiguous();
  check_range("embedding", ids, 0, table.size(0), table.device());
  const Tensor index = ids.contiguous().to(table.device());
  Shape shape = ids.shape();
  shape.push_back(table.size(1));
  Tensor y = Tensor::empty(shape, table.dtype(), table.device());
  const kernels::EmbeddingForward p{index.kernel_data<std::int64_t>(),
                                    rows.raw(),
                                    y.mutable_raw(),
                                    ids.numel(),
                                    table.size(0),
                                    table.size(1),
                                    table.dtype()};
  check(
      on_device(table.device(), [&](const auto& at) { return kernels::embedding_forward(p, at); }),
      "embedding", table, ids);
  return y;
}

Tensor embedding_backward(const Tensor& ids, const Tensor& dy, std::int64_t vocabulary) {
  const Tensor index = ids.contiguous().to(dy.device());
  const Tensor gradient = dy.contiguous();
  Tensor dtable = Tensor::empty({vocabulary, dy.size(-1)}, dy.dtype(), dy.device());
  kernels::EmbeddingBackward p{index.kernel_data<std::int64_t>(),
                               gradient.raw(),
                               dtable.mutable_raw(),
                               ids.numel(),
                               vocabulary,
                               dy.size(-1),
                               dy.dtype()};
  Workspace workspace(
      on_device(dy.device(),
                [&](const auto& at) { return kernels::embedding_backward_workspace(p, at); }),
      dy.device());
  p.workspace = workspace.data();
  check(on_device(dy.device(), [&](const auto& at) { return kernels::embedding_backward(p, at); }),
        "embedding_backward", ids, dy);
  return dtable;
}

Tensor dropout(const Tensor& x, double p, std::uint64_t key, std::uint64_t stream) {
  return dropout(x, p, Draw{key, stream});
}

Tensor dropout(const Tensor& x, double p, const Draw& draw) {
  check_same_floating("dropout", x);
  if (draw.offset.defined()) {
    check_same_device("dropout", x, draw.offset);
  }
  const Tensor source = x.contiguous();
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const kernels::Dropout params{
      source.raw(), y.mutable_raw(),
      x.numel(),    p,
      draw.key,     draw.stream,
      x.dtype(),    draw.offset.defined() ? draw.offset.kernel_data<std::int64_t>() : nullptr};
  check(on_device(x.device(), [&](const auto& at) { return kernels::dropout(params, at); }),
        "dropout", x);
  return y;
}

}  // namespace basin
