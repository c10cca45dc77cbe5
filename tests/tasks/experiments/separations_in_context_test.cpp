#include "tasks/experiments/separations_in_context.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "tasks/experiments/context_training.h"

namespace basin::experiments {
namespace {

ContextRun made(const std::string& arm, std::int64_t seed, double accuracy,
                const std::array<double, 3>& regimes, double entropy) {
  ContextRun run;
  run.task = "recall";
  run.arm = arm;
  run.is_softmax = arm.starts_with("softmax");
  run.seed = seed;
  run.accuracy = accuracy;
  run.head.source_weight = 0.8;
  run.head.chance_weight = 0.05;
  run.head.regimes = regimes;
  run.head.relative_entropy = entropy;
  run.head.temperature = 0.1 + entropy;
  run.head.fewest = 1 + 10 * entropy;
  run.head.distance = 2;
  run.head.error = 0.1;
  run.head.bound = 3;
  return run;
}

constexpr std::array<double, 3> kSharp = {0.9, 0.1, 0.0};
constexpr std::array<double, 3> kMetastable = {0.2, 0.7, 0.1};
constexpr std::array<double, 3> kMixed = {0.5, 0.4, 0.1};

std::vector<ContextRun> several(int count, const std::array<double, 3>& regimes) {
  std::vector<ContextRun> runs;
  for (int n = 0; n < count; ++n) {
    runs.push_back(made("softmax", n, 0.99, regimes, 0.1));
  }
  return runs;
}

std::vector<ContextRun> joined(std::vector<ContextRun> a, const std::vector<ContextRun>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

bool says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

TEST(RecallingHeadsVerdict, FollowsFromTheNumbers) {
  const Verdict sharp = judge_recalling_heads(several(8, kSharp), "recall");
  EXPECT_EQ(sharp.judgement, Judgement::not_comparable) << "nobody published an answer";
  EXPECT_TRUE(says(sharp.ours, "sharp"));
  EXPECT_TRUE(says(sharp.statistics, "fixed point 8 of 8"));

  const Verdict metastable = judge_recalling_heads(several(8, kMetastable), "recall");
  EXPECT_EQ(metastable.judgement, Judgement::not_comparable);
  EXPECT_TRUE(says(metastable.ours, "metastable"));

  // Too few, too evenly divided, or without a majority of rows: undecided.
  for (const std::vector<ContextRun>& runs :
       {std::vector<ContextRun>{}, several(3, kSharp),
        joined(several(5, kSharp), several(4, kMetastable)), several(9, kMixed)}) {
    EXPECT_EQ(judge_recalling_heads(runs, "recall").judgement, Judgement::undecided) << runs.size();
  }
}

TEST(RecallingHeadsVerdict, CountsSoftmaxModelsThatRecallWithSuchAHead) {
  std::vector<ContextRun> runs = several(8, kSharp);
  for (int n = 0; n < 20; ++n) {
    runs.push_back(made("sparsemax", n, 0.99, kMetastable, 0.1));  // another separation
    runs.push_back(made("softmax", n, 0.5, kMetastable, 0.1));     // does not recall
    runs.push_back(made("softmax", n, 0.99, kMetastable, 0.1));    // no head looks at the answer
    runs.back().head.source_weight = 0.1;
    EXPECT_FALSE(has_recalling_head(runs.back()));
  }
  for (ContextRun run : several(9, kMetastable)) {
    run.task = "copying";
    runs.push_back(run);
  }
  const Verdict verdict = judge_recalling_heads(runs, "recall");
  EXPECT_TRUE(says(verdict.ours, "sharp"));
  EXPECT_TRUE(says(verdict.statistics, "of 48 softmax models 8 recall"));
  EXPECT_TRUE(says(judge_recalling_heads(runs, "copying").ours, "metastable"));
}

TEST(ContextFindings, SayWhoRecallsAndWhatBetaDoes) {
  std::vector<ContextRun> runs;
  for (int seed = 0; seed < 4; ++seed) {
    runs.push_back(made("softmax, beta / 4", seed, 0.3 + 0.02 * seed, kMixed, 0.8));
    runs.push_back(made("softmax", seed, 0.95 + 0.01 * seed, kSharp, 0.2));
    runs.push_back(made("softmax, 4 beta", seed, seed % 2 == 0 ? 0.97 : 0.94, kSharp, 0.1));
    runs.push_back(made("sparsemax", seed, seed == 0 ? 0.5 : 0.99, kSharp, 0.05));
    runs.push_back(made("polynomial", seed, 0.2, kMetastable, 0.7));
    runs.push_back(made("entmax", seed, 0.99, kSharp, 0.06));
    runs.push_back(made("top", seed, 0.25, kMetastable, 0.6));
  }
  const std::vector<std::string> findings = context_findings(runs);
  const auto found = [&](const std::string& words) {
    return std::any_of(findings.begin(), findings.end(),
                       [&](const std::string& text) { return says(text, words); });
  };
  EXPECT_TRUE(
      found("every seed reaches a test accuracy of 0.9 with softmax; softmax, 4 beta; entmax"));
  EXPECT_TRUE(found("Some seeds do with sparsemax (3 of 4)"));
  EXPECT_TRUE(found("No seed does with softmax, beta / 4 (0.33); polynomial (0.20); top (0.25)"));
  EXPECT_TRUE(found("8 softmax models: 8 fixed point, 0 metastable"));
  EXPECT_TRUE(found("7 models with other separations: 7 fixed point"));
  EXPECT_TRUE(
      found("softmax, beta / 4 instead of softmax at the usual beta changes test accuracy by "
            "-0.635 ["));
  EXPECT_TRUE(found("a lower entropy of the recalling head goes with more recall"));
  EXPECT_TRUE(found("no proof of a cause"));
  EXPECT_TRUE(found(
      "to between 0.05 and 0.05 of its distance to the nearest key. Theorem 4.1 allows 30 times "
      "the median error (the median of 8 models)"));
  // A difference that seeds do not agree on is no difference.
  const auto four = std::find_if(findings.begin(), findings.end(), [](const std::string& text) {
    return says(text, "softmax, 4 beta instead of softmax");
  });
  ASSERT_NE(four, findings.end());
  EXPECT_TRUE(says(*four, "(no difference shown)"));
}

TEST(ContextFindings, DoNotClaimWhatIsNotThere) {
  std::vector<ContextRun> runs;
  int n = 0;
  for (const char* arm : {"softmax", "a", "b", "c", "d", "e"}) {
    for (int seed = 0; seed < 3; ++seed, ++n) {
      runs.push_back(made(arm, seed, 0.5 + 0.01 * ((n * 7) % 11), kMixed, 0.1 * ((n * 5) % 7)));
    }
  }
  for (const std::string& text : context_findings(runs)) {
    EXPECT_FALSE(says(text, "a lower") || says(text, "a higher")) << text;
  }
  EXPECT_TRUE(context_findings({}).empty());
}

TEST(ContextFindings, AccuraciesThatAreAlikeTellNothingButTheSpeedMay) {
  std::vector<ContextRun> runs;
  int n = 0;
  for (const char* arm : {"softmax", "a", "b", "c", "d", "e", "f"}) {
    for (int seed = 0; seed < 3; ++seed) {
      runs.push_back(made(arm, seed, seed == 0 ? 1.0 : 0.995, kSharp, 0.1 * n));
      if (n < 6) {
        runs.back().steps_to_recall = 100 + 50 * n;  // the last arm never gets there
      }
    }
    ++n;
  }
  const std::vector<std::string> findings = context_findings(runs);
  const auto count = [&](const std::string& words) {
    return std::count_if(findings.begin(), findings.end(),
                         [&](const std::string& text) { return says(text, words); });
  };
  EXPECT_EQ(count("all models end within 0.995 and 1.000"), 1);
  EXPECT_EQ(count("more recall"), 0);
  EXPECT_EQ(count("a lower entropy of the recalling head goes with faster learning"), 1);
}

TEST(Arms, DifferInTheirSeparationAlone) {
  const std::vector<Arm> arms = arms_of(16);
  std::set<std::string> names;
  std::set<std::string> options;
  for (const Arm& arm : arms) {
    EXPECT_TRUE(names.insert(arm.name).second) << arm.name << " twice";
    EXPECT_TRUE(options.insert(to_text(arm.options)).second) << arm.name << " is another arm";
    EXPECT_EQ(validate(arm.options), "") << arm.name;
    EXPECT_TRUE(arm.options.causal) << arm.name;
  }
  EXPECT_DOUBLE_EQ(arms[0].options.beta, 1.0 / 16);
  EXPECT_DOUBLE_EQ(arms[1].options.beta, 1.0 / 4);
  EXPECT_DOUBLE_EQ(arms[2].options.beta, 1.0);
}

// The whole experiment at its smallest.
TEST(SeparationsInContext, SmokeRun) {
  const Experiment experiment = separations_in_context();
  const Settings settings;
  const std::vector<Part> parts = experiment.parts(settings);
  EXPECT_EQ(parts.size(), 2 * arms_of(8).size() * 3);
  Results results;
  for (const Part& part : parts) {
    EXPECT_TRUE(results.emplace(part.key, part.compute({})).second) << part.key << " twice";
  }
  EXPECT_EQ(parts[4].compute({}), results.at(parts[4].key)) << "a result depends on its key alone";
  const nlohmann::json& run = results.at(context_key("recall", "sparsemax", 1));
  EXPECT_EQ(run.at("curve").at("step").size(), 4u);
  ASSERT_EQ(run.at("heads").size(), 4u);  // two layers with two heads
  EXPECT_EQ(run.at("heads")[3].at("layer"), 1);
  EXPECT_EQ(run.at("heads")[0].at("rows"), 8 * 2);  // examples, questions
  const double weight = to_number(run.at("heads")[3].at("weight of the answer's place").at("mean"));
  EXPECT_TRUE(weight >= 0 && weight <= 1);
  // Another arm is another model from the first step on.
  EXPECT_NE(run.at("test"), results.at(context_key("recall", "softmax", 1)).at("test"));

  const Report report = experiment.report(settings, results);
  EXPECT_EQ(report.verdicts.size(), 2u);  // one for each task
  EXPECT_FALSE(report.findings.empty());
  ASSERT_EQ(report.tables.size(), 2u);
  EXPECT_EQ(report.tables[0].rows.size(), 2 * arms_of(8).size());
  EXPECT_EQ(report.tables[1].rows.size(), parts.size() * 4);
  for (const ResultTable& table : report.tables) {
    for (const std::vector<Cell>& row : table.rows) {
      EXPECT_EQ(row.size(), table.columns.size()) << table.name;
    }
  }
  std::set<std::string> names;
  for (const Figure& figure : report.figures) {
    EXPECT_TRUE(names.insert(figure.name).second);
    EXPECT_FALSE(figure.series.empty()) << figure.name;
  }
  EXPECT_EQ(names.size(), 8u);
}

}  // namespace
}  // namespace basin::experiments
