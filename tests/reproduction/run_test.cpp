// Parts are computed once each, in their order, and what was finished is never lost.
#include "tools/reproduction/run.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tensor/error.h"
#include "tests/reproduction/temporary_folder.h"
#include "tools/reproduction/record.h"

namespace basin::reproduction {
namespace {

std::vector<std::string> g_computed;
std::string g_fails;  // the key of a part that throws

std::vector<experiments::Part> parts(const experiments::Settings& settings) {
  std::vector<experiments::Part> list;
  for (int n = 0; n < 5; ++n) {
    const std::string key = "n=" + std::to_string(n);
    list.push_back({key, 1.0 + n, [=](const experiments::Progress& progress) -> nlohmann::json {
                      if (key == g_fails) {
                        throw FileError("it broke");
                      }
                      progress.tell(0.5, "half");
                      g_computed.push_back(key);
                      return n + 10 * settings.seed;
                    }});
  }
  return list;
}

std::vector<experiments::Part> twice(const experiments::Settings&) {
  const auto nothing = [](const experiments::Progress&) { return nlohmann::json(); };
  return {{"same", 1.0, nothing}, {"same", 1.0, nothing}};
}

experiments::Report no_report(const experiments::Settings&, const experiments::Results&) {
  return {};
}

const experiments::Experiment kFive = {"five", "nobody", "Five?", "", parts, no_report, "", false};
const experiments::Experiment kTwice = {"twice", "nobody", "?", "", twice, no_report, "", false};

class Recorder : public Watcher {
 public:
  void starts(std::size_t parts, std::size_t finished, double cost, double finished_cost) override {
    parts_ = parts;
    finished_ = finished;
    cost_ = cost;
    finished_cost_ = finished_cost;
  }
  void working(const experiments::Part& part, double share, const std::string&) override {
    if (part.key == stop_at && share >= stop_share) {
      throw std::runtime_error("stop");
    }
  }
  void finished(const experiments::Part&, double seconds) override {
    EXPECT_GE(seconds, 0.0);
    ++here_;
  }

  std::string stop_at;
  double stop_share = 0.0;
  std::size_t parts_ = 0, finished_ = 0, here_ = 0;
  double cost_ = 0.0, finished_cost_ = 0.0;
};

class RunTest : public testing::Test {
 protected:
  RunTest() {
    g_computed.clear();
    g_fails.clear();
  }
  TemporaryFolder folder_;
  std::string path_ = folder_.file("five.journal");
};

TEST_F(RunTest, AllPartsInOrderAndThenNoneAgain) {
  Journal journal(path_);
  Recorder recorder;
  compute(kFive, {}, journal, recorder);
  EXPECT_EQ(g_computed, (std::vector<std::string>{"n=0", "n=1", "n=2", "n=3", "n=4"}));
  EXPECT_EQ(recorder.cost_, 15.0);
  EXPECT_EQ(recorder.here_, 5U);
  EXPECT_TRUE(journal.is_finished());
  compute(kFive, {}, journal, recorder);
  Journal again(path_);
  compute(kFive, {}, again, recorder);
  EXPECT_EQ(g_computed.size(), 5U);
  EXPECT_EQ(again.results().at("n=3"), 3);
}

// Stopped before and inside every part: the rest is computed afterwards, and nothing twice.
TEST_F(RunTest, StoppedAnywhereItGoesOn) {
  for (int n = 0; n < 5; ++n) {
    for (const double share : {0.0, 0.5}) {
      std::filesystem::remove(path_);
      g_computed.clear();
      Recorder first;
      first.stop_at = "n=" + std::to_string(n);
      first.stop_share = share;
      Journal journal(path_);
      EXPECT_THROW(compute(kFive, {}, journal, first), std::runtime_error);
      Journal rest(path_);
      EXPECT_EQ(rest.results().size(), static_cast<std::size_t>(n));
      EXPECT_FALSE(rest.is_finished());
      Recorder second;
      compute(kFive, {}, rest, second);
      EXPECT_EQ(second.finished_, static_cast<std::size_t>(n));
      EXPECT_EQ(g_computed.size(), 5U);
      EXPECT_TRUE(Journal(path_).is_finished());
    }
  }
}

TEST_F(RunTest, ErrorsNameThePart) {
  g_fails = "n=2";
  Journal journal(path_);
  Recorder recorder;
  try {
    compute(kFive, {}, journal, recorder);
    ADD_FAILURE();
  } catch (const FileError& error) {
    EXPECT_EQ(std::string(error.what()), "part n=2: it broke");
  }
  EXPECT_EQ(Journal(path_).results().size(), 2U);
}

TEST_F(RunTest, TwoPartsOfOneKey) {
  Journal journal(path_);
  Recorder recorder;
  EXPECT_THROW(compute(kTwice, {}, journal, recorder), Error);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(RunTest, RecordTellsOfSittingsAndVersions) {
  Recorder recorder;
  recorder.stop_at = "n=2";
  Journal journal(path_);
  EXPECT_THROW(compute(kFive, {}, journal, recorder), std::runtime_error);
  Journal rest(path_);
  Recorder second;
  compute(kFive, {}, rest, second);
  const Record record = record_of(kFive, rest, "trainer reproduce five");
  ASSERT_EQ(record.sessions.size(), 2U);
  EXPECT_EQ(record.parts_of_session, (std::vector<std::size_t>{2, 3}));
  EXPECT_TRUE(record.warnings.empty());
  EXPECT_EQ(record.seconds.size(), 5U);

  std::filesystem::remove(path_);
  Journal other(path_);
  Session old = this_session(Device::cpu);
  old.version = "0.0.1";
  other.begin(header_of(kFive, {}), to_json(old));
  other.add("n=0", 1.0, 0);
  compute(kFive, {}, other, second);
  const Record mixed = record_of(kFive, other, "");
  ASSERT_EQ(mixed.warnings.size(), 1U);
  EXPECT_NE(mixed.warnings[0].find("0.0.1"), std::string::npos);
  EXPECT_NE(mixed.warnings[0].find("several versions"), std::string::npos);
}

}  // namespace
}  // namespace basin::reproduction
