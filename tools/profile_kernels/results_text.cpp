// Results for people: text, Markdown, CSV.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/profile_kernels/results.h"
#include "tools/report/csv.h"
#include "tools/report/table.h"

namespace basin::profile_kernels {

namespace {

using Align = report::Table::Align;

constexpr double kMega = 1e6;
constexpr double kGiga = 1e9;

std::string ms(double seconds) { return fmt::format("{:.4g}", 1e3 * seconds); }

double self_width(const Row& row) { return row.self.p90 - row.self.p10; }

// What was measured on what, a statement a line.
std::vector<std::string> head_lines(const Results& r) {
  std::vector<std::string> lines = {
      fmt::format("{}, {} cores, {}; {} with {} thread{}, kernels for {}; {}", r.machine.processor,
                  r.machine.cores, r.machine.isa,
                  r.card.empty() ? r.device : r.device + ": " + r.card, r.threads,
                  r.threads == 1 ? "" : "s", r.isa, r.date),
      fmt::format("basin {} {}, {} {}", r.version, r.commit, r.compiler, r.flags)};
  for (const auto& [dtype, c] : r.ceilings) {
    if (!(c.flops > 0)) {
      lines.push_back(r.device == "simt"
                          ? "no ceilings: times of the executor say nothing about a GPU"
                          : "no ceilings: not measured");
      continue;
    }
    lines.push_back(fmt::format("ceilings {}: fma {:.4g} GFLOP/s, exp {:.3g} G/s, copy {:.4g} GB/s",
                                dtype, c.flops / kGiga, c.exps / kGiga, c.bytes / kGiga));
    if (c.tensor_flops > 0) {
      lines.back() +=
          fmt::format(", tensor cores {:.4g} GFLOP/s (bf16, mma.sync)", c.tensor_flops / kGiga);
    }
  }
  const Spread noise = r.noise();
  lines.push_back(
      fmt::format("noise: ours against itself {:.3f}, p10 to p90 {:.3f} to {:.3f} (widest row)",
                  noise.median, noise.p10, noise.p90));
  if (!r.rows.empty()) {
    lines.push_back(fmt::format("peak memory of the process: {:.4g} MB",
                                static_cast<double>(r.rows.back().peak_resident_bytes) / kMega));
  }
  const std::int64_t cache = r.machine.last_level_cache;
  lines.push_back(
      fmt::format("hot: the same arrays each time; cold: more than twice the last-level cache ({} "
                  "MiB) between uses",
                  cache >> 20));
  return lines;
}

report::Table table_of(const Results& results) {
  report::Table table({{"kernel"},
                       {"variant"},
                       {"sizes"},
                       {"arrays"},
                       {"ms", Align::right},
                       {"p10", Align::right},
                       {"p90", Align::right},
                       {"GFLOP/s", Align::right},
                       {"GB/s", Align::right},
                       {"% of ceiling", Align::right},
                       {"ceiling"},
                       {"arrays + workspace MB", Align::right},
                       {"error / tolerance", Align::right}});
  for (const Row& row : results.rows) {
    const double median = row.seconds.median;
    // A tolerance of 0 asks for the same bits.
    const std::string error = row.tolerance > 0 ? fmt::format("{:.2g}", row.error / row.tolerance)
                                                : fmt::format("{:.2g}", row.error);
    table.add({row.kernel, fmt::format("{} {}", row.variant, row.variant_name), row.sizes,
               row.cold ? "cold" : "hot", ms(median), ms(row.seconds.p10), ms(row.seconds.p90),
               fmt::format("{:.4g}", row.flops / median / kGiga),
               fmt::format("{:.4g}", row.bytes / median / kGiga),
               row.share > 0 ? fmt::format("{:.1f}", 100 * row.share) : "-", row.ceiling,
               fmt::format("{:.4g} + {:.4g}", static_cast<double>(row.array_bytes) / kMega,
                           static_cast<double>(row.workspace_bytes) / kMega),
               error});
  }
  return table;
}

// Which problems were too large for their reference.
std::vector<std::string> checked_lines(const Results& results) {
  std::vector<std::string> lines;
  for (const Row& row : results.rows) {
    std::string line = fmt::format("{} {} {}: compared with its reference on {}", row.kernel,
                                   row.sizes, row.dtype, row.checked_on);
    if (row.checked_on != "same" && std::find(lines.begin(), lines.end(), line) == lines.end()) {
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

}  // namespace

Spread Results::noise() const {
  const auto widest = std::max_element(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return self_width(a) < self_width(b);
  });
  return widest == rows.end() ? Spread{1, 1, 1} : widest->self;
}

std::string to_text(const Results& results) {
  std::string text;
  for (const std::string& line : head_lines(results)) {
    text += line + "\n";
  }
  text += "\n" + table_of(results).text();
  const std::vector<std::string> checked = checked_lines(results);
  text += checked.empty() ? "" : "\n";
  for (const std::string& line : checked) {
    text += line + "\n";
  }
  return text;
}

std::string to_markdown(const Results& results) {
  std::string text;
  for (const std::string& line : head_lines(results)) {
    text += "- " + line + "\n";
  }
  for (const std::string& line : checked_lines(results)) {
    text += "- " + line + "\n";
  }
  return text + "\n" + table_of(results).markdown();
}

std::string to_csv(const Results& results) {
  std::string text =
      report::csv_line({"kernel", "variant", "variant_name", "sizes", "dtype", "arrays", "seconds",
                        "seconds_p10", "seconds_p90", "flops_per_second", "bytes_per_second",
                        "ceiling", "share_of_ceiling", "array_bytes", "workspace_bytes",
                        "peak_resident_bytes", "error", "tolerance", "checked_on"});
  for (const Row& row : results.rows) {
    const auto number = [](double value) { return fmt::format("{}", value); };
    text += report::csv_line(
        {row.kernel, fmt::format("{}", row.variant), row.variant_name, row.sizes, row.dtype,
         row.cold ? "cold" : "hot", number(row.seconds.median), number(row.seconds.p10),
         number(row.seconds.p90), number(row.flops / row.seconds.median),
         number(row.bytes / row.seconds.median), row.ceiling, number(row.share),
         fmt::format("{}", row.array_bytes), fmt::format("{}", row.workspace_bytes),
         fmt::format("{}", row.peak_resident_bytes), number(row.error), number(row.tolerance),
         row.checked_on});
  }
  return text;
}

}  // namespace basin::profile_kernels
