#include "tasks/experiments/hopfield_from_scratch/energy_traces.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/common/philox.h"
#include "nn/memories/binary_patterns.h"
#include "nn/memories/classical.h"
#include "nn/memories/dense.h"
#include "nn/memories/modern.h"
#include "tasks/experiments/estimate_columns.h"
#include "tasks/experiments/hopfield_from_scratch/common.h"
#include "tasks/experiments/hopfield_from_scratch/modern_runs.h"
#include "tasks/statistics.h"
#include "tensor/functions/elementwise.h"

namespace basin::experiments {

namespace energy_traces_parts {

constexpr std::int64_t kUnits = 100;
constexpr std::int64_t kPatterns = 20;
constexpr std::int64_t kWidth = 16;
constexpr std::uint64_t kOrders = 1;

struct Plan {
  std::int64_t seeds, states;
  std::int64_t steps;  // sweeps or updates that are traced
};

Plan plan_of(Size size) {
  switch (size) {
    case Size::smoke: return {3, 200, 8};
    case Size::small:
    case Size::gpu: return {10, 500, 15};
    case Size::full: break;
  }
  return {20, 5000, 30};
}

// (steps + 1) x states.
using Trace = std::vector<std::vector<double>>;

// A kind of update: start states in, energies by step out.
struct Kind {
  std::string name;
  std::string family;    // the figure that it belongs to
  bool promised = true;  // that no update raises the energy
  std::function<Trace(const Plan&, std::uint64_t seed)> run;
};

// Rows as long as the plan says: whoever has settled stays where it is.
Trace padded(const Tensor& energies, std::int64_t steps) {
  Trace trace;
  for (std::int64_t t = 0; t <= steps; ++t) {
    const std::int64_t at = std::min(t, energies.size(0) - 1);
    trace.push_back(energies.select(0, at).to_vector<double>());
  }
  return trace;
}

struct Binary {
  Tensor patterns, states;
  RecallOptions options;
};

// Patterns, and states of which half are damaged patterns and half are drawn like patterns.
Binary draw_binary(const Plan& plan, std::uint64_t seed) {
  Rng rng(seed);
  Binary drawn;
  drawn.patterns = nn::random_signs({kPatterns, kUnits}, rng, DType::f64);
  drawn.states = nn::random_signs({plan.states, kUnits}, rng, DType::f64);
  for (std::int64_t q = 0; q < plan.states; q += 2) {
    drawn.states.select(0, q).copy_from(drawn.patterns.select(0, q / 2 % kPatterns));
  }
  Tensor damaged = nn::flip_units(drawn.states, kUnits / 5, rng);
  drawn.states = damaged;
  drawn.options.key = kernels::derive_key(seed, kOrders);
  drawn.options.most_sweeps = plan.steps;
  return drawn;
}

Kind classical(const std::string& name, StorageRule rule, bool diagonal, RecallOrder order) {
  // Synchronous updates too never raise it where W has no negative eigenvalue.
  const bool promised =
      order != RecallOrder::synchronous || (rule == StorageRule::hebbian && diagonal);
  return {name, order == RecallOrder::synchronous ? "synchronous" : "classical", promised,
          [=](const Plan& plan, std::uint64_t seed) {
            Binary drawn = draw_binary(plan, seed);
            drawn.options.order = order;
            const nn::ClassicalMemory memory(drawn.patterns, rule, diagonal);
            return padded(memory.trace(drawn.states, drawn.options).energies, plan.steps);
          }};
}

Kind dense(const std::string& name, Interaction interaction, std::int64_t degree) {
  return {name, "dense", true, [=](const Plan& plan, std::uint64_t seed) {
            const Binary drawn = draw_binary(plan, seed);
            const nn::DenseMemory memory(drawn.patterns, interaction, degree);
            return padded(memory.trace(drawn.states, drawn.options).energies, plan.steps);
          }};
}

Kind modern(const std::string& name, Separation separation, double beta) {
  return {name, "modern", true, [=](const Plan& plan, std::uint64_t seed) {
            Rng rng(seed);
            const Tensor patterns = rng.normal({kPatterns, kWidth}, 1.0, DType::f64);
            const Tensor states = rng.normal({plan.states, kWidth}, 1.5, DType::f64);
            const nn::ModernMemory memory(patterns, memory_options(separation, beta));
            return padded(memory.trace(states, plan.steps).energies, plan.steps);
          }};
}

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      classical("Hebbian, random order", StorageRule::hebbian, false, RecallOrder::random),
      classical("Hebbian, diagonal kept, random order", StorageRule::hebbian, true,
                RecallOrder::random),
      classical("Storkey, random order", StorageRule::storkey, false, RecallOrder::random),
      classical("pseudo-inverse, random order", StorageRule::pseudo_inverse, false,
                RecallOrder::random),
      classical("Hebbian, synchronous", StorageRule::hebbian, false, RecallOrder::synchronous),
      classical("Hebbian, diagonal kept, synchronous", StorageRule::hebbian, true,
                RecallOrder::synchronous),
      dense("dense, z^3", Interaction::power, 3),
      dense("dense, max(z, 0)^4", Interaction::rectified, 4),
      dense("dense, e^z", Interaction::exponential, 1),
      modern("softmax, beta 1/4", Separation::softmax, 0.25),
      modern("softmax, beta 1", Separation::softmax, 1.0),
      modern("sparsemax, beta 1", Separation::sparsemax, 1.0),
      modern("entmax-1.5, beta 1", Separation::entmax, 1.0)};
  return all;
}

