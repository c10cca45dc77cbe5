#include "tasks/experiments/attention_heads_as_memories/dam_mnist_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "tasks/experiments/estimate_columns.h"
#include "tasks/images/mnist.h"
#include "tasks/statistics.h"

namespace basin::experiments {

namespace {

constexpr double kPublishedLow = 1.4;
constexpr double kPublishedHigh = 1.8;
constexpr std::int64_t kPublishedEpochs = 300;
constexpr std::int64_t kPublishedImages = 10000;
constexpr double kChanceError = 90.0;

// The parts of one setting, one for each seed.
class Runs {
 public:
  Runs(const DamMnistSetting& setting, const Settings& settings, std::int64_t seeds,
       const Results& results) {
    for (std::int64_t n = 0; n < seeds; ++n) {
      all_.push_back(&results.at(dam_mnist_key(setting, settings.seed + n)));
    }
  }

  const nlohmann::json& first() const { return *all_.front(); }

  template <class F>
  std::vector<double> collect(F&& value) const {
    std::vector<double> values;
    for (const nlohmann::json* run : all_) {
      values.push_back(value(*run));
    }
    return values;
  }
  std::vector<double> numbers(const char* name) const {
    return collect([&](const nlohmann::json& run) { return run.at(name).get<double>(); });
  }
  /// After an epoch, which counts from 0.
  std::vector<double> after(const char* curve, std::size_t epoch) const {
    return collect(
        [&](const nlohmann::json& run) { return run.at(curve).at(epoch).get<double>(); });
  }
  std::vector<double> best_validation() const {
    return collect([](const nlohmann::json& run) {
      const auto curve = run.at("validation_error").get<std::vector<double>>();
      return *std::min_element(curve.begin(), curve.end());
    });
  }
  std::size_t epochs() const { return first().at("validation_error").size(); }

