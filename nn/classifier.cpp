#include "nn/classifier.h"

#include "autograd/product_precision.h"
#include "kernels/common/philox.h"
#include "tensor/error.h"

namespace basin::nn {

namespace {

constexpr Pooling kPoolings[] = {Pooling::mean, Pooling::last, Pooling::first};

std::int64_t checked_classes(std::int64_t classes) {
  if (classes < 2) {
    fail("[SequenceClassifier] needs at least 2 classes, got {}", classes);
  }
  return classes;
}

}  // namespace

const char* name_of(Pooling pooling) {
  switch (pooling) {
    case Pooling::mean: return "mean";
    case Pooling::last: return "last";
    case Pooling::first: return "first";
  }
  return "?";
}

bool parse(const std::string& name, Pooling& out) {
  for (const Pooling pooling : kPoolings) {
    if (name == name_of(pooling)) {
      out = pooling;
      return true;
    }
  }
  return false;
}

SequenceClassifier::SequenceClassifier(const BackboneOptions& options, std::int64_t classes,
                                       Pooling pooling, std::uint64_t seed)
    : weight_rng_(kernels::derive_key(seed, 0)),
      dropout_rng_(kernels::derive_key(seed, 1)),
      backbone_(options, weight_rng_, dropout_rng_),
      pooling_(pooling),
      head_(options.width, checked_classes(classes), weight_rng_, options.dtype) {
  add_module("", backbone_);
  add_module("head", head_);
}

Variable SequenceClassifier::forward(const Tensor& tokens, const Tensor& lengths) const {
  const ProductPrecision precision(backbone_.options().precision);
  return head_.forward(pool(backbone_.forward(tokens, lengths), lengths, pooling_));
}

}  // namespace basin::nn
