#include "tasks/experiments/experiment.h"

#include <cmath>
#include <limits>

#include "tensor/error.h"

namespace basin::experiments {

const char* name_of(Judgement judgement) {
  switch (judgement) {
    case Judgement::reproduced: return "reproduced";
    case Judgement::contradicted: return "contradicted";
    case Judgement::not_comparable: return "not comparable";
    case Judgement::undecided: return "undecided";
  }
  return "?";
}

const char* name_of(Size size) {
  switch (size) {
    case Size::smoke: return "smoke";
    case Size::small: return "short";
    case Size::gpu: return "gpu";
    case Size::full: return "full";
  }
  return "?";
}

const char* name_of(Protocol protocol) {
  return protocol == Protocol::corrected ? "corrected" : "as-coded";
}

nlohmann::json to_json(double value) {
  if (std::isfinite(value)) {
    return value;
  }
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

double to_number(const nlohmann::json& value) {
  if (value.is_number()) {
    return value.get<double>();
  }
  const std::string word = value.is_string() ? value.get<std::string>() : "";
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (word == "nan") {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (word == "inf" || word == "-inf") {
    return word == "inf" ? infinity : -infinity;
  }
  fail("a result of an experiment is {}, not a number", value.dump());
}

const Experiment* find_experiment(const std::string& name) {
  for (const Experiment& experiment : experiments()) {
    if (experiment.name == name) {
      return &experiment;
    }
  }
  return nullptr;
}

}  // namespace basin::experiments
