#include "nn/backbone.h"

#include <fmt/ranges.h>

#include "autograd/operations.h"
#include "autograd/product_precision.h"
#include "autograd/recompute.h"
#include "tensor/error.h"

namespace basin::nn {

namespace {

const BackboneOptions& checked(const BackboneOptions& o) {
  (void)association_options(o);
  if (o.vocabulary < 1 || o.width < 1 || o.layers < 1 || o.mlp_ratio < 1 || o.max_length < 1) {
    fail(
        "[Backbone] vocabulary {}, width {}, layers {}, mlp_ratio {} and max_length {} must all be "
        "positive",
        o.vocabulary, o.width, o.layers, o.mlp_ratio, o.max_length);
  }
  if (o.precision != Precision::f32 && o.dtype != DType::f32) {
    fail("[Backbone] products in {} are made of f32; the model is in {}", name_of(o.precision),
         name_of(o.dtype));
  }
  if (o.recurrence != Recurrence::own && backbone_kind(o.kind).is_association) {
    fail("[Backbone] '{}' has no recurrence that cuDNN could compute", o.kind);
  }
  if (o.recurrence != Recurrence::own && o.precision == Precision::bf16) {
    fail("[Backbone] cuDNN's recurrences have products in f32 and tf32, not in bf16");
  }
  if (!(o.embedding_deviation > 0.0)) {
    fail("[Backbone] embedding_deviation must be above 0, got {}", o.embedding_deviation);
  }
  if (!o.causal && !backbone_kind(o.kind).is_association) {
    fail("[Backbone] '{}' reads from left to right and cannot be made non-causal", o.kind);
  }
  if (o.positions == PositionKind::rotary && !backbone_kind(o.kind).is_association) {
    fail("[Backbone] '{}' has no queries and keys that rotary positions could turn", o.kind);
  }
  return o;
}

// All inputs of a mixer, (B,t,width).
struct History final : MixerState {
  GrowingRows inputs{1};
};

}  // namespace

const BackboneKind& backbone_kind(const std::string& name) {
  std::vector<std::string> names;
  for (const BackboneKind& kind : backbone_kinds()) {
    if (kind.name == name) {
      return kind;
    }
    names.push_back(kind.name);
  }
  fail("[Backbone] there is no backbone '{}'; there are {}", name, fmt::join(names, ", "));
}

AssociationOptions association_options(const BackboneOptions& o) {
  const BackboneKind& kind = backbone_kind(o.kind);
  AssociationOptions result = o.association.value_or(kind.defaults);
  result.causal = o.causal;
  if (!kind.is_association) {
    if (o.association || o.beta || o.learned_beta || o.update_steps) {
      fail("[Backbone] '{}' has no inverse temperature and no update steps", o.kind);
    }
    return result;
  }
  result.beta = o.beta.value_or(result.beta);
  result.learned_beta = o.learned_beta.value_or(result.learned_beta);
  result.update_steps = o.update_steps.value_or(result.update_steps);
  if (const std::string problem = validate(result); !problem.empty()) {
    fail("[Backbone] {}: {}", o.kind, problem);
  }
  return result;
}

Block::Block(const BackboneOptions& o, Rng& rng, Rng& dropout_rng)
    : norm1_(o.width, o.dtype),
      mix_(backbone_kind(o.kind).make(o, association_options(o), rng, dropout_rng)),
      norm2_(o.width, o.dtype),
      mlp_(o.width, o.width * o.mlp_ratio, rng, o.dtype),
      dropout_(o.dropout, dropout_rng) {
  add_module("norm1", norm1_);
  add_module("mix", *mix_);
  add_module("norm2", norm2_);
  add_module("", mlp_);
  add_module("dropout", dropout_);
}

Variable Block::forward(const Variable& x, const Tensor& lengths) const {
  const auto [mixed, normalised] =
      norm2_.forward_sum(x, dropout_.forward(mix_->forward(norm1_.forward(x), lengths)));
  return add(mixed, dropout_.forward(mlp_.forward(normalised)));
}

Variable Block::step(const Variable& x, MixerState& state) const {
  const auto [mixed, normalised] = norm2_.forward_sum(x, mix_->step(norm1_.forward(x), state));
  return add(mixed, mlp_.forward(normalised));
}

std::unique_ptr<MixerState> Mixer::begin() const { return std::make_unique<History>(); }

Variable Mixer::step(const Variable& x, MixerState& state) const {
  GrowingRows& inputs = dynamic_cast<History&>(state).inputs;
  inputs.append(x.value());
  const Variable all = forward(Variable(inputs.rows().contiguous()), Tensor());
  return slice(all, 1, inputs.size() - 1, inputs.size());
}

Backbone::Backbone(const BackboneOptions& o, Rng& rng, Rng& dropout_rng)
    : options_(checked(o)),
      dropout_rng_(dropout_rng),
      tokens_(o.vocabulary, o.width, rng, o.dtype, o.embedding_deviation),
      positions_(o.positions, o.max_length, o.width, rng, o.dtype, o.embedding_deviation),
      norm_(o.width, o.dtype),
      dropout_(o.dropout, dropout_rng) {
  add_module("tokens", tokens_);
  add_module("positions", positions_);
  for (std::int64_t n = 0; n < o.layers; ++n) {
    blocks_.push_back(std::make_unique<Block>(o, rng, dropout_rng));
    add_module(fmt::format("blocks.{}", n), *blocks_.back());
  }
  add_module("norm", norm_);
  add_module("dropout", dropout_);
}

Variable Backbone::forward(const Tensor& tokens, const Tensor& lengths) const {
  if (tokens.rank() != 2) {
    fail("[Backbone] tokens must be (B, L), got {}", describe(tokens));
  }
  const ProductPrecision precision(options_.precision);
  Variable x = dropout_.forward(positions_.forward(tokens_.forward(tokens)));
  for (const auto& block : blocks_) {
    const auto forward = [&block = *block, lengths](const Variable& in) {
      return block.forward(in, lengths);
    };
    x = options_.recompute ? basin::recompute(forward, x, &dropout_rng_) : forward(x);
  }
  return norm_.forward(x);
}

BackboneState Backbone::begin() const {
  BackboneState state;
  for (const auto& block : blocks_) {
    state.mixers.push_back(block->begin());
  }
  return state;
}

Variable Backbone::step(const Tensor& tokens, BackboneState& state) const {
  const NoGrad no_grad;
  if (training() || !options_.causal) {
    fail("[Backbone] step() is for a causal backbone in evaluation");
  }
  if (tokens.rank() != 2 || tokens.size(1) != 1) {
    fail("[Backbone] step() takes tokens (B, 1), got {}", describe(tokens));
  }
  const ProductPrecision precision(options_.precision);
  Variable x = positions_.forward(tokens_.forward(tokens), state.position);
  for (std::size_t n = 0; n < blocks_.size(); ++n) {
    x = blocks_[n]->step(x, *state.mixers[n]);
  }
  ++state.position;
  return norm_.forward(x);
}

}  // namespace basin::nn
