#include "tensor/io/association_group.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/error.h"

namespace basin {

namespace {

[[noreturn]] void refuse(const Hdf5Reader& file, const std::string& group,
                         const std::string& reason) {
  throw FileError(fmt::format("{}: '{}': {}", file.path(), group, reason));
}

std::string member(const std::string& group, const std::string& name) {
  return (group == "/" ? "" : group) + "/" + name;
}

Separation separation_in(const Hdf5Reader& file, const std::string& group) {
  const bool by_features = file.has_attribute(group, "features");
  if (!by_features && !file.has_attribute(group, "mechanism")) {
    refuse(file, group, "has neither an attribute 'mechanism' nor 'features'");
  }
  const std::string attribute = by_features ? "features" : "mechanism";
  const std::string name = file.text(group, attribute);
  if (by_features && name == "elu1") {
    return Separation::linear;
  }
  if (by_features && (name == "prf" || name == "relu")) {
    return Separation::random_features;
  }
  Separation separation{};
  if (!by_features && parse(name, separation) && !is_kernelised(separation)) {
    return separation;
  }
  refuse(file, group,
         fmt::format("{} '{}' is not supported; there {}", attribute, name,
                     by_features ? "are elu1, prf and relu"
                                 : "are softmax, sparsemax, entmax and polynomial"));
}

// A visibility that this library would not apply must not pass unnoticed.
void refuse_unknown(const Hdf5Reader& file, const std::string& group, Separation separation) {
  constexpr const char* kAttributes[] = {
      "alpha",     "beta",           "causal",        "degree",       "dilation",
      "eps",       "features",       "global_tokens", "keep",         "mechanism",
      "normalise", "random_grain",   "random_keep",   "random_key",   "tolerance",
      "top_k",     "top_k_fraction", "update_steps",  "window_radius"};
  for (const std::string& name : file.attributes(group)) {
    if (std::find(std::begin(kAttributes), std::end(kAttributes), name) == std::end(kAttributes)) {
      refuse(file, group, fmt::format("the attribute '{}' is not supported", name));
    }
  }
  const bool has_projection = file.has(member(group, "projection"));
  if (has_projection != (separation == Separation::random_features)) {
    refuse(file, group,
           has_projection ? "the dataset 'projection' is for features prf and relu"
                          : "random features need a dataset 'projection' (features, D)");
  }
  if (file.has_attribute(group, "keep") && !file.has(member(group, "mask"))) {
    refuse(
        file, group,
        "'keep' says how a mask was drawn, but there is no dataset 'mask'; for a mask of our own "
        "set 'random_keep'");
  }
}

// The text of an attribute as one of the names of an option.
template <class Enum>
void read_name(const Hdf5Reader& file, const std::string& group, const char* name, Enum& into) {
  if (file.has_attribute(group, name) && !parse(file.text(group, name), into)) {
    refuse(file, group, fmt::format("{} '{}' is not supported", name, file.text(group, name)));
  }
}

void read_visibility(const Hdf5Reader& file, const std::string& group, AssociationOptions& o) {
  const auto whole = [&](const char* name, std::int64_t& into) {
    if (file.has_attribute(group, name)) {
      into = file.integer(group, name);
    }
  };
  const auto real = [&](const char* name, double& into) {
    if (file.has_attribute(group, name)) {
      into = file.number(group, name);
    }
  };
  if (file.has_attribute(group, "causal")) {
    o.causal = file.integer(group, "causal") != 0;
  }
  whole("window_radius", o.window);
  whole("dilation", o.dilation);
  whole("global_tokens", o.global_tokens);
  whole("top_k", o.top_k);
  real("top_k_fraction", o.top_fraction);
  real("random_keep", o.random_keep);
  read_name(file, group, "random_grain", o.random_grain);
  read_name(file, group, "normalise", o.normalise);
}

}  // namespace

AssociationOptions read_association_options(const Hdf5Reader& file, const std::string& group) {
  AssociationOptions options;
  options.separation = separation_in(file, group);
  refuse_unknown(file, group, options.separation);
  if (options.separation == Separation::random_features && file.text(group, "features") == "relu") {
    options.feature_map = FeatureMap::relu;
  }
  read_visibility(file, group, options);
  if (file.has_attribute(group, "update_steps")) {
    options.update_steps = file.integer(group, "update_steps");
  }
  if (file.has_attribute(group, "tolerance")) {
    options.tolerance = file.number(group, "tolerance");
  }
  if (file.has_attribute(group, "degree")) {
    options.degree = file.integer(group, "degree");
  }
  options.learned_alpha = file.has(member(group, "alpha_per_head"));
  if (file.has_attribute(group, "alpha")) {
    if (options.learned_alpha) {
      refuse(file, group, "has both an attribute 'alpha' and a dataset 'alpha_per_head'");
    }
    options.alpha = file.number(group, "alpha");
  }
  const bool per_head = file.has(member(group, "beta_per_head"));
  // Linear attention has none; a file may carry it for comparisons.
  if (options.separation != Separation::linear && file.has_attribute(group, "beta")) {
    if (per_head) {
      refuse(file, group, "has both an attribute 'beta' and a dataset 'beta_per_head'");
    }
    options.beta = file.number(group, "beta");
  }
  options.learned_beta = per_head ? LearnedBeta::head : LearnedBeta::none;
  const std::string wrong = validate(options);
  if (!wrong.empty()) {
    refuse(file, group, wrong);
  }
  return options;
}

void write_association_options(Hdf5Writer& file, const std::string& group,
                               const AssociationOptions& options, std::int64_t head_width) {
  if (options.separation == Separation::linear) {
    file.set_text(group, "features", "elu1");
  } else {
    if (options.separation == Separation::random_features) {
      const bool relu = options.feature_map == FeatureMap::relu;
      file.set_text(group, "features", relu ? "relu" : "prf");
    } else {
      file.set_text(group, "mechanism", name_of(options.separation));
    }
    if (options.learned_beta != LearnedBeta::head) {
      file.set_number(
          group, "beta",
          options.beta != 0 ? options.beta : 1 / std::sqrt(static_cast<double>(head_width)));
    }
  }
  file.set_integer(group, "causal", options.causal ? 1 : 0);
  file.set_integer(group, "update_steps", options.update_steps);
  const AssociationOptions standard;
  if (options.separation == Separation::entmax && !options.learned_alpha) {
    file.set_number(group, "alpha", options.alpha);
  }
  if (options.separation == Separation::polynomial) {
    file.set_integer(group, "degree", options.degree);
  }
  const auto whole = [&](const char* name, std::int64_t value, std::int64_t unless) {
    if (value != unless) {
      file.set_integer(group, name, value);
    }
  };
  const auto real = [&](const char* name, double value, double unless) {
    if (value != unless) {
      file.set_number(group, name, value);
    }
  };
  whole("window_radius", options.window, standard.window);
  whole("dilation", options.dilation, standard.dilation);
  whole("global_tokens", options.global_tokens, standard.global_tokens);
  whole("top_k", options.top_k, standard.top_k);
  real("top_k_fraction", options.top_fraction, standard.top_fraction);
  real("tolerance", options.tolerance, standard.tolerance);
  real("random_keep", options.random_keep, standard.random_keep);
  if (options.random_grain != standard.random_grain) {
    file.set_text(group, "random_grain", name_of(options.random_grain));
  }
  if (options.normalise != standard.normalise) {
    file.set_text(group, "normalise", name_of(options.normalise));
  }
}

}  // namespace basin
