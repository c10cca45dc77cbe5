// Numbers that a problem of any size is made from. Tests run the fixed cases of an entry; timing
// needs sizes that somebody chooses.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace basin::kernels {

struct SizeParameter {
  std::string name;
  std::int64_t standard;  ///< where nobody chooses
  std::string meaning;
  std::int64_t least = 1;
  /// Widths, which decide what code runs: a smaller problem of the same kind has the same.
  bool kept = false;
  /// Where not empty, the values are 0 ... choices.size() - 1 and are written as these names.
  std::vector<std::string> choices{};
};

/// A value for each parameter.
using Sizes = std::map<std::string, std::int64_t>;

inline SizeParameter kept_size(std::string name, std::int64_t standard, std::string meaning,
                               std::int64_t least = 1) {
  return {std::move(name), standard, std::move(meaning), least, true};
}

inline SizeParameter choice(std::string name, std::string meaning, std::vector<std::string> names,
                            std::int64_t standard = 0) {
  return {std::move(name), standard, std::move(meaning), 0, true, std::move(names)};
}

/// The standard values.
Sizes standard_sizes(const std::vector<SizeParameter>& parameters);

/// "rows=8192 cols=1024", in the order of the parameters.
std::string sizes_text(const std::vector<SizeParameter>& parameters, const Sizes& sizes);

/// The sizes with the largest of those that are not kept halved, or the same sizes if none is left
/// above its least value.
Sizes halved(const std::vector<SizeParameter>& parameters, const Sizes& sizes);

}  // namespace basin::kernels
