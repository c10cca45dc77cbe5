#include "tasks/experiments/attention_heads_as_memories/planted_facts.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace basin::experiments {
namespace {

const Results& smoke_results() {
  static const Results results = [] {
    Results all;
    for (const Part& part : planted_facts().parts({})) {
      all[part.key] = part.compute({[](double, const std::string&) {}});
    }
    return all;
  }();
  return results;
}

// The result of one reader, with few pairs and little noise.
const nlohmann::json& easy(const std::string& separation, double sharpness) {
  for (const auto& row : smoke_results().at("pairs=16/noise=0.1/seed=0").at("readers")) {
    if (row.at("separation") == separation && row.at("sharpness") == sharpness) {
      return row;
    }
  }
  throw std::logic_error("no " + separation);
}

TEST(PlantedFacts, EverySeparationIsReadAtEverySharpness) {
  std::set<std::string> names;
  for (const Reader& reader : planted_facts_readers({1, 64, 128})) {
    EXPECT_TRUE(names.insert(reader.separation + std::to_string(reader.sharpness)).second);
    EXPECT_EQ(validate(reader.options), "") << reader.separation;
  }
  EXPECT_EQ(names.size(), 3u * 4u + 2u);
  // No two of them read alike.
  std::set<double> errors;
  for (const char* name : {"softmax", "sparsemax", "entmax-1.5", "top-8 softmax", "polynomial"}) {
    EXPECT_TRUE(errors.insert(easy(name, 1).at("error").get<double>()).second) << name;
  }
}

TEST(PlantedFacts, ASharpHeadReadsWhatABluntOneAverages) {
  for (const char* name : {"softmax", "top-8 softmax"}) {
    EXPECT_GT(easy(name, 1).at("error").get<double>(), 0.5) << name;
    EXPECT_LT(easy(name, 256).at("error").get<double>(), 1e-6) << name;
    EXPECT_EQ(easy(name, 256).at("recalled"), 32) << name;
  }
  EXPECT_EQ(easy("sparsemax", 256).at("error").get<double>(), 0.0);
  EXPECT_EQ(easy("entmax-1.5", 256).at("error").get<double>(), 0.0);
}

TEST(PlantedFacts, KnownTheoryHoldsInEveryQuery) {
  std::int64_t covered = 0;
  std::int64_t exact_rows = 0;
  for (const auto& [key, part] : smoke_results()) {
    for (const auto& row : part.at("readers")) {
      covered += row.at("covered").get<std::int64_t>();
      exact_rows += row.at("exact_rows").get<std::int64_t>();
      EXPECT_EQ(row.at("over_proof"), 0) << key;
      EXPECT_EQ(row.at("exact"), row.at("exact_rows")) << key;
    }
  }
  EXPECT_GT(covered, 500);
  EXPECT_GT(exact_rows, 500);
}

TEST(PlantedFacts, NothingReadsMoreThanALookupKnows) {
  for (const auto& [key, part] : smoke_results()) {
    for (const auto& row : part.at("readers")) {
      if (row.at("sharpness") == 256) {
        // Two scores that are nearly the same share their weight; then either may be nearest.
        EXPECT_NEAR(row.at("recalled").get<double>(), part.at("argmax_recalled").get<double>(), 1.0)
            << key;
      }
    }
    EXPECT_GT(part.at("mean_error").get<double>(), 0.9);
  }
}

TEST(PlantedFacts, TheReportChoosesOnOtherQueriesAndJudgesByCounts) {
  const Settings settings;
  const Report report = planted_facts().report(settings, smoke_results());
  for (const ResultTable& table : report.tables) {
    EXPECT_FALSE(table.rows.empty()) << table.name;
    for (const auto& row : table.rows) {
      EXPECT_EQ(row.size(), table.columns.size()) << table.name;
    }
  }
  ASSERT_EQ(report.verdicts.size(), 4u);
  EXPECT_EQ(report.verdicts[0].judgement, Judgement::reproduced);
  EXPECT_EQ(report.verdicts[2].judgement, Judgement::reproduced);

  Results changed = smoke_results();
  auto& readers = changed.at("pairs=16/noise=0.1/seed=0").at("readers");
  readers[0]["over_proof"] = 1;
  readers[1]["worse_than_dense"] = 1;
  // The least choosing error wins, whatever the error that is reported.
  for (auto& [key, part] : changed) {
    for (auto& row : part.at("readers")) {
      if (row.at("separation") == "softmax" && row.at("sharpness") == 1) {
        row["choosing_error"] = -1.0;
      }
    }
  }
  const Report other = planted_facts().report(settings, changed);
  EXPECT_EQ(other.verdicts[0].judgement, Judgement::contradicted);
  EXPECT_EQ(other.verdicts[3].judgement, Judgement::contradicted);
  EXPECT_EQ(std::get<double>(other.tables[0].rows[0][3]), 1.0);
  EXPECT_NE(std::get<double>(report.tables[0].rows[0][3]), 1.0);
}

}  // namespace
}  // namespace basin::experiments