 private:
  std::vector<const nlohmann::json*> all_;
};

std::vector<Runs> all_runs(const DamMnistBudget& budget, const Settings& settings,
                           const Results& results) {
  std::vector<Runs> all;
  for (const DamMnistSetting& setting : budget.settings) {
    all.emplace_back(setting, settings, budget.seeds, results);
  }
  return all;
}

double mean_of(const std::vector<double>& values) { return statistics::estimate(values).mean; }

ResultTable main_table(const DamMnistBudget& budget, const std::vector<Runs>& runs,
                       const nlohmann::json& baselines) {
  ResultTable table{"errors", "Shares of digits that are classified wrongly", {}, {}};
  table.columns = {{"method", "", 0}};
  add_estimate_columns(table.columns, "test error, epoch chosen by validation", "%", 2);
  add_estimate_columns(table.columns, "test error, last epoch", "%", 2);
  add_estimate_columns(table.columns, "validation error, chosen epoch", "%", 2);
  table.columns.push_back({"training error in the last epoch, mean", "%", 2});
  table.columns.push_back({"chosen epoch, mean", "", 0});
  table.columns.push_back({"epochs", "", 0});
  table.columns.push_back({"memories", "", 0});
  table.columns.push_back({"batch", "", 0});
  table.columns.push_back({"temperature T", "", 0});
  table.columns.push_back({"initial mean", "", 1});
  table.columns.push_back({"loss power 2m", "", 0});
  table.columns.push_back({"set-up", "", 0});
  for (std::size_t s = 0; s < runs.size(); ++s) {
    const DenseTraining& by = budget.settings[s].training;
    const std::vector<double> best = runs[s].numbers("test_error_best");
    std::vector<Cell> row = {"dense memory, " + budget.settings[s].name()};
    add_estimate(row, best);
    add_estimate(row, runs[s].numbers("test_error_last"));
    add_estimate(row, runs[s].best_validation());
    row.emplace_back(mean_of(runs[s].after("train_error", runs[s].epochs() - 1)));
    row.emplace_back(mean_of(runs[s].numbers("best_epoch")));
    row.emplace_back(by.epochs);
    row.emplace_back(by.model.memories);
    row.emplace_back(by.batch);
    row.emplace_back(by.model.temperature);
    row.emplace_back(by.model.initial_mean);
    row.emplace_back(2 * by.half_power);
    row.push_back(chance_flag(best, kChanceError, false));
    table.rows.push_back(row);
  }
  const auto add = [&](const std::string& name, double error) {
    std::vector<Cell> row = {name};
    add_estimate(row, {error});
    row.resize(table.columns.size());
    table.rows.push_back(row);
  };
  add("majority class", baselines.at("majority").get<double>());
  add("nearest class mean", baselines.at("nearest_mean").get<double>());
  add(fmt::format("nearest of {} training images",
                  std::min(budget.neighbours, budget.train_images)),
      baselines.at("nearest_neighbour").get<double>());
  add("logistic regression", baselines.at("logistic_regression").get<double>());
  return table;
}

ResultTable memories_table(const DamMnistBudget& budget, const std::vector<Runs>& runs) {
  ResultTable table{"memories", "What the learned memories are like", {}, {}};
  table.columns = {{"method", "", 0}};
  add_estimate_columns(table.columns, "memories that carry half of the drive of an image", "", 1);
  add_estimate_columns(table.columns, "largest correlation with a training image", "", 3);
  for (std::size_t s = 0; s < runs.size(); ++s) {
    std::vector<Cell> row = {"dense memory, " + budget.settings[s].name()};
    add_estimate(row, runs[s].numbers("memories_for_half"));
    add_estimate(row, runs[s].numbers("likeness"));
    table.rows.push_back(row);
  }
  return table;
}

Point point_of(double x, const std::vector<double>& values) {
  const statistics::Estimate e = statistics::estimate(values);
  Point point{x, e.mean, {}, {}};
  if (e.half_width) {
    point.low = e.low();
    point.high = e.high();
  }
  return point;
}

Figure curves_figure(const DamMnistBudget& budget, const std::vector<Runs>& runs) {
  Figure figure;
  figure.name = "learning";
  figure.title = "Learning digits with a dense associative memory";
  figure.caption = fmt::format(
      "Validation error after each epoch, for energies max(z, 0)^n: mean of {} seeds, and the 95 % "
      "interval of the mean as a band.",
      budget.seeds);
  figure.x_label = "epoch";
  figure.y_label = "validation error (%)";
  figure.log_y = true;
  for (std::size_t s = 0; s < runs.size(); ++s) {
    Series series{budget.settings[s].name(), Series::Kind::line, {}};
    for (std::size_t epoch = 0; epoch < runs[s].epochs(); ++epoch) {
      Point point =
          point_of(static_cast<double>(epoch + 1), runs[s].after("validation_error", epoch));
      // A logarithmic axis has no place for 0 and less.
      point.y = std::max(point.y, 0.01);
      if (point.low) {
        point.low = std::max(*point.low, 0.01);
      }
      series.points.push_back(point);
    }
    figure.series.push_back(series);
  }
  return figure;
}

Figure errors_figure(const DamMnistBudget& budget, const std::vector<Runs>& runs,
                     const nlohmann::json& baselines) {
  Figure figure;
  figure.name = "degrees";
  figure.title = "Test error and the degree of the energy";
  figure.caption = fmt::format(
      "Mean of {} seeds with its 95 % interval, at the epoch that validation chose and at the last "
      "one. Lines: the range of published errors, and the nearest neighbour.",
      budget.seeds);
  figure.x_label = "degree n of the energy max(z, 0)^n";
  figure.y_label = "test error (%)";
  figure.log_x = true;
  figure.log_y = true;
  for (const auto& [title, name] : {std::pair{"epoch chosen by validation", "test_error_best"},
                                    std::pair{"last epoch", "test_error_last"}}) {
    Series series{title, Series::Kind::line, {}};
    for (std::size_t s = 0; s < runs.size(); ++s) {
      if (budget.settings[s].as_published) {
        continue;
      }
      const auto degree = static_cast<double>(budget.settings[s].training.model.degree);
      Point point = point_of(degree, runs[s].numbers(name));
      if (point.low) {
        point.low = std::max(*point.low, 0.1);
      }
      series.points.push_back(point);
    }
    figure.series.push_back(series);
  }
  for (std::size_t s = 0; s < runs.size(); ++s) {
    if (budget.settings[s].as_published) {
      const auto degree = static_cast<double>(budget.settings[s].training.model.degree);
      figure.series.push_back({"published setting, chosen epoch",
                               Series::Kind::points,
                               {point_of(degree, runs[s].numbers("test_error_best"))}});
    }
  }
  figure.levels = {{"published, lowest", kPublishedLow},
                   {"published, highest", kPublishedHigh},
                   {"nearest neighbour", baselines.at("nearest_neighbour").get<double>()}};
  return figure;
}

// Pictures side by side, with a gap of one pixel between them, the first at the top left.
Figure pictures_figure(const DamMnistSetting& setting, const nlohmann::json& pictures) {
  const std::int64_t side = tasks::kMnistSide;
  const auto count = static_cast<std::int64_t>(pictures.size());
  const auto across = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  const std::int64_t width = across * (side + 1) + 1;
  Grid grid;
  grid.columns = grid.rows = width;
  grid.x_high = grid.y_high = static_cast<double>(across);
  grid.value_label = "pixel of the memory, from -1 (background) to 1";
  grid.values.assign(static_cast<std::size_t>(width * width), 0.0);
  for (std::int64_t n = 0; n < count; ++n) {
    const std::int64_t left = n % across * (side + 1) + 1;
    const std::int64_t top = n / across * (side + 1) + 1;
    for (std::int64_t pixel = 0; pixel < side * side; ++pixel) {
      const std::int64_t row = width - 1 - (top + pixel / side);  // the first row is at the bottom
      const std::int64_t at = row * width + left + pixel % side;
      grid.values[static_cast<std::size_t>(at)] = pictures.at(static_cast<std::size_t>(n))
                                                      .at(static_cast<std::size_t>(pixel))
                                                      .get<double>() /
                                                  1000.0;
    }
  }
  Figure figure;
  figure.name = fmt::format("memories-{}{}", setting.training.model.degree,
                            setting.as_published ? "-published" : "");
  figure.title = fmt::format("Learned memories, {}", setting.name());
  figure.caption = fmt::format(
      "The pixels of the first {} memories of the first seed, at the epoch that validation chose.",
      count);
  figure.x_label = "memories, side by side";
  figure.y_label = "";
  figure.grid = grid;
  return figure;
}

// The settings of the lowest and the highest degree, both ours.
std::pair<std::size_t, std::size_t> extremes(const DamMnistBudget& budget) {
  std::size_t low = budget.settings.size();
  std::size_t high = low;
  for (std::size_t s = 0; s < budget.settings.size(); ++s) {
    const std::int64_t degree = budget.settings[s].training.model.degree;
    if (!budget.settings[s].as_published) {
      if (low == budget.settings.size() || degree < budget.settings[low].training.model.degree) {
        low = s;
      }
      if (high == budget.settings.size() || degree > budget.settings[high].training.model.degree) {
        high = s;
      }
    }
  }
  return {low, high};
}

Verdict prototypes_verdict(const DamMnistBudget& budget, const std::vector<Runs>& runs) {
  const auto [first, last] = extremes(budget);
  const Runs& few = runs[last];
  const Runs& many = runs[first];
  const statistics::Comparison likeness =
      statistics::welch_comparison(few.numbers("likeness"), many.numbers("likeness"));
  const statistics::Comparison carriers = statistics::welch_comparison(
      few.numbers("memories_for_half"), many.numbers("memories_for_half"));
  Verdict verdict;
  verdict.claim =
      "With growing degree the memories turn from features, many of which act together, into "
      "prototypes, few of which decide (Krotov, Hopfield 2016; memo)";
  verdict.published = "in words and pictures";
  verdict.ours = fmt::format(
      "from {} to {}: correlation with the most similar training image {:.3f} to {:.3f}, memories "
      "that carry half of the drive {:.1f} to {:.1f}",
      budget.settings[first].name(), budget.settings[last].name(),
      mean_of(many.numbers("likeness")), mean_of(few.numbers("likeness")),
      mean_of(many.numbers("memories_for_half")), mean_of(few.numbers("memories_for_half")));
  verdict.statistics = fmt::format(
      "Welch, {} seeds each: change of the correlation {:.3f} [{:.3f}, {:.3f}], of the carriers "
      "{:.1f} [{:.1f}, {:.1f}]; both must lie on the side that is claimed",
      budget.seeds, likeness.difference, likeness.interval.low, likeness.interval.high,
      carriers.difference, carriers.interval.low, carriers.interval.high);
  if (likeness.is_positive() && carriers.is_negative()) {
    verdict.judgement = Judgement::reproduced;
  } else if (likeness.is_negative() && carriers.is_positive()) {
    verdict.judgement = Judgement::contradicted;
  }
  return verdict;
}

std::string images_text(std::int64_t images) {
  return images == kPublishedImages
             ? fmt::format("all {} test images", images)
             : fmt::format(
                   "the first {} test images (of {}; the first half is said to be the "
                   "cleaner one)",
                   images, kPublishedImages);
}

std::vector<std::string> findings_of(const DamMnistBudget& budget, const std::vector<Runs>& runs,
                                     const nlohmann::json& baselines) {
  std::vector<std::string> findings;
  for (std::size_t s = 0; s < runs.size(); ++s) {
    findings.push_back(
        fmt::format("{}: test error {}, validation error {}.", budget.settings[s].name(),
                    estimate_text(statistics::estimate(runs[s].numbers("test_error_best")), "%", 2),
                    estimate_text(statistics::estimate(runs[s].best_validation()), "%", 2)));
  }
  std::vector<std::string> better;
  const auto logistic = baselines.at("logistic_regression").get<double>();
  const auto neighbour = baselines.at("nearest_neighbour").get<double>();
  for (std::size_t s = 0; s < runs.size(); ++s) {
    const statistics::Estimate e = statistics::estimate(runs[s].numbers("test_error_best"));
    if (e.high() < std::min(logistic, neighbour)) {
      better.push_back(budget.settings[s].name());
    }
  }
  findings.push_back(fmt::format(
      "Better than every baseline with 95 % confidence over seeds: {}.",
      better.empty() ? std::string("none") : fmt::format("{}", fmt::join(better, ", "))));
  return findings;
}

std::vector<std::string> remarks_of(const Settings& settings, const DamMnistBudget& budget,
                                    std::int64_t test_images) {
  const DenseTraining& by = budget.settings.front().training;
  return {
      fmt::format("Test errors are of {}.", images_text(test_images)),
      fmt::format("Seeds {} to {}; {} training images, the last {} of the training file for "
                  "validation. The test images are looked at once a run, when training is over.",
                  settings.seed, settings.seed + budget.seeds - 1, budget.train_images,
                  budget.validation_images),
      fmt::format("Rate {} times {} for each epoch, momentum {}; the largest change in each memory "
                  "is the rate; weights are clipped to [-1, 1] and start with deviation {}. "
                  "Published for degree 20: 100 memories, 300 epochs in batches of 1000, rate 0.04 "
                  "times 0.998 for each epoch, T = 540, 2m = 60.",
                  by.learning_rate, by.decay, by.momentum, by.model.initial_deviation),
      "Numbers of memories, batches, temperatures, loss powers and the initial mean were chosen on "
      "the validation images with seed 0 in runs of 30 to 80 epochs, before the test images were "
      "looked at: 100 to 500 memories, batches of 100 to 1000, T of 25 to 540, 2m of 4 to 60, "
      "means "
      "of -0.3 to 0.",
      "The chosen epoch is the first with the least validation error.",
      "Chance and baselines: guessing is wrong in 90 %; the majority class, the nearest class "
      "mean, "
      "the nearest neighbour and logistic regression (10 epochs) stand in the table, without "
      "spread because nothing or one run only is drawn.",
      "The drive of an image: F of its overlaps with all memories, all labels off. The fewest "
      "memories that reach half of its sum are counted, and averaged over validation images."};
}

}  // namespace

Verdict published_error_verdict(const std::vector<double>& errors, std::int64_t test_images,
                                std::int64_t epochs, Size size) {
  const statistics::Estimate e = statistics::estimate(errors);
  const double share = e.mean / 100.0;
  const double images =
      1.96 * 100.0 * std::sqrt(share * (1.0 - share) / static_cast<double>(test_images));
  const double half = std::hypot(e.half_width.value_or(0.0), images);
  const double low = e.mean - half;
  const double high = e.mean + half;
  Verdict verdict;
  verdict.claim =
      "A dense associative memory classifies MNIST with a test error of about 1.4 to "
      "1.8 % (Krotov, Hopfield 2016; memo)";
  verdict.published =
      fmt::format("{} to {} % of {} images", kPublishedLow, kPublishedHigh, kPublishedImages);
  verdict.ours =
      fmt::format("{:.2f} % [{:.2f}, {:.2f}] of {}", e.mean, low, high, images_text(test_images));
  verdict.statistics = fmt::format(
      "the interval joins the spread of {} seeds (half width {:.2f}) and the chance of these {} "
      "images (half width {:.2f}); reproduced if it meets the published range",
      e.n, e.half_width.value_or(0.0), test_images, images);
  if (size == Size::smoke) {
    verdict.judgement = Judgement::not_comparable;
    verdict.statistics = "a smoke run learns from a few hundred images";
  } else if (low <= kPublishedHigh && high >= kPublishedLow) {
    verdict.judgement = Judgement::reproduced;
  } else if (low > kPublishedHigh && epochs < kPublishedEpochs) {
    verdict.judgement = Judgement::undecided;
    verdict.statistics +=
        fmt::format("; ours is worse after {} epochs of {}", epochs, kPublishedEpochs);
  } else {
    verdict.judgement = Judgement::contradicted;
  }
  return verdict;
}

Report dam_mnist_report(const Settings& settings, const Results& results) {
  const DamMnistBudget budget = dam_mnist_budget(settings.size);
  const std::vector<Runs> runs = all_runs(budget, settings, results);
  const nlohmann::json& baselines = results.at("baselines");
  const auto test_images = baselines.at("test_images").get<std::int64_t>();
  Report report;
  report.tables = {main_table(budget, runs, baselines), memories_table(budget, runs)};
  report.figures = {errors_figure(budget, runs, baselines), curves_figure(budget, runs)};
  // The degree with the least validation error stands for the method.
  std::size_t best = 0;
  for (std::size_t s = 0; s < runs.size(); ++s) {
    report.figures.push_back(pictures_figure(budget.settings[s], runs[s].first().at("pictures")));
    if (mean_of(runs[s].best_validation()) < mean_of(runs[best].best_validation())) {
      best = s;
    }
  }
  report.verdicts = {published_error_verdict(runs[best].numbers("test_error_best"), test_images,
                                             budget.settings[best].training.epochs, settings.size),
                     prototypes_verdict(budget, runs)};
  report.verdicts[0].ours +=
      fmt::format(", {}, the degree with the least validation error", budget.settings[best].name());
  report.findings = findings_of(budget, runs, baselines);
  report.remarks = remarks_of(settings, budget, test_images);
  return report;
}

}  // namespace basin::experiments
