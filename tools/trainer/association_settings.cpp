#include "tools/trainer/association_settings.h"

#include <utility>

#include "nn/backbone.h"
#include "tools/trainer/setting_kinds.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::trainer {

namespace {

using O = AssociationOptions;

// Bounds that no real run meets.
constexpr std::int64_t kMost = std::int64_t{1} << 30;

std::string if_separates(const Configuration& c) {
  return nn::backbone_kind(c.backbone).is_association && !is_kernelised(c.association.separation)
             ? ""
             : fmt::format(
                   "the backbone '{}' has no weights of single positions and so neither update "
                   "steps nor windows or masks",
                   c.backbone);
}

std::string if_has_temperature(const Configuration& c) {
  return nn::backbone_kind(c.backbone).is_association &&
                 c.association.separation != Separation::linear
             ? ""
             : fmt::format("the backbone '{}' has no inverse temperature", c.backbone);
}

std::string if_random_features(const Configuration& c) {
  return nn::backbone_kind(c.backbone).is_association &&
                 c.association.separation == Separation::random_features
             ? ""
             : fmt::format("the backbone '{}' has no random features", c.backbone);
}

std::string both(std::string first, const char* why_not) { return first.empty() ? why_not : first; }

std::string if_entmax(const Configuration& c) {
  return both(if_separates(c), c.association.separation == Separation::entmax
                                   ? ""
                                   : "only entmax has an exponent alpha");
}

std::string if_polynomial(const Configuration& c) {
  return both(if_separates(c), c.association.separation == Separation::polynomial
                                   ? ""
                                   : "only the polynomial separation has a degree");
}

std::string if_many_steps(const Configuration& c) {
  return both(if_separates(c),
              c.association.update_steps > 1 ? "" : "one update step cannot end early");
}

std::string if_window(const Configuration& c) {
  return both(if_separates(c), c.association.window >= 0 ? "" : "there is no window");
}

std::string if_masked(const Configuration& c) {
  return both(if_separates(c), c.association.random_keep < 1.0 ? "" : "there is no random mask");
}

// The sum over hidden keys would tell a position of later ones.
std::string if_may_normalise_all(const Configuration& c) {
  return both(if_separates(c), c.causal ? "a causal model normalises over what it sees" : "");
}

// A number; the word `none` stands for `absent` where there is such a word.
Setting whole(const char* name, std::int64_t O::*member, std::int64_t least, const char* none,
              std::int64_t absent, const char* help, Reason no_effect) {
  const std::string word = none;
  return {name,
          "Model",
          "N",
          help,
          [=](Configuration& c, const std::string& text, const std::string& origin) {
            c.association.*member =
                !word.empty() && text == word ? absent : read_whole(text, least, kMost, origin);
          },
          [=](const Configuration& c) {
            const std::int64_t value = c.association.*member;
            return !word.empty() && value == absent ? word : fmt::format("{}", value);
          },
          std::move(no_effect)};
}

// A number for which `fits` holds; the word `none` stands for 0 where there is such a word.
Setting real(const char* name, double O::*member, bool (*fits)(double), const char* range,
             const char* none, const char* help, Reason no_effect) {
  const std::string word = none;
  return {name,
          "Model",
          "X",
          help,
          [=](Configuration& c, const std::string& text, const std::string& origin) {
            if (!word.empty() && text == word) {
              c.association.*member = 0.0;
              return;
            }
            const double value = read_real(
                text, word.empty() ? origin : fmt::format("{} (if it is not {})", origin, word));
            if (!fits(value)) {
              wrong_usage("{} must be {}{}, not {}", origin, range,
                          word.empty() ? "" : " or " + word, text);
            }
            c.association.*member = value;
          },
          [=](const Configuration& c) {
            const double value = c.association.*member;
            return !word.empty() && value == 0.0 ? word : write_real(value);
          },
          std::move(no_effect)};
}

template <class Enum>
Setting choice(const char* name, Enum O::*member, std::vector<Enum> values, const char* help,
               Reason no_effect) {
  std::vector<std::string> names;
  for (const Enum value : values) {
    names.emplace_back(name_of(value));
  }
  return {name,
          "Model",
          "NAME",
          help,
          [=](Configuration& c, const std::string& text, const std::string& origin) {
            c.association.*member = values[read_choice(text, names, origin)];
          },
          [=](const Configuration& c) { return std::string(name_of(c.association.*member)); },
          std::move(no_effect)};
}

Setting yes_or_no(const char* name, bool O::*member, const char* help, Reason no_effect) {
  return {name,
          "Model",
          "NAME",
          help,
          [=](Configuration& c, const std::string& text, const std::string& origin) {
            c.association.*member = read_choice(text, {"yes", "no"}, origin) == 0;
          },
          [=](const Configuration& c) { return std::string(c.association.*member ? "yes" : "no"); },
          std::move(no_effect)};
}

bool is_positive_share(double value) { return value > 0.0 && value <= 1.0; }
bool is_alpha(double value) { return value >= 1.01 && value <= 2.0; }

}  // namespace

