// out = softmax(beta q k^T) v over the visible keys: one step of modern Hopfield retrieval.
// With P the weights and dS = P (dout v^T - <dout, out>): dq = beta dS k, dk = beta dS^T q,
// dv = P^T dout and dbeta = sum of q . (dS k). P is computed again from the saved log-sum-exp.
// In bf16 and tf32 all four of q, k, v and dout are rounded first, and kept so (in tf32 the kernels
// for a GPU do it when they multiply); the gradients are those of the rounded numbers, which is
// what is meant by the gradient at q, k and v.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "autograd/product_precision.h"
#include "tensor/functions/association.h"

namespace basin {

Variable attention(const Variable& q, const Variable& k, const Variable& v, const Variable& beta,
                   const Tensor& key_lengths, bool causal) {
  const Precision precision = product_precision();
  const auto factor = [precision](const Variable& x) {
    return attention_factor(x.value(), precision);
  };
  const AssociationInputs in{factor(q), factor(k), factor(v), beta.value(), key_lengths, causal};
  const AttentionResult result = attention(in, precision);
  const bool is_half = result.out.dtype() == DType::bf16;
  const auto wide = [is_half](const Tensor& x) { return is_half ? from_attention(x) : x; };
  return record(
      "attention", {q, k, v, beta}, wide(result.out),
      [q = Saved(in.q), k = Saved(in.k), v = Saved(in.v), beta = Saved(in.beta),
       lengths = Saved(key_lengths), out = Saved(result.out), lse = Saved(result.statistics),
       causal, precision, wide](const Tensor& dout, auto) {
        const AttentionGradients g = attention_backward(
            {q.get(), k.get(), v.get(), beta.get(), lengths.get(), causal}, {out.get(), lse.get()},
            attention_factor(dout, precision), precision);
        return std::vector{wide(g.dq), wide(g.dk), wide(g.dv), g.dbeta};
      });
}

namespace {

const RegisterOp registered_attention(
    {"attention",
     [](Rng& rng) {
       const auto sample = [&](const char* name, Shape q, Shape k, Shape v, bool causal,
                               std::vector<std::int64_t> lengths) {
         Tensor key_lengths;
         if (!lengths.empty()) {
           key_lengths =
               Tensor::from<std::int64_t>({static_cast<std::int64_t>(lengths.size())}, lengths);
         }
         return OpSample{
             name,
             {rng.normal(q, 1.0, DType::f64), rng.normal(k, 1.0, DType::f64),
              rng.normal(v, 1.0, DType::f64), rng.uniform({q[1]}, 0.3, 1.5, DType::f64)},
             [=](const std::vector<Variable>& in) {
               return attention(in[0], in[1], in[2], in[3], key_lengths, causal);
             }};
       };
       std::vector<OpSample> samples = {
           sample("cross", {2, 2, 3, 4}, {2, 2, 5, 4}, {2, 2, 5, 3}, false, {}),
           sample("causal", {1, 2, 5, 3}, {1, 2, 5, 3}, {1, 2, 5, 3}, true, {}),
           sample("causal over more than a tile", {1, 1, 37, 2}, {1, 1, 37, 2}, {1, 1, 37, 2}, true,
                  {}),
           sample("causal, fewer queries", {1, 2, 3, 3}, {1, 2, 6, 3}, {1, 2, 6, 3}, true, {}),
           sample("causal, rows that see nothing", {1, 1, 5, 3}, {1, 1, 3, 3}, {1, 1, 3, 2}, true,
                  {}),
           sample("padded", {3, 1, 2, 3}, {3, 1, 4, 3}, {3, 1, 4, 3}, false, {4, 2, 0}),
           sample("padded and causal", {2, 1, 4, 3}, {2, 1, 4, 3}, {2, 1, 4, 3}, true, {3, 4})};
       samples.push_back(
           {"transposed layout",
            {rng.normal({2, 3, 2, 4}, 1.0, DType::f64), rng.normal({2, 3, 2, 4}, 1.0, DType::f64),
             rng.uniform({2}, 0.3, 1.5, DType::f64)},
            [](const std::vector<Variable>& in) {
              const Variable q = transpose(in[0], 1, 2);
              const Variable k = transpose(in[1], 1, 2);
              return attention(q, k, k, in[2], Tensor(), false);
            }});
       return samples;
     },
     [] {
       const auto zeros = [](Shape shape) { return Variable(Tensor::zeros(shape, DType::f32)); };
       return std::vector<OpError>{
           {"widths",
            [=] {
              (void)attention(zeros({1, 2, 3, 4}), zeros({1, 2, 3, 5}), zeros({1, 2, 3, 4}),
                              zeros({2}), Tensor(), false);
            },
            "(1, 2, 3, 5) f32"},
           {"beta per head",
            [=] {
              (void)attention(zeros({1, 2, 3, 4}), zeros({1, 2, 3, 4}), zeros({1, 2, 3, 4}),
                              zeros({3}), Tensor(), false);
            },
            "one entry per head"},
           {"key length",
            [=] {
              (void)attention(zeros({1, 2, 3, 4}), zeros({1, 2, 3, 4}), zeros({1, 2, 3, 4}),
                              zeros({2}), Tensor::full({1}, 4, DType::i64), false);
            },
            "outside [0, 3]"}};
     }});

}  // namespace

}  // namespace basin
