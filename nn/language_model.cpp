#include "nn/language_model.h"

#include "autograd/operations.h"
#include "autograd/product_precision.h"
#include "kernels/common/philox.h"
#include "tensor/error.h"

namespace basin::nn {

namespace {

// The bias of a head whose matrix is the embedding table.
class TiedHead final : public Module {
 public:
  TiedHead(std::int64_t vocabulary, DType dtype) {
    add_parameter("bias", Tensor::zeros({vocabulary}, dtype));
  }
};

}  // namespace

LanguageModel::LanguageModel(const BackboneOptions& options, std::uint64_t seed,
                             const HeadOptions& head)
    : weight_rng_(kernels::derive_key(seed, 0)),
      dropout_rng_(kernels::derive_key(seed, 1)),
      head_options_(head),
      backbone_(options, weight_rng_, dropout_rng_) {
  if (!(head.label_smoothing >= 0.0 && head.label_smoothing < 1.0)) {
    fail("[LanguageModel] label smoothing must be in [0, 1), got {}", head.label_smoothing);
  }
  add_module("", backbone_);
  if (head.tie_weights) {
    head_ = std::make_unique<TiedHead>(options.vocabulary, options.dtype);
    head_weight_ = backbone_.token_table();
    head_bias_ = head_->parameters()[0].variable;
  } else {
    head_ = std::make_unique<Linear>(options.width, options.vocabulary, weight_rng_, options.dtype);
    head_weight_ = head_->parameters()[0].variable;
    head_bias_ = head_->parameters()[1].variable;
  }
  add_module("head", *head_);
}

Variable LanguageModel::forward(const Tensor& tokens, const Tensor& lengths) const {
  const ProductPrecision precision(options().precision);
  return linear(backbone_.forward(tokens, lengths), head_weight_, head_bias_);
}

Tensor LanguageModel::step(const Tensor& tokens, BackboneState& state) const {
  const NoGrad no_grad;
  const ProductPrecision precision(options().precision);
  return linear(backbone_.step(tokens, state), head_weight_, head_bias_).value().select(1, 0);
}

Variable LanguageModel::loss(const Tensor& tokens, const Tensor& targets,
                             const Tensor& lengths) const {
  const ProductPrecision precision(options().precision);
  return linear_cross_entropy(backbone_.forward(tokens, lengths), head_weight_, head_bias_, targets,
                              -100, head_options_.label_smoothing);
}

Predictions LanguageModel::predict(const Tensor& tokens, const Tensor& targets,
                                   const Tensor& lengths) const {
  const NoGrad no_grad;
  return predictions(backbone_.forward(tokens, lengths).value(), head_weight_.value(),
                     head_bias_.value(), targets, -100, options().precision);
}

}  // namespace basin::nn
