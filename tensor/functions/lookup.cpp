#include "tensor/functions/lookup.h"

#include "kernels/dropout/dropout.h"
#include "kernels/embedding/embedding.h"
#include "tensor/check.h"
#include "tensor/workspace.h"

namespace basin {

Tensor embedding(const Tensor& table, const Tensor& ids) {
  check_same_floating("embedding", table);
  if (table.rank() != 2 || ids.dtype() != DType::i64) {
    fail("[embedding] needs a table (V, D) and i64 ids, got {} and {}", describe(table),
         describe(ids));
  }
  const Tensor rows = table.contiguous();
  const Tensor index = ids.contiguous();
  Shape shape = ids.shape();
  shape.push_back(table.size(1));
  Tensor y = Tensor::empty(shape, table.dtype());
  check(kernels::embedding_forward({index.data<std::int64_t>(), rows.raw(), y.mutable_raw(),
                                    ids.numel(), table.size(0), table.size(1), table.dtype()},
                                   cpu_context()),
        "embedding", table, ids);
  return y;
}

Tensor embedding_backward(const Tensor& ids, const Tensor& dy, std::int64_t vocabulary) {
  const Tensor index = ids.contiguous();
  const Tensor gradient = dy.contiguous();
  Tensor dtable = Tensor::empty({vocabulary, dy.size(-1)}, dy.dtype());
  kernels::EmbeddingBackward p{index.data<std::int64_t>(),
                               gradient.raw(),
                               dtable.mutable_raw(),
                               ids.numel(),
                               vocabulary,
                               dy.size(-1),
                               dy.dtype()};
  Workspace workspace(kernels::embedding_backward_workspace(p, cpu_context()));
  p.workspace = workspace.data();
  check(kernels::embedding_backward(p, cpu_context()), "embedding_backward", ids, dy);
  return dtable;
}

Tensor dropout(const Tensor& x, double p, std::uint64_t key, std::uint64_t stream) {
  check_same_floating("dropout", x);
  const Tensor source = x.contiguous();
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  check(kernels::dropout({source.raw(), y.mutable_raw(), x.numel(), p, key, stream, x.dtype()},
                         cpu_context()),
        "dropout", x);
  return y;
}

}  // namespace basin
