// AssociationOptions as "key=value" words.
#include <charconv>
#include <functional>
#include <sstream>
#include <vector>

#include "kernels/association/options.h"

namespace basin {

namespace {

template <class Enum>
struct Name {
  Enum value;
  const char* text;
};

constexpr Name<Separation> kSeparations[] = {
    {Separation::softmax, "softmax"},       {Separation::linear, "linear"},
    {Separation::sparsemax, "sparsemax"},   {Separation::entmax, "entmax"},
    {Separation::polynomial, "polynomial"}, {Separation::random_features, "random_features"}};
constexpr Name<LearnedBeta> kLearnedBetas[] = {
    {LearnedBeta::none, "none"}, {LearnedBeta::layer, "layer"}, {LearnedBeta::head, "head"}};
constexpr Name<Normalise> kNormalise[] = {{Normalise::support, "support"}, {Normalise::all, "all"}};
constexpr Name<MaskGrain> kMaskGrains[] = {
    {MaskGrain::element, "element"}, {MaskGrain::tile, "tile"}, {MaskGrain::block, "block"}};
constexpr Name<MaskDraw> kMaskDraws[] = {
    {MaskDraw::call, "call"}, {MaskDraw::fixed, "fixed"}, {MaskDraw::training, "training"}};
constexpr Name<FeatureMap> kFeatureMaps[] = {{FeatureMap::positive, "positive"},
                                             {FeatureMap::relu, "relu"}};

template <class Enum, std::size_t N>
const char* text_of(Enum value, const Name<Enum> (&names)[N]) {
  for (const Name<Enum>& name : names) {
    if (name.value == value) {
      return name.text;
    }
  }
  return "?";
}

template <class Enum, std::size_t N>
bool parse_name(const std::string& text, const Name<Enum> (&names)[N], Enum& out) {
  for (const Name<Enum>& name : names) {
    if (text == name.text) {
      out = name.value;
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

bool parse(const std::string& text, double& out) { return parse_number(text, out); }
bool parse(const std::string& text, std::int64_t& out) { return parse_number(text, out); }
bool parse(const std::string& text, bool& out) {
  out = text == "true";
  return out || text == "false";
}

// The shortest text that reads back to the same double.
std::string text_of(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, result.ptr);
}
std::string text_of(std::int64_t value) { return std::to_string(value); }
std::string text_of(bool value) { return value ? "true" : "false"; }
template <class Enum>
std::string text_of(Enum value) {
  return name_of(value);
}

struct Key {
  const char* name;
  bool always;  // written, also where it is the default
  std::function<std::string(const AssociationOptions&)> write;
  std::function<bool(const std::string&, AssociationOptions&)> read;
};

template <class Value>
Key key(const char* name, Value AssociationOptions::*member, bool always = false) {
  return {
      name, always, [member](const AssociationOptions& o) { return text_of(o.*member); },
      [member](const std::string& text, AssociationOptions& o) { return parse(text, o.*member); }};
}

const std::vector<Key>& keys() {
  using O = AssociationOptions;
  static const std::vector<Key> all = [] {
    std::vector<Key> list = {key("separation", &O::separation, true),
                             key("causal", &O::causal, true),
                             key("beta", &O::beta, true),
                             key("learned_beta", &O::learned_beta, true),
                             key("update_steps", &O::update_steps, true),
                             key("tolerance", &O::tolerance),
                             key("alpha", &O::alpha),
                             key("learned_alpha", &O::learned_alpha),
                             key("degree", &O::degree),
                             key("normalise", &O::normalise),
                             key("window", &O::window),
                             key("dilation", &O::dilation),
                             key("global_tokens", &O::global_tokens),
                             key("random_keep", &O::random_keep),
                             key("random_grain", &O::random_grain),
                             key("random_draw", &O::random_draw),
                             key("top_k", &O::top_k),
                             key("top_fraction", &O::top_fraction),
                             key("features", &O::features),
                             key("orthogonal", &O::orthogonal),
                             key("redraw_every", &O::redraw_every),
                             key("feature_map", &O::feature_map),
                             key("weight_dropout", &O::weight_dropout)};
    Key& beta = list[2];
    beta.write = [](const O& o) { return o.beta == 0.0 ? "auto" : text_of(o.beta); };
    beta.read = [](const std::string& text, O& o) { return text == "auto" || parse(text, o.beta); };
    return list;
  }();
  return all;
}

}  // namespace

const char* name_of(Separation value) { return text_of(value, kSeparations); }
const char* name_of(LearnedBeta value) { return text_of(value, kLearnedBetas); }
const char* name_of(Normalise value) { return text_of(value, kNormalise); }
const char* name_of(MaskGrain value) { return text_of(value, kMaskGrains); }
const char* name_of(MaskDraw value) { return text_of(value, kMaskDraws); }
const char* name_of(FeatureMap value) { return text_of(value, kFeatureMaps); }

bool parse(const std::string& name, Separation& out) { return parse_name(name, kSeparations, out); }
bool parse(const std::string& name, LearnedBeta& out) {
  return parse_name(name, kLearnedBetas, out);
}
bool parse(const std::string& name, Normalise& out) { return parse_name(name, kNormalise, out); }
bool parse(const std::string& name, MaskGrain& out) { return parse_name(name, kMaskGrains, out); }
bool parse(const std::string& name, MaskDraw& out) { return parse_name(name, kMaskDraws, out); }
bool parse(const std::string& name, FeatureMap& out) { return parse_name(name, kFeatureMaps, out); }

std::string to_text(const AssociationOptions& options) {
  const AssociationOptions standard;
  std::string text;
  for (const Key& key : keys()) {
    if (key.always || key.write(options) != key.write(standard)) {
      text += (text.empty() ? "" : " ") + std::string(key.name) + "=" + key.write(options);
    }
  }
  return text;
}

bool from_text(const std::string& text, AssociationOptions& options, std::string& error) {
  AssociationOptions read;
  std::istringstream words(text);
  std::string word;
  while (words >> word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    const Key* found = nullptr;
    for (const Key& key : keys()) {
      found = name == key.name ? &key : found;
    }
    if (found == nullptr) {
      error = "unknown association option '" + name + "'";
      return false;
    }
    if (!found->read(value, read)) {
      error = "association option '" + name + "' cannot be '" + value + "'";
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
