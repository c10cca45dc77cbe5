#include "tasks/experiments/regimes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace basin::experiments {
namespace {

using statistics::Estimate;

Estimate about(double mean, double half_width = 0.01) { return {5, mean, half_width, half_width}; }

SharpnessSweep made(const std::string& separation, std::vector<Estimate> fixed,
                    std::vector<Estimate> averages, std::vector<Estimate> entropy) {
  SharpnessSweep sweep;
  sweep.separation = separation;
  sweep.patterns = 16;
  for (std::size_t n = 0; n < fixed.size(); ++n) {
    sweep.sharpness.push_back(std::pow(10.0, static_cast<double>(n)));
    sweep.metastable.push_back(about(1 - fixed[n].mean - averages[n].mean));
  }
  sweep.fixed_points = std::move(fixed);
  sweep.averages = std::move(averages);
  sweep.relative_entropy = std::move(entropy);
  return sweep;
}

SharpnessSweep good() {
  return made("softmax", {about(0), about(0.4), about(0.97)}, {about(0.98), about(0.3), about(0)},
              {about(0.99), about(0.5), about(0.01)});
}

TEST(RegimesVerdict, FollowsFromTheNumbers) {
  EXPECT_EQ(judge_sharpness({good()}).judgement, Judgement::reproduced);
  EXPECT_EQ(judge_sharpness({}).judgement, Judgement::undecided);

  SharpnessSweep never_sharp = good();
  never_sharp.fixed_points.back() = about(0.1);
  EXPECT_EQ(judge_sharpness({good(), never_sharp}).judgement, Judgement::contradicted);

  SharpnessSweep unsure = good();
  unsure.averages.front() = about(0.92, 0.2);
  EXPECT_EQ(judge_sharpness({unsure}).judgement, Judgement::undecided);

  SharpnessSweep back_again = good();  // the entropy rises on the way
  back_again.relative_entropy = {about(0.5), about(0.99), about(0.01)};
  EXPECT_EQ(judge_sharpness({back_again}).judgement, Judgement::undecided);

  // The claim is about softmax: what others do says nothing.
  SharpnessSweep other = never_sharp;
  other.separation = "sparsemax";
  EXPECT_EQ(judge_sharpness({good(), other}).judgement, Judgement::reproduced);
  EXPECT_EQ(judge_sharpness({other}).judgement, Judgement::undecided);
}

TEST(RegimesFindings, NameWhatIsReachedAndWhatIsNot) {
  const std::vector<std::string> findings = regime_findings({good()});
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(
      findings[0],
      "softmax: somewhere in the sweep most queries are fixed points (0.97), elsewhere global "
      "averages (0.98), never metastable states (0.30).");
  SharpnessSweep top = good();
  top.separation = "top-k";
  top.averages = {about(0), about(0), about(0)};
  EXPECT_NE(regime_findings({top})[0].find("never metastable states (0.30) or global averages"),
            std::string::npos);
  EXPECT_TRUE(regime_findings({}).empty());
}

// The whole experiment at its smallest, with what is known of it beforehand.
TEST(Regimes, SmokeRunShowsThreeRegimes) {
  const Experiment experiment = regimes();
  Settings settings;
  settings.seed = 7;
  Results results;
  double told = 0;
  Progress progress;
  progress.tell = [&](double share, const std::string&) { told += share; };
  for (const Part& part : experiment.parts(settings)) {
    EXPECT_TRUE(results.emplace(part.key, part.compute(progress)).second) << part.key << " twice";
  }
  EXPECT_TRUE(told > 0);
  const Part first = experiment.parts(settings).front();
  EXPECT_EQ(first.compute({}), results.at(first.key)) << "a result depends on its key alone";

  for (const auto& [key, result] : results) {
    for (std::size_t n = 0; n < result.at("error").size(); ++n) {
      const auto at = [&](const char* name) { return result.at(name).at(n).get<double>(); };
      EXPECT_NEAR(at("fixed_points") + at("metastable") + at("averages"), 1, 1e-12) << key;
      EXPECT_TRUE(at("relative_entropy") >= 0 && at("relative_entropy") <= 1 + 1e-12) << key;
    }
    // 64 numbers per pattern and noise of 0.3: the sharpest retrieval is the pattern itself.
    EXPECT_EQ(result.at("success").back().get<double>(), 1.0) << key;
    EXPECT_EQ(result.at("fixed_points").back().get<double>(), 1.0) << key;
  }
  const Report report = experiment.report(settings, results);
  ASSERT_EQ(report.verdicts.size(), 1u);
  EXPECT_EQ(report.verdicts[0].judgement, Judgement::reproduced) << report.verdicts[0].statistics;
  EXPECT_FALSE(report.findings.empty());
  for (const ResultTable& table : report.tables) {
    EXPECT_FALSE(table.rows.empty()) << table.name;
    for (const std::vector<Cell>& row : table.rows) {
      EXPECT_EQ(row.size(), table.columns.size()) << table.name;
    }
  }
  for (const Figure& figure : report.figures) {
    EXPECT_FALSE(figure.series.empty()) << figure.name;
  }
}

}  // namespace
}  // namespace basin::experiments
