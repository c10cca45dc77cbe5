// y[..., :] = table[ids[...], :]; dtable[v, :] is the sum of dy over the places where ids is v.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/lookup.h"

namespace basin {

Variable embedding(const Variable& table, const Tensor& ids) {
  return record("embedding", {table}, embedding(table.value(), ids),
                [ids = Saved(ids), vocabulary = table.size(0)](const Tensor& dy, auto) {
                  return std::vector{embedding_backward(ids.get(), dy, vocabulary)};
                });
}

namespace {

const RegisterOp registered_embedding(
    {"embedding",
     [](Rng& rng) {
       const Tensor ids =
           Tensor::from<std::int64_t>({2, 3}, std::vector<std::int64_t>{4, 0, 4, 2, 2, 4});
       return std::vector<OpSample>{
           {"repeated ids",
            {rng.normal({5, 3}, 1.0, DType::f64)},
            [ids](const std::vector<Variable>& in) { return embedding(in[0], ids); }}};
     },
     [] {
       const Variable table(Tensor::zeros({3, 2}, DType::f32));
       return std::vector<OpError>{
           {"id too large",
            [table] {
              (void)embedding(table,
                              Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{0, 3}));
            },
            "position 1"},
           {"negative id",
            [table] {
              (void)embedding(table,
                              Tensor::from<std::int64_t>({1}, std::vector<std::int64_t>{-1}));
            },
            "position 0"},
           {"float ids", [table] { (void)embedding(table, Tensor::zeros({2}, DType::f32)); },
            "i64 ids"}};
     }});

}  // namespace

}  // namespace basin
