#include "nn/dense_classifier.h"

#include <cmath>

#include "tensor/error.h"
#include "tensor/functions/elementwise.h"

namespace basin::nn {

namespace {

// f32 ends at 3e38; evidence is a sum over memories.
constexpr double kLargestLogarithm = 69.0;  // ln 1e30

double log_of_largest(const DenseClassifierOptions& o, double units) {
  const double y = units / o.temperature;
  const auto degree = static_cast<double>(o.degree);
  return degree * (o.interaction == Interaction::exponential ? y - 1.0 : std::log(y));
}

Tensor initial_memories(std::int64_t inputs, std::int64_t classes,
                        const DenseClassifierOptions& options, Rng& rng, DType dtype) {
  if (inputs < 1 || classes < 1 || options.memories < 1) {
    fail("[DenseClassifier] needs at least one input, class and memory; got {}, {} and {}", inputs,
         classes, options.memories);
  }
  if (options.degree < 1 || !(options.temperature > 0.0)) {
    fail("[DenseClassifier] needs a degree of at least 1 and a temperature above 0; got {} and {}",
         options.degree, options.temperature);
  }
  if (!(log_of_largest(options, static_cast<double>(inputs + classes)) <= kLargestLogarithm)) {
    fail(
        "[DenseClassifier] {} units at degree {} and temperature {} reach energies above 1e30, "
        "which leave the range of f32; raise the temperature or lower the degree",
        inputs + classes, options.degree, options.temperature);
  }
  return affine(rng.normal({options.memories, inputs + classes}, options.initial_deviation, dtype),
                1.0, options.initial_mean);
}

}  // namespace

DenseClassifier::DenseClassifier(std::int64_t inputs, std::int64_t classes,
                                 const DenseClassifierOptions& options, Rng& rng, DType dtype)
    : inputs_(inputs), options_(options) {
  memories_ = add_parameter("memories", initial_memories(inputs, classes, options, rng, dtype));
}

Variable DenseClassifier::forward(const Variable& x) const {
  const Variable visible = slice(memories_, 1, 0, inputs_);
  const Variable labels = slice(memories_, 1, inputs_, memories_.size(1));
  return tanh(label_evidence(linear(x, visible, Variable()), labels,
                             {options_.interaction, options_.degree, options_.temperature}));
}

Tensor dense_targets(const Tensor& labels, std::int64_t classes, DType dtype) {
  const std::vector<std::int64_t> all = labels.to_vector<std::int64_t>();
  std::vector<double> targets(all.size() * static_cast<std::size_t>(classes), -1.0);
  for (std::size_t row = 0; row < all.size(); ++row) {
    if (all[row] < 0 || all[row] >= classes) {
      fail("[dense_targets] label {} of row {} is none of {} classes", all[row], row, classes);
    }
    targets[row * static_cast<std::size_t>(classes) + static_cast<std::size_t>(all[row])] = 1.0;
  }
  return Tensor::from({labels.numel(), classes}, targets).to(dtype);
}

}  // namespace basin::nn
