// Small models and inputs that many tests of nn and tasks share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "nn/backbone.h"
#include "nn/module.h"
#include "tensor/rng.h"

namespace basin::test {

inline std::vector<std::string> all_backbones() {
  std::vector<std::string> names;
  for (const nn::BackboneKind& kind : nn::backbone_kinds()) {
    names.push_back(kind.name);
  }
  return names;
}

/// For INSTANTIATE_TEST_SUITE_P over names: "linear-attention" becomes linear_attention.
inline std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

/// Two layers of width 16 with two heads, for up to 12 tokens of 11.
inline nn::BackboneOptions small_backbone(const std::string& kind, DType dtype = DType::f32) {
  nn::BackboneOptions options;
  options.kind = kind;
  options.vocabulary = 11;
  options.width = 16;
  options.layers = 2;
  options.heads = 2;
  options.mlp_ratio = 2;
  options.max_length = 12;
  options.dtype = dtype;
  return options;
}

/// (B, L) i64, each below `vocabulary`.
inline Tensor random_tokens(std::int64_t batch, std::int64_t length, std::int64_t vocabulary,
                            std::uint64_t seed) {
  std::vector<std::int64_t> ids;
  for (std::int64_t n = 0; n < batch * length; ++n) {
    ids.push_back(static_cast<std::int64_t>(uniform_index(seed, 0, static_cast<std::uint64_t>(n),
                                                          static_cast<std::uint64_t>(vocabulary))));
  }
  return Tensor::from<std::int64_t>({batch, length}, ids);
}

inline Tensor random_tensor(const Shape& shape, std::uint64_t seed, DType dtype = DType::f64) {
  return Rng(seed).normal(shape, 1.0, dtype);
}

/// The parameter of this name.
inline Variable parameter(const nn::Module& module, const std::string& name) {
  for (const nn::Parameter& candidate : module.parameters()) {
    if (candidate.name == name) {
      return candidate.variable;
    }
  }
  throw std::runtime_error("there is no parameter " + name);
}

inline std::vector<std::string> parameter_names(const nn::Module& module) {
  std::vector<std::string> names;
  for (const nn::Parameter& parameter : module.parameters()) {
    names.push_back(parameter.name);
  }
  return names;
}

/// Copies of all parameters.
inline std::vector<Tensor> weights_of(const nn::Module& module) {
  std::vector<Tensor> weights;
  for (const nn::Parameter& parameter : module.parameters()) {
    weights.push_back(parameter.variable.value().clone());
  }
  return weights;
}

/// Copies of all gradients; undefined where there is none.
inline std::vector<Tensor> gradients_of(const nn::Module& module) {
  std::vector<Tensor> gradients;
  for (const nn::Parameter& parameter : module.parameters()) {
    const Tensor& gradient = parameter.variable.grad();
    gradients.push_back(gradient.defined() ? gradient.clone() : Tensor());
  }
  return gradients;
}

}  // namespace basin::test
