// AssociationOptions: what its validator refuses and what its text form reads and writes.
#include "kernels/association/options.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

namespace basin {
namespace {

// The options after one change to the defaults.
template <class F>
AssociationOptions with(F&& change) {
  AssociationOptions options;
  change(options);
  return options;
}

TEST(AssociationOptions, DefaultsAreValid) { EXPECT_EQ(validate(AssociationOptions{}), ""); }

TEST(AssociationOptions, RefusesABetaThatIsNoPositiveNumber) {
  for (const double beta : {-1.0, -1e-300, std::numeric_limits<double>::infinity(),
                            std::numeric_limits<double>::quiet_NaN()}) {
    const std::string error = validate(with([&](AssociationOptions& o) { o.beta = beta; }));
    EXPECT_NE(error.find("beta"), std::string::npos) << beta << ": " << error;
  }
  const std::string error = validate(with([](AssociationOptions& o) { o.beta = -0.25; }));
  EXPECT_NE(error.find("-0.25"), std::string::npos) << "does not name what was found: " << error;
}

TEST(AssociationOptions, RefusesLessThanOneUpdateStep) {
  for (const std::int64_t steps : {0, -3}) {
    const std::string error =
        validate(with([&](AssociationOptions& o) { o.update_steps = steps; }));
    EXPECT_NE(error.find("update_steps"), std::string::npos) << error;
    EXPECT_NE(error.find(std::to_string(steps)), std::string::npos) << error;
  }
}

TEST(AssociationOptions, RefusesSoftmaxOptionsForLinearSeparation) {
  const AssociationOptions linear =
      with([](AssociationOptions& o) { o.separation = Separation::linear; });
  EXPECT_EQ(validate(linear), "");
  AssociationOptions options = linear;
  options.update_steps = 2;
  EXPECT_NE(validate(options), "");
  options = linear;
  options.beta = 0.5;
  EXPECT_NE(validate(options), "");
  for (const LearnedBeta learned : {LearnedBeta::layer, LearnedBeta::head}) {
    options = linear;
    options.learned_beta = learned;
    EXPECT_NE(validate(options), "") << name_of(learned);
  }
}

struct Change {
  const char* named;
  void (*change)(AssociationOptions&);
};

// Numbers by themselves, and options that say nothing without another.
TEST(AssociationOptions, RefusesWhatHasNoMeaning) {
  const Change changes[] = {
      {"tolerance", [](AssociationOptions& o) { o.tolerance = -1; }},
      {"tolerance", [](AssociationOptions& o) { o.tolerance = 0.1; }},  // with one step
      {"alpha", [](AssociationOptions& o) { o.alpha = 1.7; }},          // with softmax
      {"alpha", [](AssociationOptions& o) { o.learned_alpha = true; }},
      {"alpha",
       [](AssociationOptions& o) {
         o.separation = Separation::entmax;
         o.alpha = 1.0;
       }},
      {"sparsemax",
       [](AssociationOptions& o) {
         o.separation = Separation::entmax;
         o.alpha = 2.0;
         o.learned_alpha = true;
       }},
      {"degree", [](AssociationOptions& o) { o.degree = 4; }},
      {"degree",
       [](AssociationOptions& o) {
         o.separation = Separation::polynomial;
         o.degree = 1;
       }},
      {"window", [](AssociationOptions& o) { o.window = -2; }},
      {"window", [](AssociationOptions& o) { o.dilation = 2; }},
      {"window", [](AssociationOptions& o) { o.global_tokens = 2; }},
      {"dilation",
       [](AssociationOptions& o) {
         o.window = 2;
         o.dilation = 0;
       }},
      {"random_keep", [](AssociationOptions& o) { o.random_keep = 0.0; }},
      {"random_keep", [](AssociationOptions& o) { o.random_keep = 1.5; }},
      {"random_keep", [](AssociationOptions& o) { o.random_grain = MaskGrain::tile; }},
      {"random_keep", [](AssociationOptions& o) { o.random_draw = MaskDraw::fixed; }},
      {"top_k", [](AssociationOptions& o) { o.top_k = -1; }},
      {"top_fraction", [](AssociationOptions& o) { o.top_fraction = 1.5; }},
      {"set one of them",
       [](AssociationOptions& o) {
         o.top_fraction = 0.5;
         o.top_k = 2;
       }},
      {"weight_dropout", [](AssociationOptions& o) { o.weight_dropout = 1.0; }},
      {"later keys",
       [](AssociationOptions& o) {
         o.normalise = Normalise::all;
         o.window = 2;
         o.causal = true;
       }},
      {"random_features", [](AssociationOptions& o) { o.features = 8; }},
      {"random_features", [](AssociationOptions& o) { o.redraw_every = 8; }},
      {"redraw_every",
       [](AssociationOptions& o) {
         o.separation = Separation::random_features;
         o.redraw_every = -1;
       }},
      {"one update step",
       [](AssociationOptions& o) {
         o.separation = Separation::random_features;
         o.update_steps = 2;
       }},
      {"linear", [](AssociationOptions& o) {
         o.separation = Separation::linear;
         o.window = 2;
       }}};
  for (const Change& change : changes) {
    const std::string error = validate(with(change.change));
    EXPECT_NE(error.find(change.named), std::string::npos) << change.named << ": " << error;
  }
}

TEST(AssociationOptions, OnlyAPrefixOfTheKeysIsPlain) {
  EXPECT_TRUE(is_plain(with([](AssociationOptions& o) {
    o.causal = true;
    o.beta = 2;
    o.update_steps = 3;
  })));
  const Change changes[] = {
      {"window", [](AssociationOptions& o) { o.window = 0; }},
      {"random", [](AssociationOptions& o) { o.random_keep = 0.5; }},
      {"top_k", [](AssociationOptions& o) { o.top_k = 1; }},
      {"top_fraction", [](AssociationOptions& o) { o.top_fraction = 0.5; }},
      {"normalise", [](AssociationOptions& o) { o.normalise = Normalise::all; }},
      {"dropout", [](AssociationOptions& o) { o.weight_dropout = 0.5; }},
      {"tolerance", [](AssociationOptions& o) {
         o.tolerance = 0.5;
         o.update_steps = 2;
       }}};
  for (const Change& change : changes) {
    EXPECT_FALSE(is_plain(with(change.change))) << change.named;
  }
}

TEST(AssociationOptions, TextOfEverythingReadsBack) {
  AssociationOptions options = with([](AssociationOptions& o) {
    o.separation = Separation::entmax;
    o.learned_beta = LearnedBeta::head;
    o.update_steps = 9;
    o.tolerance = 1.0 / 3.0;
    o.alpha = 1.01;
    o.learned_alpha = true;
    o.normalise = Normalise::all;
    o.window = 7;
    o.dilation = 3;
    o.global_tokens = 2;
    o.random_keep = 0.1;
    o.random_grain = MaskGrain::block;
    o.random_draw = MaskDraw::training;
    o.top_k = 12;
    o.weight_dropout = 0.25;
  });
  AssociationOptions read;
  std::string error;
  ASSERT_TRUE(from_text(to_text(options), read, error)) << to_text(options) << error;
  EXPECT_EQ(read, options) << to_text(options);
  options = with([](AssociationOptions& o) {
    o.separation = Separation::polynomial;
    o.degree = 6;
    o.top_fraction = 0.2;
  });
  ASSERT_TRUE(from_text(to_text(options), read, error)) << to_text(options) << error;
  EXPECT_EQ(read, options) << to_text(options);
  options = with([](AssociationOptions& o) {
    o.separation = Separation::random_features;
    o.features = 96;
    o.orthogonal = false;
    o.redraw_every = 100;
    o.feature_map = FeatureMap::relu;
    o.beta = 0.5;
  });
  ASSERT_TRUE(from_text(to_text(options), read, error)) << to_text(options) << error;
  EXPECT_EQ(read, options) << to_text(options);
}

TEST(AssociationOptions, NamesReadBackAndUnknownOnesDoNot) {
  for (const Separation separation :
       {Separation::softmax, Separation::linear, Separation::sparsemax, Separation::entmax,
        Separation::polynomial, Separation::random_features}) {
    Separation read{};
    EXPECT_TRUE(parse(name_of(separation), read));
    EXPECT_EQ(read, separation);
  }
  for (const LearnedBeta learned : {LearnedBeta::none, LearnedBeta::layer, LearnedBeta::head}) {
    LearnedBeta read{};
    EXPECT_TRUE(parse(name_of(learned), read));
    EXPECT_EQ(read, learned);
  }
  Separation separation = Separation::linear;
  for (const char* name : {"", "Softmax", "softmax ", "dense"}) {
    EXPECT_FALSE(parse(name, separation)) << name;
  }
  EXPECT_EQ(separation, Separation::linear) << "a failed parse must not change its output";
}

TEST(AssociationOptions, TextReadsBackAsTheSameOptions) {
  for (const bool causal : {false, true}) {
    // 1/3 needs 17 digits, 5e-324 is the smallest double.
    for (const double beta : {0.0, 1.0, 0.1, 1.0 / 3.0, 5e-324, 1e300}) {
      for (const LearnedBeta learned : {LearnedBeta::none, LearnedBeta::layer, LearnedBeta::head}) {
        for (const std::int64_t steps : {std::int64_t{1}, std::int64_t{1} << 40}) {
          AssociationOptions options;
          options.causal = causal;
          options.beta = beta;
          options.learned_beta = learned;
          options.update_steps = steps;
          AssociationOptions read;
          std::string error;
          ASSERT_TRUE(from_text(to_text(options), read, error)) << to_text(options) << error;
          EXPECT_EQ(read, options) << to_text(options);
        }
      }
    }
  }
  AssociationOptions linear;
  linear.separation = Separation::linear;
  linear.causal = true;
  AssociationOptions read;
  std::string error;
  ASSERT_TRUE(from_text(to_text(linear), read, error)) << error;
  EXPECT_EQ(read, linear);
}

TEST(AssociationOptions, DefaultTextIsTheDocumentedOne) {
  EXPECT_EQ(to_text(AssociationOptions{}),
            "separation=softmax causal=false beta=auto learned_beta=none update_steps=1");
}

TEST(AssociationOptions, MissingKeysKeepTheirDefaults) {
  AssociationOptions read;
  std::string error;
  ASSERT_TRUE(from_text("", read, error)) << error;
  EXPECT_EQ(read, AssociationOptions{});
  ASSERT_TRUE(from_text("  causal=true\n update_steps=3 ", read, error)) << error;
  EXPECT_EQ(read, with([](AssociationOptions& o) {
              o.causal = true;
              o.update_steps = 3;
            }));
}

TEST(AssociationOptions, BadTextNamesTheKeyAndChangesNothing) {
  struct Bad {
    const char* text;
    const char* named;
  };
  for (const Bad bad :
       {Bad{"separation=dense", "dense"}, Bad{"separation=", "separation"},
        Bad{"causal=yes", "causal"}, Bad{"causal", "causal"}, Bad{"beta=fast", "fast"},
        Bad{"beta=1x", "1x"}, Bad{"beta=", "beta"}, Bad{"learned_beta=all", "all"},
        Bad{"update_steps=2.5", "2.5"}, Bad{"update_steps=99999999999999999999", "update_steps"},
        Bad{"windows=3", "windows"}, Bad{"window=3.5", "window"},
        Bad{"normalise=some", "normalise"}, Bad{"=3", "''"},
        // Good words, refused together by the validator.
        Bad{"update_steps=0", "update_steps"}, Bad{"beta=-1", "beta"}, Bad{"beta=nan", "beta"},
        Bad{"beta=inf", "beta"}, Bad{"separation=linear update_steps=2", "linear"}}) {
    AssociationOptions options;
    options.update_steps = 7;
    const AssociationOptions before = options;
    std::string error;
    EXPECT_FALSE(from_text(bad.text, options, error)) << bad.text;
    EXPECT_NE(error.find(bad.named), std::string::npos) << bad.text << ": " << error;
    EXPECT_EQ(options, before) << bad.text;
  }
}

}  // namespace
}  // namespace basin
