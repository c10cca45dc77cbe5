// out_i = phi(q_i).S / phi(q_i).z with S, z sums of phi(k_j) v_j^T and phi(k_j) over the visible
// keys and phi made of random vectors, whose inner products estimate exp(beta q.k). The gradients
// sweep S forward for dq and its mirror image backward for dk and dv: see
// kernels/association/random_feature_attention.h. The random vectors are constants.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/random_features.h"

namespace basin {

Variable random_feature_attention(const Variable& q, const Variable& k, const Variable& v,
                                  const Variable& beta, const Tensor& projection, FeatureMap map,
                                  const Tensor& key_lengths, bool causal) {
  const AttentionResult result = random_feature_attention(
      {q.value(), k.value(), v.value(), beta.value(), key_lengths, causal}, projection, map);
  return record(
      "random_feature_attention", {q, k, v, beta}, result.out,
      [q = Saved(q.value()), k = Saved(k.value()), v = Saved(v.value()), beta = Saved(beta.value()),
       // A copy: a layer may draw others before the backward pass.
       projection = projection.clone(), lengths = Saved(key_lengths), out = Saved(result.out),
       normaliser = Saved(result.statistics), map, causal](const Tensor& dout, auto) {
        const AttentionGradients g = random_feature_attention_backward(
            {q.get(), k.get(), v.get(), beta.get(), lengths.get(), causal}, projection, map,
            {out.get(), normaliser.get()}, dout);
        return std::vector{g.dq, g.dk, g.dv, g.dbeta};
      });
}

namespace {

const RegisterOp registered_random_feature_attention(
    {"random_feature_attention",
     [](Rng& rng) {
       std::vector<OpSample> samples;
       for (const FeatureMap map : {FeatureMap::positive, FeatureMap::relu}) {
         const auto add = [&](const std::string& name, Shape q, Shape k, Shape v, bool causal,
                              std::vector<std::int64_t> lengths) {
           Tensor key_lengths;
           if (!lengths.empty()) {
             key_lengths =
                 Tensor::from<std::int64_t>({static_cast<std::int64_t>(lengths.size())}, lengths);
           }
           const Tensor projection = random_projection(7, q[3], true, rng, DType::f64);
           samples.push_back(
               {name + (map == FeatureMap::relu ? ", relu" : ""),
                {rng.normal(q, 1.0, DType::f64), rng.normal(k, 1.0, DType::f64),
                 rng.normal(v, 1.0, DType::f64), rng.uniform({q[1]}, 0.3, 1.5, DType::f64)},
                [=](const std::vector<Variable>& in) {
                  return random_feature_attention(in[0], in[1], in[2], in[3],
                                                  projection.to(in[0].dtype()).to(in[0].device()),
                                                  map, key_lengths, causal);
                }});
         };
         add("cross", {2, 2, 3, 4}, {2, 2, 5, 4}, {2, 2, 5, 3}, false, {});
         add("causal", {1, 2, 5, 3}, {1, 2, 5, 3}, {1, 2, 5, 3}, true, {});
         add("causal, rows that see nothing", {1, 1, 5, 3}, {1, 1, 3, 3}, {1, 1, 3, 2}, true, {});
         add("padded and causal", {3, 1, 4, 3}, {3, 1, 4, 3}, {3, 1, 4, 3}, true, {3, 4, 0});
       }
       return samples;
     },
     [] {
       const auto zeros = [](Shape shape) { return Variable(Tensor::zeros(shape, DType::f32)); };
       const auto call = [=](const Variable& beta, const Tensor& projection) {
         return [=] {
           const Variable x = zeros({1, 2, 3, 4});
           (void)random_feature_attention(x, x, x, beta, projection, FeatureMap::positive, Tensor(),
                                          false);
         };
       };
       const Variable beta(Tensor::full({2}, 1.0, DType::f32));
       return std::vector<OpError>{
           {"projection", call(beta, Tensor::zeros({8, 3}, DType::f32)), "(features, 4)"},
           {"dtype of the projection", call(beta, Tensor::zeros({8, 4}, DType::f64)), "f64"},
           {"beta of 0", call(zeros({2}), Tensor::zeros({8, 4}, DType::f32)),
            "beta must be above 0 at position 0"}};
     }});

}  // namespace

}  // namespace basin