std::string key_of(const Kind& kind, std::int64_t seed) {
  return fmt::format("memory={}/seed={}", kind.name, seed);
}

// A change up to here is rounding: energies are sums of some thousand terms in f64.
double rounding(double energy) { return 1e-12 * (1 + std::abs(energy)); }

nlohmann::json compute(const Kind& kind, const Plan& plan, std::uint64_t seed) {
  const Trace trace = kind.run(plan, seed);
  std::int64_t updates = 0;
  std::int64_t rises = 0;
  double largest = 0;
  std::size_t worst = 0;
  for (std::size_t t = 1; t < trace.size(); ++t) {
    for (std::size_t q = 0; q < trace[t].size(); ++q) {
      const double change = trace[t][q] - trace[t - 1][q];
      updates += std::abs(change) > rounding(trace[t][q]) ? 1 : 0;
      if (change > rounding(trace[t][q])) {
        ++rises;
        if (change > largest) {
          largest = change;
          worst = q;
        }
      }
    }
  }
  nlohmann::json result;
  result["updates"] = updates;
  result["rises"] = rises;
  result["largest rise"] = to_json(largest);
  for (const std::vector<double>& step : trace) {
    result["mean"].push_back(to_json(mean_of(step)));
    result["worst"].push_back(to_json(step[worst]));
  }
  return result;
}

std::vector<Part> parts(const Settings& settings) {
  const Plan plan = plan_of(settings.size);
  std::vector<Part> all;
  for (const Kind& kind : kinds()) {
    for (std::int64_t n = 0; n < plan.seeds; ++n) {
      Part part;
      part.key = key_of(kind, settings.seed + n);
      const std::uint64_t own = seed_of(settings, fmt::format("energy/seed={}", n));
      const Kind* one = &kind;
      part.compute = [=](const Progress&) { return compute(*one, plan, own); };
      all.push_back(std::move(part));
    }
  }
  return all;
}

struct Seen {
  EnergyCount count;
  double largest = 0;
  std::string worst;               // the part that has the largest rise
  std::vector<double> rise_share;  // by seed, in percent
};

