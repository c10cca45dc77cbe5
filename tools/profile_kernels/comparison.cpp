#include "tools/profile_kernels/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/report/table.h"

namespace basin::profile_kernels {

namespace {

using Align = report::Table::Align;

bool same_problem(const Row& a, const Row& b) {
  return a.kernel == b.kernel && a.variant == b.variant && a.sizes == b.sizes &&
         a.dtype == b.dtype && a.cold == b.cold;
}

const Row* counterpart(const Row& row, const Results& results) {
  const auto found = std::find_if(results.rows.begin(), results.rows.end(),
                                  [&](const Row& other) { return same_problem(row, other); });
  return found == results.rows.end() ? nullptr : &*found;
}

// Half of what lies between p10 and p90 of a kernel against itself and of its own times, the
// larger, of both measurements together.
double noise_of(const Row& a, const Row& b) {
  const auto width = [](const Row& row) {
    return std::max((row.self.p90 - row.self.p10) / 2,
                    (row.seconds.p90 - row.seconds.p10) / 2 / row.seconds.median);
  };
  return std::hypot(width(a), width(b));
}

std::string name_of(const Row& row) {
  return fmt::format("{} {} {} {} {}", row.kernel, row.variant, row.sizes, row.dtype,
                     row.cold ? "cold" : "hot");
}

class Notes {
 public:
  template <class T>
  void differ(const char* what, const T& old_value, const T& new_value) {
    if (old_value != new_value) {
      add(fmt::format("{} differ: {} and {}", what, old_value, new_value));
    }
  }
  void add(const std::string& line) { text_ += "note: " + line + "\n"; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string notes_on(const Results& a, const Results& b) {
  Notes notes;
  notes.differ("machines", a.machine.processor, b.machine.processor);
  notes.differ("numbers of cores", a.machine.cores, b.machine.cores);
  notes.differ("instruction sets of the machines", a.machine.isa, b.machine.isa);
  notes.differ("instruction sets of the kernels", a.isa, b.isa);
  notes.differ("devices", a.device, b.device);
  notes.differ("numbers of threads", a.threads, b.threads);
  notes.differ("versions", a.version, b.version);
  notes.differ("commits", a.commit, b.commit);
  notes.differ("compilers", a.compiler, b.compiler);
  notes.differ("compiler flags", a.flags, b.flags);
  for (const char* name : {"rounds", "min-time"}) {
    const auto in = [name](const Results& results) {
      const auto found = results.settings.find(name);
      return found == results.settings.end() ? std::string("unknown") : found->second;
    };
    notes.differ(fmt::format("values of --{}", name).c_str(), in(a), in(b));
  }
  for (const Row& row : a.rows) {
    if (counterpart(row, b) == nullptr) {
      notes.add("only in the old one: " + name_of(row));
    }
  }
  for (const Row& row : b.rows) {
    if (counterpart(row, a) == nullptr) {
      notes.add("only in the new one: " + name_of(row));
    }
  }
  return notes.text();
}

}  // namespace

std::string comparison_text(const Results& old_results, const Results& new_results) {
  report::Table table({{"kernel"},
                       {"variant"},
                       {"sizes"},
                       {"dtype"},
                       {"arrays"},
                       {"old ms", Align::right},
                       {"new ms", Align::right},
                       {"new / old", Align::right},
                       {"noise", Align::right},
                       {"verdict"}});
  bool any = false;
  for (const Row& now : new_results.rows) {
    const Row* before = counterpart(now, old_results);
    if (before == nullptr) {
      continue;
    }
    any = true;
    const double ratio = now.seconds.median / before->seconds.median;
    const double noise = noise_of(*before, now);
    const char* verdict = std::abs(ratio - 1) <= noise ? "same" : (ratio < 1 ? "faster" : "slower");
    table.add({now.kernel, fmt::format("{} {}", now.variant, now.variant_name), now.sizes,
               now.dtype, now.cold ? "cold" : "hot",
               fmt::format("{:.4g}", 1e3 * before->seconds.median),
               fmt::format("{:.4g}", 1e3 * now.seconds.median), fmt::format("{:.3f}", ratio),
               fmt::format("±{:.3f}", noise), verdict});
  }
  const std::string rows = any ? table.text() : "The two results have no row in common.\n";
  const std::string notes = notes_on(old_results, new_results);
  return fmt::format("old: {}, new: {}\n\n{}{}{}", old_results.date, new_results.date, rows,
                     notes.empty() ? "" : "\n", notes);
}

}  // namespace basin::profile_kernels
