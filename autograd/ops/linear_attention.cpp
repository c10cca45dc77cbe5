// out_i = phi(q_i).S / (phi(q_i).z + eps) with phi(x) = elu(x) + 1 and S, z sums over the visible
// keys. The gradients sweep S forward for dq and its mirror image backward for dk and dv: see
// kernels/association/linear_attention.h. In bf16 q, k, v and dout are rounded as in attention.cpp.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "autograd/product_precision.h"
#include "tensor/functions/association.h"

namespace basin {

Variable linear_attention(const Variable& q, const Variable& k, const Variable& v,
                          const Tensor& key_lengths, bool causal) {
  // There is no kernel for tf32.
  const Precision precision =
      product_precision() == Precision::bf16 ? Precision::bf16 : Precision::f32;
  const auto factor = [precision](const Variable& x) {
    return attention_factor(x.value(), precision);
  };
  const AssociationInputs in{factor(q), factor(k), factor(v), Tensor(), key_lengths, causal};
  const AttentionResult result = linear_attention(in);
  const bool is_half = result.out.dtype() == DType::bf16;
  const auto wide = [is_half](const Tensor& x) { return is_half ? from_attention(x) : x; };
  return record("linear_attention", {q, k, v}, wide(result.out),
                [q = Saved(in.q), k = Saved(in.k), v = Saved(in.v), lengths = Saved(key_lengths),
                 out = Saved(result.out), normaliser = Saved(result.statistics), causal, precision,
                 wide](const Tensor& dout, auto) {
                  const AttentionGradients g = linear_attention_backward(
                      {q.get(), k.get(), v.get(), Tensor(), lengths.get(), causal},
                      {out.get(), normaliser.get()}, attention_factor(dout, precision));
                  return std::vector{wide(g.dq), wide(g.dk), wide(g.dv)};
                });
}

namespace {

const RegisterOp registered_linear_attention(
    {"linear_attention",
     [](Rng& rng) {
       const auto sample = [&](const char* name, Shape q, Shape k, Shape v, bool causal,
                               std::vector<std::int64_t> lengths) {
         Tensor key_lengths;
         if (!lengths.empty()) {
           key_lengths =
               Tensor::from<std::int64_t>({static_cast<std::int64_t>(lengths.size())}, lengths);
         }
         return OpSample{name,
                         {rng.normal(q, 1.0, DType::f64), rng.normal(k, 1.0, DType::f64),
                          rng.normal(v, 1.0, DType::f64)},
                         [=](const std::vector<Variable>& in) {
                           return linear_attention(in[0], in[1], in[2], key_lengths, causal);
                         }};
       };
       return std::vector<OpSample>{
           sample("cross", {2, 2, 3, 4}, {2, 2, 5, 4}, {2, 2, 5, 3}, false, {}),
           sample("causal", {1, 2, 5, 3}, {1, 2, 5, 3}, {1, 2, 5, 3}, true, {}),
           sample("causal, fewer queries", {1, 2, 3, 3}, {1, 2, 6, 3}, {1, 2, 6, 3}, true, {}),
           sample("causal, rows that see nothing", {1, 1, 5, 3}, {1, 1, 3, 3}, {1, 1, 3, 2}, true,
                  {}),
           sample("padded", {3, 1, 2, 3}, {3, 1, 4, 3}, {3, 1, 4, 3}, false, {4, 2, 0}),
           sample("padded and causal", {2, 1, 4, 3}, {2, 1, 4, 3}, {2, 1, 4, 3}, true, {3, 4})};
     },
     [] {
       const auto zeros = [](Shape shape) { return Variable(Tensor::zeros(shape, DType::f32)); };
       return std::vector<OpError>{{"value rows",
                                    [=] {
                                      (void)linear_attention(zeros({1, 2, 3, 4}),
                                                             zeros({1, 2, 3, 4}),
                                                             zeros({1, 2, 4, 4}), Tensor(), false);
                                    },
                                    "(1, 2, 4, 4) f32"}};
     }});

}  // namespace

}  // namespace basin
