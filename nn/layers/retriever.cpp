#include "nn/layers/retriever.h"

#include <cmath>

#include "autograd/operations.h"
#include "kernels/common/philox.h"
#include "nn/diagnostics/observer.h"
#include "tensor/device_graph.h"
#include "tensor/error.h"
#include "tensor/functions/association.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/random_features.h"
#include "tensor/functions/reduce.h"

namespace basin::nn {

namespace {

// Learned exponents stay away from 1, where weights are powers of 1 / (alpha - 1).
constexpr double kLeastAlpha = 1.01;

std::uint64_t next_key(Rng& rng) { return kernels::derive_key(rng.key(), rng.next_stream()); }

// The same, in `there` on the device if draws have an offset there.
void next_key(Rng& rng, std::uint64_t& here, Tensor& there) {
  const Draw draw = rng.next_draw();
  if (draw.offset.defined()) {
    there = derived_key(draw);
  } else {
    here = kernels::derive_key(draw.key, draw.stream);
  }
}

// S += phi(k) v^T and z += phi(k), both times `keep` first where it is defined.
void take_in(const Tensor& phi, const Tensor& v, const Tensor& keep, RetrievalState& state) {
  const Tensor added = matmul(phi.transpose(2, 3), v);
  if (!state.matrix.defined()) {
    state.matrix = added;
    state.vector = phi;
    return;
  }
  if (keep.defined()) {
    state.matrix = mul(state.matrix, keep.transpose(2, 3));
    state.vector = mul(state.vector, keep);
  }
  state.matrix = add(state.matrix, added);
  state.vector = add(state.vector, phi);
}

Tensor read_out(const Tensor& phi, const RetrievalState& state, double eps) {
  const Tensor normaliser = affine(sum(mul(phi, state.vector), -1, true), 1.0, eps);
  return div(matmul(phi, state.matrix), normaliser);
}

}  // namespace

Retriever::Retriever(std::int64_t heads, std::int64_t head_width, const AssociationOptions& options,
                     Rng& rng, Rng* draws, DType dtype)
    : heads_(heads), options_(options), draws_(draws) {
  if (const std::string problem = validate(options); !problem.empty()) {
    fail("[Retriever] {}", problem);
  }
  const bool masks = options.random_keep < 1.0;
  const bool draws_in_training = options.weight_dropout > 0 || options.redraw_every > 0 ||
                                 (masks && options.random_draw != MaskDraw::fixed);
  if (draws == nullptr && draws_in_training) {
    fail(
        "[Retriever] dropout of weights, random masks and features that are drawn anew need an Rng "
        "to draw from");
  }
  if (masks) {
    fixed_key_ = next_key(rng);
  }
  const double beta =
      options.beta == 0.0 ? 1.0 / std::sqrt(static_cast<double>(head_width)) : options.beta;
  switch (options.learned_beta) {
    case LearnedBeta::none: fixed_beta_ = add_constant(Tensor::full({heads}, beta, dtype)); break;
    case LearnedBeta::layer:
      log_beta_ = add_parameter("log_beta", Tensor::full({1}, std::log(beta), dtype));
      break;
    case LearnedBeta::head:
      log_beta_ = add_parameter("log_beta", Tensor::full({heads}, std::log(beta), dtype));
      break;
  }
  if (options.separation == Separation::entmax) {
    if (options.learned_alpha) {
      // The logit of alpha - 1.
      const double start = std::log((options.alpha - 1) / (2 - options.alpha));
      least_alpha_ = add_constant(Tensor::full({1}, kLeastAlpha, dtype));
      alpha_logit_ = add_parameter("alpha_logit", Tensor::full({heads}, start, dtype));
    } else {
      fixed_alpha_ = add_constant(Tensor::full({heads}, options.alpha, dtype));
    }
  }
  if (options.separation == Separation::random_features) {
    const std::int64_t features = options.features == 0 ? 4 * head_width : options.features;
    projection_ = add_buffer(
        "projection", random_projection(features, head_width, options.orthogonal, rng, dtype));
    if (options.redraw_every > 0) {
      feature_draw_ = add_buffer("feature_draw", Tensor::zeros({2}, DType::i64));
    }
  }
}

// The features of the next call in training. Where a graph repeats the call without us, they are
// drawn before each repetition.
void Retriever::redraw_features() const {
  const std::uint64_t position = draws_->position();
  const Draw draw = draws_->next_draw();
  if (draw.offset.defined()) {
    DeviceGraph::before_replay(this, draw.stream, [this, further = draw.stream] {
      redraw_features_of(static_cast<std::int64_t>(draws_->position() + further) + 1);
    });
  }
  redraw_features_of(static_cast<std::int64_t>(position) + 1);
}

// New features when enough calls of training have passed. A call that is made again for its
// gradient (autograd/recompute.h) has the number of the first time and changes nothing.
void Retriever::redraw_features_of(std::int64_t number) const {
  std::int64_t* state = feature_draw_.mutable_value().mutable_data<std::int64_t>();
  if (number <= state[1]) {
    return;
  }
  state[1] = number;
  if (state[0] == options_.redraw_every) {
    Rng rng(kernels::derive_key(draws_->key(), static_cast<std::uint64_t>(number)));
    projection_.mutable_value().copy_from(
        random_projection(projection_.size(0), projection_.size(1), options_.orthogonal, rng,
                          projection_.dtype())
            .to(projection_.device()));
    state[0] = 0;
  }
  ++state[0];
}

Variable Retriever::beta() const {
  return log_beta_.defined() ? expand(exp(log_beta_), {heads_}) : fixed_beta_;
}

Variable Retriever::alpha() const {
  if (!alpha_logit_.defined()) {
    return fixed_alpha_;
  }
  return maximum(affine(sigmoid(alpha_logit_), 1.0, 1.0), least_alpha_);
}

Variable Retriever::forward(const Variable& q, const Variable& k, const Variable& v,
                            const Tensor& key_lengths, const Tensor& mask, Tensor* steps) const {
  RetrievalSettings settings{.options = options_, .key_lengths = key_lengths, .mask = mask};
  settings.steps = steps;
  if (feature_draw_.defined() && training()) {
    redraw_features();
  }
  if (projection_.defined()) {
    settings.projection = projection_.value();
  }
  AssociationOptions& o = settings.options;
  if (o.random_keep < 1.0) {
    if (training() && o.random_draw != MaskDraw::fixed) {
      next_key(*draws_, settings.random_key, settings.random_key_there);
    } else if (o.random_draw == MaskDraw::training) {
      o.random_keep = 1.0;  // evaluation sees everything
      o.random_grain = MaskGrain::element;
      o.random_draw = MaskDraw::call;
    } else {
      settings.random_key = fixed_key_;
    }
  }
  if (o.weight_dropout > 0.0) {
    if (training()) {
      next_key(*draws_, settings.dropout_key, settings.dropout_key_there);
    } else {
      o.weight_dropout = 0.0;
    }
  }
  if (is_observed()) {
    const auto value_of = [](const Variable& x) { return x.defined() ? x.value() : Tensor(); };
    tell_observer({{q.value(), k.value(), v.value(), beta().value(), value_of(alpha()),
                    settings.key_lengths, settings.mask, o, settings.random_key,
                    settings.dropout_key, settings.random_key_there, settings.dropout_key_there},
                   settings.projection});
  }
  return associate(q, k, v, beta(), alpha(), settings);
}

Tensor Retriever::step_linear(const Tensor& q, const Tensor& k, const Tensor& v,
                              RetrievalState& state) const {
  const auto phi = [](const Tensor& x) { return affine(elu(x), 1.0, 1.0); };
  take_in(phi(k), v, Tensor(), state);
  return read_out(phi(q), state, kLinearAttentionEps);
}

Tensor Retriever::step_features(const Tensor& q, const Tensor& k, const Tensor& v,
                                RetrievalState& state) const {
  const Tensor root = basin::sqrt(beta().value()).reshape({heads_, 1, 1});
  const auto logs = [&](const Tensor& x, bool is_key) {
    const Tensor scaled = mul(x, root);
    const Tensor inner = matmul(scaled, projection_.value().transpose(0, 1));
    if (options_.feature_map == FeatureMap::relu) {
      return basin::log(affine(relu(inner), 1.0, kReluFeatureFloor));
    }
    return is_key ? sub(inner, affine(sum(square(scaled), -1, true), 0.5, 0.0)) : inner;
  };
  const Tensor key = logs(k, true);
  const Tensor top = state.top.defined() ? maximum(state.top, key) : key;
  const Tensor keep = state.top.defined() ? basin::exp(sub(state.top, top)) : Tensor();
  take_in(basin::exp(sub(key, top)), v, keep, state);
  state.top = top;
  const Tensor query = add(logs(q, false), top);
  return read_out(basin::exp(sub(query, max(query, -1, true))), state, 0.0);
}

Tensor Retriever::step(const Tensor& q, const Tensor& k, const Tensor& v,
                       RetrievalState& state) const {
  const NoGrad no_grad;
  if (training() || !options_.causal) {
    fail("[Retriever] step() is for causal retrieval in evaluation");
  }
  if (options_.random_keep < 1.0 && options_.random_draw != MaskDraw::training) {
    fail("[Retriever] a random mask is drawn for a whole sequence, not step by step");
  }
  ++state.positions;
  if (options_.separation == Separation::linear) {
    return step_linear(q, k, v, state);
  }
  if (options_.separation == Separation::random_features) {
    return step_features(q, k, v, state);
  }
  state.keys.append(k);
  state.values.append(v);
  // The query is the last of as many positions as there are keys: forward() looks no further.
  return forward(Variable(q), Variable(state.keys.rows()), Variable(state.values.rows())).value();
}

}  // namespace basin::nn
