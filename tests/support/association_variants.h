// Every kind of retrieval the Association layer offers, for tests that must hold for all of them.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "kernels/association/options.h"

namespace basin::test {

struct AssociationVariant {
  std::string name;
  AssociationOptions options;
  bool rotary = false;  // positions, not part of the options
};

/// Otherwise GoogleTest prints all bytes of every parameter, whenever a program starts.
inline void PrintTo(const AssociationVariant& variant, std::ostream* stream) {
  *stream << variant.name;
}

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

/// association_variants() and every other separation and visibility, with and without causality
/// where that means something. Random masks are fixed ones: a layer needs no Rng to draw from.
inline std::vector<AssociationVariant> every_mechanism() {
  std::vector<AssociationVariant> all = association_variants();
  using O = AssociationOptions;
  struct Part {
    const char* name;
    void (*change)(O&);
  };
  for (const bool causal : {false, true}) {
    for (const FeatureMap map : {FeatureMap::positive, FeatureMap::relu}) {
      O options;
      options.causal = causal;
      options.separation = Separation::random_features;
      options.learned_beta = LearnedBeta::head;
      options.feature_map = map;
      all.push_back({std::string("random_features_") + name_of(map) + (causal ? "_causal" : ""),
                     options, false});
    }
  }
  const Part separations[] = {{"softmax", [](O&) {}},
                              {"sparsemax", [](O& o) { o.separation = Separation::sparsemax; }},
                              {"entmax",
                               [](O& o) {
                                 o.separation = Separation::entmax;
                                 o.learned_alpha = true;
                               }},
                              {"polynomial", [](O& o) {
                                 o.separation = Separation::polynomial;
                                 o.degree =
                                     4;  // smooth enough at 0 for differences of second order
                               }}};
  const Part visibilities[] = {{"", [](O&) {}},
                               {"_window", [](O& o) { o.window = 8; }},
                               {"_dilated_window",
                                [](O& o) {
                                  o.window = 6;
                                  o.dilation = 2;
                                  o.global_tokens = 2;
                                }},
                               {"_random", [](O& o) { o.random_keep = 0.6; }},
                               {"_random_tiles",
                                [](O& o) {
                                  o.random_keep = 0.7;
                                  o.random_grain = MaskGrain::tile;
                                }},
                               {"_top_k", [](O& o) { o.top_k = 9; }},
                               {"_top_fraction", [](O& o) { o.top_fraction = 0.3; }},
                               {"_window_normalise_all",
                                [](O& o) {
                                  o.window = 8;
                                  o.normalise = Normalise::all;
                                }},
                               {"_top_k_normalise_all",
                                [](O& o) {
                                  o.top_k = 9;
                                  o.normalise = Normalise::all;
                                }},
                               {"_until_settled", [](O& o) {
                                  o.update_steps = 5;
                                  o.tolerance = 0.05;
                                }}};
  for (const bool causal : {false, true}) {
    for (const Part& separation : separations) {
      for (const Part& visibility : visibilities) {
        O options;
        options.causal = causal;
        options.learned_beta = LearnedBeta::head;
        separation.change(options);
        visibility.change(options);
        if (options.random_keep < 1.0) {
          options.random_draw = MaskDraw::fixed;
        }
        const bool is_new = separation.name != std::string("softmax") || visibility.name[0] != 0;
        if (is_new && validate(options).empty()) {
          all.push_back({std::string(separation.name) + visibility.name + (causal ? "_causal" : ""),
                         options, false});
        }
      }
    }
  }
  return all;
}

}  // namespace basin::test
