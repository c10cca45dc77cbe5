#include "nn/language_model.h"

#include "autograd/operations.h"
#include "kernels/common/philox.h"

namespace basin::nn {

LanguageModel::LanguageModel(const BackboneOptions& options, std::uint64_t seed)
    : weight_rng_(kernels::derive_key(seed, 0)),
      dropout_rng_(kernels::derive_key(seed, 1)),
      backbone_(options, weight_rng_, dropout_rng_),
      head_(options.width, options.vocabulary, weight_rng_, options.dtype) {
  add_module("", backbone_);
  add_module("head", head_);
}

Variable LanguageModel::forward(const Tensor& tokens, const Tensor& lengths) const {
  return head_.forward(backbone_.forward(tokens, lengths));
}

Variable LanguageModel::loss(const Tensor& tokens, const Tensor& targets,
                             const Tensor& lengths) const {
  return cross_entropy(forward(tokens, lengths), targets);
}

}  // namespace basin::nn
