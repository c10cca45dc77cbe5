#include "tools/trainer/suggest.h"

#include <fmt/format.h>

#include <algorithm>

namespace basin::trainer {

std::size_t edit_distance(const std::string& a, const std::string& b) {
  // Rows of the table of distances between the beginnings of a and of b: two back, last, this.
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

std::string suggestion(const std::string& wrong, const std::vector<std::string>& names) {
  // A word that goes on as one of the names does is near to it, however much is missing.
  const auto distance = [&](const std::string& name) {
    const std::size_t edits = edit_distance(wrong, name);
    const bool begins = wrong.size() >= 5 && name.compare(0, wrong.size(), wrong) == 0;
    return begins ? std::min<std::size_t>(edits, 1) : edits;
  };
  const auto nearest = std::min_element(
      names.begin(), names.end(),
      [&](const std::string& a, const std::string& b) { return distance(a) < distance(b); });
  const bool close = distance(*nearest) * 2 <= nearest->size();
  return close ? fmt::format("; did you mean '{}'?", *nearest)
               : fmt::format("; the nearest is '{}'", *nearest);
}

}  // namespace basin::trainer
