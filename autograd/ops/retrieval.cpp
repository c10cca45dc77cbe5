// out = P(x) v with P a separation of the scores beta x k^T over the visible keys, and x the state
// after update_steps - 1 replacements x <- P(x) k: retrieval with every option of
// AssociationOptions. The backward pass computes states and weights again and goes through the
// steps each query took: see kernels/association/retrieval.h for the gradients. Softmax in one step
// can be multiplied in tf32 and bf16, as attention is (attention.cpp).
#include <algorithm>

#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "autograd/product_precision.h"
#include "tensor/error.h"
#include "tensor/functions/association.h"
#include "tensor/functions/retrieval.h"

namespace basin {

namespace {

Tensor value_of(const Variable& x) { return x.defined() ? x.value() : Tensor(); }

}  // namespace

Variable retrieval(const Variable& q, const Variable& k, const Variable& v, const Variable& beta,
                   const Variable& alpha, const RetrievalSettings& settings) {
  const auto inputs = [settings](const Tensor& q_in, const Tensor& k_in, const Tensor& v_in,
                                 const Tensor& beta_in, const Tensor& alpha_in) {
    return RetrievalInputs{q_in,
                           k_in,
                           v_in,
                           beta_in,
                           alpha_in,
                           settings.key_lengths,
                           settings.mask,
                           settings.options,
                           settings.random_key,
                           settings.dropout_key,
                           settings.random_key_there,
                           settings.dropout_key_there};
  };
  const std::int64_t width = std::max(q.size(-1), v.size(-1));
  const Precision precision =
      retrieval_rounds_factors(settings.options, width) ? product_precision() : Precision::f32;
  const auto factor = [precision](const Variable& x) {
    return attention_factor(x.value(), precision);
  };
  const RetrievalInputs in = inputs(factor(q), factor(k), factor(v), beta.value(), value_of(alpha));
  const RetrievalResult result = retrieval(in, precision);
  const bool is_half = result.out.dtype() == DType::bf16;
  const auto wide = [is_half](const Tensor& x) { return is_half ? from_attention(x) : x; };
  if (settings.steps != nullptr) {
    *settings.steps = result.steps;
  }
  return record("retrieval", {q, k, v, beta, alpha}, wide(result.out),
                [inputs, q = Saved(in.q), k = Saved(in.k), v = Saved(in.v), beta = Saved(in.beta),
                 alpha = Saved(in.alpha), lengths = Saved(settings.key_lengths),
                 mask = Saved(settings.mask), out = Saved(result.out),
                 statistics = Saved(result.statistics), precision, wide](const Tensor& dout, auto) {
                  (void)lengths.get();  // complains if they were written to
                  (void)mask.get();
                  const RetrievalGradients g =
                      retrieval_backward(inputs(q.get(), k.get(), v.get(), beta.get(), alpha.get()),
                                         {out.get(), statistics.get(), Tensor()},
                                         attention_factor(dout, precision), precision);
                  return std::vector{wide(g.dq), wide(g.dk), wide(g.dv), g.dbeta, g.dalpha};
                });
}

Variable associate(const Variable& q, const Variable& k, const Variable& v, const Variable& beta,
                   const Variable& alpha, const RetrievalSettings& settings) {
  const AssociationOptions& o = settings.options;
  if (settings.steps != nullptr) {
    *settings.steps = Tensor::full({q.size(0), q.size(1), q.size(2)},
                                   static_cast<double>(o.update_steps), DType::i64);
  }
  if (is_kernelised(o.separation) && settings.mask.defined()) {
    fail("[associate] {} separation has no weights of single keys for a mask to hide",
         name_of(o.separation));
  }
  if (o.separation == Separation::linear) {
    return linear_attention(q, k, v, settings.key_lengths, o.causal);
  }
  if (o.separation == Separation::random_features) {
    return random_feature_attention(q, k, v, beta, settings.projection, o.feature_map,
                                    settings.key_lengths, o.causal);
  }
  if (o.separation != Separation::softmax || !is_plain(o) || settings.mask.defined()) {
    return retrieval(q, k, v, beta, alpha, settings);
  }
  // All but the last step move the state among the stored patterns; the last reads the values.
  Variable state = q;
  for (std::int64_t step = 1; step < o.update_steps; ++step) {
    state = attention(state, k, k, beta, settings.key_lengths, o.causal);
  }
  return attention(state, k, v, beta, settings.key_lengths, o.causal);
}

namespace {

using Change = void (*)(RetrievalSettings&);

struct Case {
  const char* name;
  Change change;
};

const Case kVisibilities[] = {
    {"everything visible", [](RetrievalSettings&) {}},
    {"causal and padded",
     [](RetrievalSettings& s) {
       s.options.causal = true;
       s.key_lengths = Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{6, 3});
     }},
    {"window",
     [](RetrievalSettings& s) {
       s.options.window = 1;
       s.options.dilation = 2;
       s.options.global_tokens = 1;
     }},
    {"random mask",
     [](RetrievalSettings& s) {
       s.options.random_keep = 0.6;
       s.random_key = 3;
     }},
    {"top-k", [](RetrievalSettings& s) { s.options.top_k = 3; }},
    {"window, normalised over all keys",
     [](RetrievalSettings& s) {
       s.options.window = 1;
       s.options.normalise = Normalise::all;
     }},
    {"mask",
     [](RetrievalSettings& s) {
       s.mask = Tensor::full({1, 1, 4, 6}, 1, DType::u8);
       s.mask.select(2, 1).fill(0);
       s.mask.select(3, 2).fill(0);
     }},
    {"weights dropped",
     [](RetrievalSettings& s) {
       s.options.weight_dropout = 0.4;
       s.dropout_key = 5;
     }},
    {"three steps", [](RetrievalSettings& s) { s.options.update_steps = 3; }},
    {"until settled", [](RetrievalSettings& s) {
       s.options.update_steps = 6;
       s.options.tolerance = 0.3;
     }}};

// On differentiable points: random numbers keep away from the kinks of the sparse separations.
std::vector<OpSample> samples(Rng& rng) {
  std::vector<OpSample> all;
  for (const Separation separation :
       {Separation::softmax, Separation::sparsemax, Separation::entmax, Separation::polynomial}) {
    for (const Case& visibility : kVisibilities) {
      RetrievalSettings settings;
      settings.options.separation = separation;
      visibility.change(settings);
      OpSample sample{
          std::string(name_of(separation)) + ", " + visibility.name,
          {rng.normal({2, 2, 4, 3}, 1.0, DType::f64), rng.normal({2, 2, 6, 3}, 1.0, DType::f64),
           rng.normal({2, 2, 6, 2}, 1.0, DType::f64), rng.uniform({2}, 0.4, 1.2, DType::f64)},
          {}};
      if (separation == Separation::entmax) {
        sample.inputs.push_back(rng.uniform({2}, 1.2, 1.8, DType::f64));
      }
      sample.call = [settings](const std::vector<Variable>& in) {
        return retrieval(in[0], in[1], in[2], in[3], in.size() > 4 ? in[4] : Variable(), settings);
      };
      all.push_back(std::move(sample));
    }
  }
  return all;
}

std::vector<OpError> errors() {
  const auto call = [](Change change, const Shape& beta, const Variable& alpha) {
    return [=] {
      const auto zeros = [](const Shape& shape) {
        return Variable(Tensor::zeros(shape, DType::f32));
      };
      RetrievalSettings settings;
      change(settings);
      (void)retrieval(zeros({1, 2, 3, 4}), zeros({1, 2, 5, 4}), zeros({1, 2, 5, 4}), zeros(beta),
                      alpha, settings);
    };
  };
  const Change entmax = [](RetrievalSettings& s) { s.options.separation = Separation::entmax; };
  return {
      {"beta per head", call([](RetrievalSettings&) {}, {3}, {}), "one entry per head"},
      {"no alpha", call(entmax, {2}, {}), "entmax needs alpha"},
      {"alpha per head", call(entmax, {2}, Variable(Tensor::full({3}, 1.5, DType::f32))),
       "alpha must have one entry per head"},
      {"alpha of 1", call(entmax, {2}, Variable(Tensor::full({2}, 1.0, DType::f32))),
       "above 1 and at most 2 at position 0"},
      {"linear",
       call([](RetrievalSettings& s) { s.options.separation = Separation::linear; }, {2}, {}),
       "has a kernel of its own"},
      {"mask",
       call(
           [](RetrievalSettings& s) {
             s.mask = Tensor::full({1, 1, 3, 4}, 1, DType::u8);
           },
           {2}, {}),
       "(1 or 1, 2 or 1, 3, 5)"},
      {"mask of numbers",
       call(
           [](RetrievalSettings& s) {
             s.mask = Tensor::full({1, 1, 3, 5}, 1, DType::f32);
           },
           {2}, {}),
       "u8 or bool"},
      {"two tops",
       call(
           [](RetrievalSettings& s) {
             s.options.top_k = 2;
             s.options.top_fraction = 0.5;
           },
           {2}, {}),
       "set one of them"},
      {"too many steps",
       call([](RetrievalSettings& s) { s.options.update_steps = std::int64_t{1} << 40; }, {2}, {}),
       "2^20"}};
}

const RegisterOp registered_retrieval({"retrieval", samples, errors});

}  // namespace

}  // namespace basin
