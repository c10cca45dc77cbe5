// What somebody may have meant by a name that does not exist.
#pragma once

#include <string>
#include <vector>

namespace basin::trainer {

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other
/// (V. Levenshtein 1966; F. Damerau 1964, each place edited once).
std::size_t edit_distance(const std::string& a, const std::string& b);

/// "; did you mean 'name'?" with the nearest of `names`, or "; the nearest is 'name'" where it is
/// far. `names` must not be empty.
std::string suggestion(const std::string& wrong, const std::vector<std::string>& names);

}  // namespace basin::trainer
