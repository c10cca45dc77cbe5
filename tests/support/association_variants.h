// Every kind of retrieval the Association layer offers, for tests that must hold for all of them.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/association/options.h"

namespace basin::test {

struct AssociationVariant {
  std::string name;
  AssociationOptions options;
  bool rotary = false;  // positions, not part of the options
};

/// For INSTANTIATE_TEST_SUITE_P.
inline std::string variant_name(const testing::TestParamInfo<AssociationVariant>& info) {
  return info.param.name;
}

/// Each separation, with and without causality, softmax also with each form of beta and several
/// update steps, and rotary positions.
inline std::vector<AssociationVariant> association_variants() {
  std::vector<AssociationVariant> all;
  for (const bool causal : {false, true}) {
    const auto add = [&](const std::string& name, auto&& change) {
      AssociationOptions options;
      options.causal = causal;
      change(options);
      all.push_back({name + (causal ? "_causal" : ""), options, false});
    };
    add("softmax", [](AssociationOptions&) {});
    add("fixed_beta", [](AssociationOptions& o) { o.beta = 1.7; });
    add("learned_beta_per_layer",
        [](AssociationOptions& o) { o.learned_beta = LearnedBeta::layer; });
    add("learned_beta_per_head", [](AssociationOptions& o) { o.learned_beta = LearnedBeta::head; });
    add("three_steps", [](AssociationOptions& o) {
      o.update_steps = 3;
      o.beta = 1.7;
    });
    add("three_steps_learned_beta", [](AssociationOptions& o) {
      o.update_steps = 3;
      o.learned_beta = LearnedBeta::head;
    });
    add("linear", [](AssociationOptions& o) { o.separation = Separation::linear; });
    add("rotary", [](AssociationOptions&) {});
    all.back().rotary = true;
    add("rotary_linear", [](AssociationOptions& o) { o.separation = Separation::linear; });
    all.back().rotary = true;
  }
  return all;
}

}  // namespace basin::test