Seen seen_of(const Settings& settings, const Plan& plan, const Results& results, const Kind& kind) {
  Seen seen;
  seen.count.memory = kind.name;
  seen.count.promised = kind.promised;
  for (std::int64_t n = 0; n < plan.seeds; ++n) {
    const std::string key = key_of(kind, settings.seed + n);
    const double updates = number(results, key, "updates");
    const double rises = number(results, key, "rises");
    seen.count.updates += std::llround(updates);
    seen.count.rises += std::llround(rises);
    seen.rise_share.push_back(updates > 0 ? 100 * rises / updates : 0.0);
    const double largest = number(results, key, "largest rise");
    if (seen.worst.empty() || largest > seen.largest) {
      seen.largest = largest;
      seen.worst = key;
    }
  }
  return seen;
}

ResultTable table_of(const Settings& settings, const Plan& plan, const Results& results) {
  ResultTable table;
  table.name = "rises";
  table.title = fmt::format(
      "Sweeps (classical, dense) and updates (modern) that change the energy, of {} states for "
      "each of "
      "{} seeds",
      plan.states, plan.seeds);
  table.columns = {{"memory", "", 0},
                   {"never rises, says theory", "", 0},
                   {"changes of the energy", "", 0},
                   {"rises", "", 0}};
  add_estimate_columns(table.columns, "share of rises", "%", 3);
  table.columns.push_back({"largest rise", "", 4});
  for (const Kind& kind : kinds()) {
    const Seen seen = seen_of(settings, plan, results, kind);
    std::vector<Cell> row{kind.name, std::string(kind.promised ? "yes" : "no"), seen.count.updates,
                          seen.count.rises};
    add_estimate(row, seen.rise_share);
    row.emplace_back(seen.largest);
    table.rows.push_back(std::move(row));
  }
  return table;
}

// Shares of the way from the first energy to the last, so that memories fit in one picture.
Figure falling_figure(const Settings& settings, const Plan& plan, const Results& results,
                      const std::string& family, const std::string& title,
                      const std::string& x_label) {
  Figure figure;
  figure.name = family;
  figure.title = title;
  figure.x_label = x_label;
  figure.y_label = "energy left to lose (share of the start)";
  figure.caption = fmt::format(
      "Mean energy of {} states, minus its last value, over its first; mean over {} seeds, bands: "
      "95 % "
      "interval.",
      plan.states, plan.seeds);
  for (const Kind& kind : kinds()) {
    if (kind.family != family) {
      continue;
    }
    Series series;
    series.title = kind.name;
    for (std::int64_t t = 0; t <= plan.steps; ++t) {
      std::vector<double> left;
      for (std::int64_t n = 0; n < plan.seeds; ++n) {
        const std::vector<double> mean = numbers(results, key_of(kind, settings.seed + n), "mean");
        const double whole = mean.front() - mean.back();
        left.push_back((mean[static_cast<std::size_t>(t)] - mean.back()) / (whole > 0 ? whole : 1));
      }
      series.points.push_back(mean_point(static_cast<double>(t), left));
    }
    figure.series.push_back(std::move(series));
  }
  return figure;
}

Figure rising_figure(const Settings& settings, const Plan& plan, const Results& results) {
  Figure figure;
  figure.name = "synchronous";
  figure.title = "Synchronous updates can raise the energy";
  figure.x_label = "updates of all units at once";
  figure.y_label = "energy of a state";
  figure.caption =
      "Of each kind the state with the largest single rise among all states and seeds; a kind "
      "without "
      "a rise shows its first state. 20 patterns in 100 units.";
  for (const Kind& kind : kinds()) {
    if (kind.family != "synchronous" && kind.name != kinds().front().name) {
      continue;
    }
    const Seen seen = seen_of(settings, plan, results, kind);
    Series series;
    series.title = kind.name;
    const std::vector<double> energies = numbers(results, seen.worst, "worst");
    for (std::size_t t = 0; t < energies.size(); ++t) {
      series.points.push_back({static_cast<double>(t), energies[t], {}, {}});
    }
    figure.series.push_back(std::move(series));
  }
  return figure;
}

