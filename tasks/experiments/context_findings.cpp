// What the runs of separations-in-context support, in sentences that follow from their numbers.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/association/row_diagnostics.h"
#include "tasks/experiments/rank_correlation.h"
#include "tasks/experiments/separations_in_context.h"

namespace basin::experiments {

namespace {

using statistics::Comparison;
using statistics::Interval;

constexpr double kNever = std::numeric_limits<double>::infinity();

using Runs = std::vector<const ContextRun*>;

std::vector<std::string> in_order(const std::vector<ContextRun>& runs,
                                  std::string ContextRun::*member) {
  std::vector<std::string> names;
  for (const ContextRun& run : runs) {
    if (std::find(names.begin(), names.end(), run.*member) == names.end()) {
      names.push_back(run.*member);
    }
  }
  return names;
}

Runs select(const std::vector<ContextRun>& runs, const std::string& task, const std::string& arm) {
  Runs chosen;
  for (const ContextRun& run : runs) {
    if (run.task == task && run.arm == arm) {
      chosen.push_back(&run);
    }
  }
  return chosen;
}

bool recalls(const ContextRun& run) { return run.accuracy >= kRecalls; }

struct Count {
  std::array<std::int64_t, 3> by_regime{};
  std::int64_t mixed = 0;
  std::int64_t total = 0;