std::vector<Setting> association_settings() {
  return {
      real("beta", &O::beta, is_positive, "above 0", "auto",
           "inverse temperature, or its start where it is learned; auto: 1/sqrt(width/heads)",
           if_has_temperature),
      choice<LearnedBeta>("learned-beta", &O::learned_beta,
                          {LearnedBeta::none, LearnedBeta::layer, LearnedBeta::head},
                          "one inverse temperature to learn per layer or head, or none",
                          if_has_temperature),
      whole("update-steps", &O::update_steps, 1, "", 0, "retrieval steps per layer", if_separates),
      real(
          "tolerance", &O::tolerance, is_not_negative, "at least 0", "",
          "a position takes no more update steps once its state moves by at most this share of its "
          "length; 0: all steps",
          if_many_steps),
      real("alpha", &O::alpha, is_alpha, "between 1.01 and 2", "",
           "exponent of entmax, or its start where it is learned", if_entmax),
      yes_or_no("learned-alpha", &O::learned_alpha,
                "yes: the exponent of entmax is learned, one per head", if_entmax),
      whole("degree", &O::degree, 2, "", 0, "n of the weights relu(s)^(n-1)", if_polynomial),
      whole("window", &O::window, 0, "none", -1,
            "radius: positions see only those at most this far away (times the dilation), or none",
            if_separates),
      whole("dilation", &O::dilation, 1, "", 0,
            "a window sees every n-th position of n times its radius", if_window),
      whole("global-tokens", &O::global_tokens, 0, "", 0,
            "first positions, which see all and are seen by all in spite of the window", if_window),
      whole("top-k", &O::top_k, 1, "all", 0,
            "positions with the largest scores that are seen, ties included, or all", if_separates),
      real("top-fraction", &O::top_fraction, is_positive_share, "above 0 and at most 1", "all",
           "the same as a share of the positions, or all", if_separates),
      real("random-keep", &O::random_keep, is_positive_share, "above 0 and at most 1", "",
           "probability with which a random mask keeps a position; 1: no mask", if_separates),
      choice<MaskGrain>(
          "random-grain", &O::random_grain, {MaskGrain::element, MaskGrain::tile, MaskGrain::block},
          "what shares a draw of the random mask: nothing (element), 64 queries (tile) "
          "or a block of 64 x 64",
          if_masked),
      choice<MaskDraw>("random-draw", &O::random_draw,
                       {MaskDraw::call, MaskDraw::fixed, MaskDraw::training},
                       "a mask for every call of training (call), one for all (fixed), or none in "
                       "evaluation (training)",
                       if_masked),
      choice<Normalise>("normalise", &O::normalise, {Normalise::support, Normalise::all},
                        "weights sum to 1 over the visible positions (support), or over all before "
                        "hidden ones are dropped",
                        if_may_normalise_all),
      whole("features", &O::features, 1, "auto", 0,
            "random features; auto: 4 times the width of a head", if_random_features),
      yes_or_no("orthogonal", &O::orthogonal, "yes: blocks of random features are orthogonal",
                if_random_features),
      whole("redraw-every", &O::redraw_every, 0, "", 0,
            "forward passes of training after which random features are drawn anew; 0: never",
            if_random_features),
      choice<FeatureMap>(
          "feature-map", &O::feature_map, {FeatureMap::positive, FeatureMap::relu},
          "positive: an unbiased estimate of softmax; relu: as in some published code",
          if_random_features),
      real("weight-dropout", &O::weight_dropout, is_below_one, "at least 0 and below 1", "",
           "probability with which training drops a weight of retrieval", if_separates)};
}

}  // namespace basin::trainer
