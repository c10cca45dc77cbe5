// The text task on real data: the validation text of WikiText-103.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>

#include "tasks/training.h"
#include "tests/support/small_models.h"

namespace basin::tasks {
namespace {

class WikiText : public testing::Test {
 protected:
  void SetUp() override {
    const char* const data = std::getenv("BASIN_DATA");
    if (data == nullptr) {
      GTEST_SKIP() << "needs BASIN_DATA: the folder with wikitext-103/wiki.valid.tokens.gz";
    }
    TaskOptions options;
    options.name = "text";
    options.data = std::string(data) + "/wikitext-103/wiki.valid.tokens.gz";
    options.length = 64;
    task_ = make_task(options);
  }
  std::unique_ptr<Task> task_;
};

TEST_F(WikiText, IsReadWhole) {
  // The file has 1.1 million bytes; nine tenths are to train on.
  const double train = static_cast<double>(task_->examples(Split::train) * 64);
  const double held_back = static_cast<double>(task_->examples(Split::validation) * 64);
  EXPECT_TRUE(train >= 0.9e6 && train <= 1.1e6) << train;
  EXPECT_TRUE(held_back / (train + held_back) >= 0.099 && held_back / (train + held_back) <= 0.101);
  const std::vector<Metric> baselines = task_->baselines();
  EXPECT_EQ(baselines[0].value, 8.0);
  // Byte frequencies of English text with spaces around its punctuation: about 4.5 bits.
  EXPECT_TRUE(baselines[1].value >= 4.0 && baselines[1].value <= 5.0) << baselines[1].value;
}

TEST_F(WikiText, AFewStepsBeatTheByteFrequencies) {
  nn::BackboneOptions backbone;
  backbone.kind = "hopfield";
  backbone.width = 64;
  backbone.layers = 1;
  backbone.max_length = 64;
  nn::LanguageModel model(backbone, 1);
  TrainingOptions options;
  options.batch = 16;
  options.schedule.peak = 5e-3;
  options.schedule.warmup_steps = 10;
  options.schedule.total_steps = 120;
  TrainingRun run(*task_, model, options);
  const double before = evaluate(model, *task_, Split::validation, 64, 128).metrics.front().value;
  for (int n = 0; n < 120; ++n) {
    run.step();
  }
  const double after = evaluate(model, *task_, Split::validation, 64, 128).metrics.front().value;
  EXPECT_TRUE(before >= 7.0 && before <= 9.0) << before;
  EXPECT_TRUE(after <= task_->baselines()[1].value - 0.3) << after;
}

// With GPT-2's tokens the unit of the main metric is the byte all the same.
TEST(WikiTextTokens, AFewStepsLowerTheBitsPerByte) {
  const char* const data = std::getenv("BASIN_DATA");
  if (data == nullptr) {
    GTEST_SKIP() << "needs BASIN_DATA: the folders wikitext-103 and gpt2-bpe";
  }
  TaskOptions options;
  options.name = "text";
  options.data = std::string(data) + "/wikitext-103/wiki.valid.tokens.gz";
  options.tokenizer = std::string(data) + "/gpt2-bpe";
  options.length = 32;
  const auto task = make_task(options);
  EXPECT_EQ(task->vocabulary(), 50257);
  const std::vector<Metric> baselines = task->baselines();
  // 15.6 bits per token of about 4.5 bytes.
  EXPECT_TRUE(baselines[0].value >= 3.3 && baselines[0].value <= 3.7) << baselines[0].value;
  EXPECT_TRUE(baselines[1].value >= 2.0 && baselines[1].value <= 2.8) << baselines[1].value;

  nn::BackboneOptions backbone;
  backbone.kind = "attention";
  backbone.vocabulary = task->vocabulary();
  backbone.width = 16;
  backbone.heads = 2;
  backbone.layers = 1;
  backbone.max_length = 32;
  nn::LanguageModel model(backbone, 1);
  TrainingOptions training;
  training.batch = 4;
  training.schedule.peak = 1e-2;
  training.schedule.warmup_steps = 5;
  training.schedule.total_steps = 30;
  TrainingRun run(*task, model, training);
  const std::vector<Metric> before = evaluate(model, *task, Split::validation, 4, 16).metrics;
  for (int n = 0; n < 30; ++n) {
    run.step();
  }
  const std::vector<Metric> after = evaluate(model, *task, Split::validation, 4, 16).metrics;
  // Untrained is about chance, on a part of the text.
  EXPECT_TRUE(std::abs(before[0].value - baselines[0].value) <= 0.5) << before[0].value;
  EXPECT_TRUE(after[0].value <= before[0].value - 0.5) << after[0].value;
  const double bytes_per_token = after[1].value / after[0].value;
  EXPECT_TRUE(bytes_per_token >= 4.0 && bytes_per_token <= 5.0) << bytes_per_token;
}

}  // namespace
}  // namespace basin::tasks
