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
  if (!by_features && name == "softmax") {
    return Separation::softmax;
  }
  refuse(file, group,
         fmt::format("{} '{}' is not supported; there is {}", attribute, name,
                     by_features ? "elu1" : "softmax"));
}

// A visibility that this library would not apply must not pass unnoticed.
void refuse_unknown(const Hdf5Reader& file, const std::string& group) {
  constexpr const char* kAttributes[] = {"beta",     "causal",    "eps",
                                         "features", "mechanism", "update_steps"};
  constexpr const char* kDatasets[] = {"alpha_per_head", "mask", "projection"};
  for (const std::string& name : file.attributes(group)) {
    if (std::find(std::begin(kAttributes), std::end(kAttributes), name) == std::end(kAttributes)) {
      refuse(file, group, fmt::format("the attribute '{}' is not supported", name));
    }
  }
  for (const char* name : kDatasets) {
    if (file.has(member(group, name))) {
      refuse(file, group, fmt::format("the dataset '{}' is not supported", name));
    }
  }
}

}  // namespace

AssociationOptions read_association_options(const Hdf5Reader& file, const std::string& group) {
  AssociationOptions options;
  options.separation = separation_in(file, group);
  refuse_unknown(file, group);
  if (file.has_attribute(group, "causal")) {
    options.causal = file.integer(group, "causal") != 0;
  }
  if (file.has_attribute(group, "update_steps")) {
    options.update_steps = file.integer(group, "update_steps");
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
    file.set_text(group, "mechanism", name_of(options.separation));
    if (options.learned_beta != LearnedBeta::head) {
      file.set_number(
          group, "beta",
          options.beta != 0 ? options.beta : 1 / std::sqrt(static_cast<double>(head_width)));
    }
  }
  file.set_integer(group, "causal", options.causal ? 1 : 0);
  file.set_integer(group, "update_steps", options.update_steps);
}

}  // namespace basin