Report report(const Settings& settings, const Results& results) {
  const Plan plan = plan_of(settings.size);
  Report report;
  report.tables.push_back(table_of(settings, plan, results));
  report.figures = {
      falling_figure(settings, plan, results, "classical", "Classical networks", "sweeps"),
      falling_figure(settings, plan, results, "dense", "Dense associative memories", "sweeps"),
      falling_figure(settings, plan, results, "modern", "Modern networks", "updates"),
      rising_figure(settings, plan, results)};
  std::vector<EnergyCount> counts;
  for (const Kind& kind : kinds()) {
    const Seen seen = seen_of(settings, plan, results, kind);
    counts.push_back(seen.count);
    if (!kind.promised) {
      report.findings.push_back(
          fmt::format("{}: {} of the changes raise the energy, by up to {:.2f}.", kind.name,
                      estimate_text(statistics::estimate(seen.rise_share), "%", 2), seen.largest));
    }
  }
  report.verdicts = {judge_promise(counts), judge_synchronous(counts)};
  report.findings.push_back(
      "With the diagonal kept, W = sum xi xi^T / N has no negative eigenvalue, and then "
      "synchronous "
      "updates do not raise the energy either: what the zero diagonal gains in sensitivity it "
      "loses "
      "here.");
  report.remarks = {
      fmt::format(
          "{} patterns; {} units for binary memories, half of whose states start at a pattern "
          "with 20 % of the units flipped, half at random; width {} for modern ones, whose "
          "states start at random. Everything in f64. Seeds {} to {}.",
          kPatterns, kUnits, kWidth, settings.seed, settings.seed + plan.seeds - 1),
      "Energies: -1/2 s W s; -sum (z/N)^n, or -ln sum e^z; those of Hopfield retrieval for "
      "softmax, "
      "sparsemax and entmax. A change within 1e-12 of the energy is rounding and not counted.",
      "Looked at after whole sweeps; a sweep is made of updates of single units, each of which "
      "lowers "
      "the energy or leaves it.",
      "Baseline: a state that does not move has no change and is not counted."};
  return report;
}

}  // namespace energy_traces_parts

Verdict judge_promise(const std::vector<EnergyCount>& counts) {
  Verdict verdict;
  verdict.claim = "The energy never rises: one unit at a time, and in updates of modern networks";
  verdict.published = "never";
  std::int64_t updates = 0;
  std::int64_t rises = 0;
  bool enough = !counts.empty();
  for (const EnergyCount& count : counts) {
    if (count.promised) {
      updates += count.updates;
      rises += count.rises;
      enough = enough && count.updates >= 1000;
    }
  }
  verdict.ours = fmt::format("{} rises in {} changes", rises, updates);
  verdict.statistics =
      fmt::format("Without a rise in n changes the 95 % limit of their share is 3/n: {:.1e}.",
                  3.0 / static_cast<double>(std::max<std::int64_t>(1, updates)));
  verdict.judgement = rises > 0 ? Judgement::contradicted
                      : enough  ? Judgement::reproduced
                                : Judgement::undecided;
  return verdict;
}

Verdict judge_synchronous(const std::vector<EnergyCount>& counts) {
  Verdict verdict;
  verdict.claim = "Synchronous updates of a classical network may raise the energy";
  verdict.published = "may rise";
  std::int64_t updates = 0;
  std::int64_t rises = 0;
  for (const EnergyCount& count : counts) {
    if (!count.promised) {
      updates += count.updates;
      rises += count.rises;
    }
  }
  verdict.ours = fmt::format("{} rises in {} changes", rises, updates);
  verdict.statistics = "One rise is enough.";
  verdict.judgement = rises > 0 ? Judgement::reproduced : Judgement::undecided;
  return verdict;
}

Experiment energy_traces_experiment() {
  using namespace energy_traces_parts;
  return {"energy-traces",
          kBlog,
          "Does the energy fall along the recall of every memory?",
          "",
          parts,
          report,
          "",
          false};
}

}  // namespace basin::experiments