  void add(const ContextRun& run) {
    ++total;
    for (std::size_t n = 0; n < 3; ++n) {
      if (run.head.regimes[n] > 0.5) {
        ++by_regime[n];
        return;
      }
    }
    ++mixed;
  }
  std::string text() const {
    std::vector<std::string> parts;
    for (std::size_t n = 0; n < 3; ++n) {
      parts.push_back(
          fmt::format("{} {}", by_regime[n], kernels::name_of(static_cast<kernels::Regime>(n))));
    }
    return fmt::format("{}, {} without a majority", fmt::join(parts, ", "), mixed);
  }
};

void say_who_recalls(const std::vector<ContextRun>& runs, const std::string& task,
                     std::vector<std::string>& findings) {
  std::vector<std::string> all, some, none;
  for (const std::string& arm : in_order(runs, &ContextRun::arm)) {
    const Runs chosen = select(runs, task, arm);
    if (chosen.empty()) {
      continue;
    }
    const auto count = std::count_if(chosen.begin(), chosen.end(),
                                     [](const ContextRun* run) { return recalls(*run); });
    const auto total = static_cast<std::ptrdiff_t>(chosen.size());
    if (count == total) {
      all.push_back(arm);
    } else if (count > 0) {
      some.push_back(fmt::format("{} ({} of {})", arm, count, total));
    } else {
      std::vector<double> accuracies;
      for (const ContextRun* run : chosen) {
        accuracies.push_back(run->accuracy);
      }
      none.push_back(fmt::format("{} ({:.2f})", arm, statistics::estimate(accuracies).mean));
    }
  }
  const auto listed = [](const std::vector<std::string>& names) {
    return names.empty() ? std::string("none") : fmt::format("{}", fmt::join(names, "; "));
  };
  findings.push_back(fmt::format(
      "{}: within the budget every seed reaches a test accuracy of {} with {}. Some seeds "
      "do with {}. No seed does with {}.",
      task, kRecalls, listed(all), listed(some), listed(none)));
}

// The bound of theorem 4.1 beside the error, of the softmax models that recall.
void say_what_theory_allows(const std::vector<ContextRun>& runs, const std::string& task,
                            std::vector<std::string>& findings) {
  std::vector<double> ratios;
  double least = kNever;
  double most = 0;
  for (const ContextRun& run : runs) {
    if (run.task == task && run.is_softmax && recalls(run) && has_recalling_head(run) &&
        run.head.error > 0 && std::isfinite(run.head.bound)) {
      ratios.push_back(run.head.bound / run.head.error);
      least = std::min(least, run.head.error / run.head.distance);
      most = std::max(most, run.head.error / run.head.distance);
    }
  }
  if (ratios.empty()) {
    return;
  }
  findings.push_back(fmt::format(
      "{}: seen as a retrieval, the update of a recalling softmax head takes the median query to "
      "between {:.2g} and {:.2g} of its distance to the nearest key. Theorem 4.1 allows {:.2g} "
      "times "
      "the median error (the median of {} models).",
      task, least, most, statistics::quantile(ratios, 0.5), ratios.size()));
}

// beta against the usual beta, seed by seed.
void say_what_beta_does(const std::vector<ContextRun>& runs, const std::string& task,
                        std::vector<std::string>& findings) {
  const Runs usual = select(runs, task, "softmax");
  for (const std::string& arm : in_order(runs, &ContextRun::arm)) {
    const Runs other = select(runs, task, arm);
    if (arm == "softmax" || other.empty() || !other.front()->is_softmax ||
        other.size() != usual.size() || usual.size() < 2) {
      continue;
    }
    const auto column = [](const Runs& chosen, auto&& value) {
      std::vector<double> values;
      for (const ContextRun* run : chosen) {
        values.push_back(value(*run));
      }
      return values;
    };
    const auto accuracy = [](const ContextRun& run) { return run.accuracy; };
    const auto entropy = [](const ContextRun& run) { return run.head.relative_entropy; };
    const auto text = [&](const char* what, auto&& value) {
      const Comparison c =
          statistics::paired_comparison(column(other, value), column(usual, value));
      return fmt::format("{} by {:+.3f} [{:+.3f}, {:+.3f}]{}", what, c.difference, c.interval.low,
                         c.interval.high,
                         c.is_positive() || c.is_negative() ? "" : " (no difference shown)");
    };
    findings.push_back(fmt::format("{}: {} instead of softmax at the usual beta changes {} and {}.",
                                   task, arm, text("test accuracy", accuracy),
                                   text("the relative entropy of the recalling head", entropy)));
  }
}

// One outcome of a run, the more the better, against the figures of its head.
void say_what_goes_with(const std::vector<ContextRun>& runs, const std::string& task,
                        const char* outcome, double (*value)(const ContextRun&),
                        std::vector<std::string>& findings) {
  const std::vector<std::string> arms = in_order(runs, &ContextRun::arm);
  const std::pair<const char*, double RecallingHead::*> figures[] = {
      {"entropy", &RecallingHead::relative_entropy},
      {"effective temperature", &RecallingHead::temperature},
      {"k0.9", &RecallingHead::fewest}};
  for (const auto& [name, member] : figures) {
    std::vector<double> x, y;
    std::vector<std::int64_t> group;
    for (const ContextRun& run : runs) {
      if (run.task == task && std::isfinite(run.head.*member)) {
        x.push_back(run.head.*member);
        y.push_back(value(run));
        group.push_back(std::find(arms.begin(), arms.end(), run.arm) - arms.begin());
      }
    }
    const Correlation c = grouped_rank_correlation(x, y, group);
    const std::string numbers =
        fmt::format("rank correlation {:+.2f} [{:+.2f}, {:+.2f}] over {} runs", c.value,
                    c.interval.low, c.interval.high, x.size());
    if (c.interval.high < 0 || c.interval.low > 0) {
      findings.push_back(fmt::format(
          "{}: a {} {} of the recalling head goes with {} ({}). This is an association between "
          "separations and no proof of a cause.",
          task, c.interval.high < 0 ? "lower" : "higher", name, outcome, numbers));
    } else {
      findings.push_back(fmt::format(
          "{}: the data do not show that the {} of the recalling head goes with {} ({}).", task,
          name, outcome, numbers));
    }
  }
}

void say_how_diagnostics_go_with_recall(const std::vector<ContextRun>& runs,
                                        const std::string& task,
                                        std::vector<std::string>& findings) {
  constexpr double kAlike = 0.02;
  double least = 1;
  double most = 0;
  for (const ContextRun& run : runs) {
    if (run.task == task) {
      least = std::min(least, run.accuracy);
      most = std::max(most, run.accuracy);
    }
  }
  if (most - least < kAlike) {
    findings.push_back(fmt::format(
        "{}: all models end within {:.3f} and {:.3f}, so their accuracies cannot tell which heads "
        "recall better.",
        task, least, most));
  } else {
    say_what_goes_with(
        runs, task, "more recall", [](const ContextRun& run) { return run.accuracy; }, findings);
  }
  say_what_goes_with(
      runs, task, "faster learning",
      [](const ContextRun& run) {
        return run.steps_to_recall ? -static_cast<double>(*run.steps_to_recall) : -kNever;
      },
      findings);
}

}  // namespace

bool has_recalling_head(const ContextRun& run) {
  return run.head.source_weight >= 3 * run.head.chance_weight;
}

Verdict judge_recalling_heads(const std::vector<ContextRun>& runs, const std::string& task) {
  Verdict verdict;
  verdict.claim = fmt::format(
      "C(d): are recalling heads sharp or metastable? On {} (memo, an open question)", task);
  verdict.published = "no answer";
  Count count;
  std::int64_t softmax = 0;
  for (const ContextRun& run : runs) {
    const bool counts = run.is_softmax && run.task == task;
    softmax += counts ? 1 : 0;
    if (counts && recalls(run) && has_recalling_head(run)) {
      count.add(run);
    }
  }
  std::vector<std::string> shares;
  for (std::size_t n = 0; n < 3; ++n) {
    const auto regime = static_cast<kernels::Regime>(n);
    const Interval interval = count.total > 0
                                  ? statistics::wilson_interval(count.by_regime[n], count.total)
                                  : Interval{0.0, 1.0};
    shares.push_back(fmt::format("{} {} of {} [{:.2f}, {:.2f}]", kernels::name_of(regime),
                                 count.by_regime[n], count.total, interval.low, interval.high));
    if (count.total > 0 && interval.low > 0.5) {
      verdict.judgement = Judgement::not_comparable;
      verdict.ours = regime == kernels::Regime::fixed_point
                         ? "sharp: most recalling softmax heads work at fixed points"
                         : fmt::format("most recalling softmax heads work as {}",
                                       regime == kernels::Regime::metastable ? "metastable states"
                                                                             : "global averages");
    }
  }
  if (verdict.judgement == Judgement::undecided) {
    verdict.ours = count.total == 0
                       ? "no softmax model recalls with a head that looks at the answer"
                       : "no regime holds a clear majority of the recalling heads";
  }
  verdict.statistics = fmt::format(
      "of {} softmax models {} recall (test accuracy of at least {}) with a head that puts at "
      "least "
      "three times a uniform weight on the answers; by the regime of more than half of that head's "
      "rows, with Wilson's 95 % intervals: {}",
      softmax, count.total, kRecalls, fmt::join(shares, "; "));
  return verdict;
}

std::vector<std::string> context_findings(const std::vector<ContextRun>& runs) {
  std::vector<std::string> findings;
  for (const std::string& task : in_order(runs, &ContextRun::task)) {
    say_who_recalls(runs, task, findings);
    Count softmax;
    Count others;
    std::int64_t headless = 0;
    for (const ContextRun& run : runs) {
      if (run.task == task && recalls(run)) {
        if (has_recalling_head(run)) {
          (run.is_softmax ? softmax : others).add(run);
        } else {
          ++headless;
        }
      }
    }
    findings.push_back(fmt::format(
        "{}: recalling heads by the regime of most of their rows: {} softmax models: {}; {} models "
        "with other separations: {}.{}",
        task, softmax.total, softmax.text(), others.total, others.text(),
        headless > 0
            ? fmt::format(" {} models recall without a head that looks at the answers.", headless)
            : ""));
    say_what_theory_allows(runs, task, findings);
    say_what_beta_does(runs, task, findings);
    say_how_diagnostics_go_with_recall(runs, task, findings);
  }
  return findings;
}

}  // namespace basin::experiments
