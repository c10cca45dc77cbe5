#include "kernels/association/options.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <sstream>

namespace basin {

namespace {

constexpr Separation kSeparations[] = {Separation::softmax, Separation::linear};
constexpr LearnedBeta kLearnedBetas[] = {LearnedBeta::none, LearnedBeta::layer, LearnedBeta::head};

template <class Enum, std::size_t N>
bool parse_name(const std::string& name, const Enum (&all)[N], Enum& out) {
  for (const Enum value : all) {
    if (name == name_of(value)) {
      out = value;
      return true;
    }
  }
  return false;
}

template <class Number>
bool parse_number(const std::string& text, Number& out) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, out);
  return result.ec == std::errc{} && result.ptr == end;
}

// The shortest text that reads back to the same double.
std::string shortest(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, result.ptr);
}

}  // namespace

const char* name_of(Separation separation) {
  switch (separation) {
    case Separation::softmax: return "softmax";
    case Separation::linear: return "linear";
  }
  return "?";
}

const char* name_of(LearnedBeta learned) {
  switch (learned) {
    case LearnedBeta::none: return "none";
    case LearnedBeta::layer: return "layer";
    case LearnedBeta::head: return "head";
  }
  return "?";
}

bool parse(const std::string& name, Separation& out) { return parse_name(name, kSeparations, out); }
bool parse(const std::string& name, LearnedBeta& out) {
  return parse_name(name, kLearnedBetas, out);
}

std::string validate(const AssociationOptions& options) {
  if (!(options.beta >= 0.0) || !std::isfinite(options.beta)) {
    return "beta must be a positive number, or 0 for 1/sqrt(head width); got " +
           shortest(options.beta);
  }
  if (options.update_steps < 1) {
    return "update_steps must be at least 1; got " + std::to_string(options.update_steps);
  }
  if (options.separation == Separation::linear) {
    if (options.update_steps != 1) {
      return "linear separation has one update step; got " + std::to_string(options.update_steps);
    }
    if (options.beta != 0.0 || options.learned_beta != LearnedBeta::none) {
      return "linear separation has no inverse temperature; leave beta at 0 and learned_beta at "
             "none";
    }
  }
  return "";
}

std::string to_text(const AssociationOptions& options) {
  std::ostringstream out;
  out << "separation=" << name_of(options.separation)
      << " causal=" << (options.causal ? "true" : "false")
      << " beta=" << (options.beta == 0.0 ? "auto" : shortest(options.beta))
      << " learned_beta=" << name_of(options.learned_beta)
      << " update_steps=" << options.update_steps;
  return out.str();
}

bool from_text(const std::string& text, AssociationOptions& options, std::string& error) {
  AssociationOptions read;
  std::istringstream words(text);
  std::string word;
  while (words >> word) {
    const std::size_t equals = word.find('=');
    const std::string key = word.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    bool good = false;
    if (key == "separation") {
      good = parse(value, read.separation);
    } else if (key == "causal") {
      good = value == "true" || value == "false";
      read.causal = value == "true";
    } else if (key == "beta") {
      good = value == "auto" || parse_number(value, read.beta);
    } else if (key == "learned_beta") {
      good = parse(value, read.learned_beta);
    } else if (key == "update_steps") {
      good = parse_number(value, read.update_steps);
    } else {
      error = "unknown association option '" + key + "'";
      return false;
    }
    if (!good) {
      error = "association option '" + key + "' cannot be '" + value + "'";
      return false;
    }
  }
  error = validate(read);
  if (!error.empty()) {
    return false;
  }
  options = read;
  return true;
}

}  // namespace basin
