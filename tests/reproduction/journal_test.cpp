// What is in a journal after every kind of end, and what is refused.
#include "tools/reproduction/journal.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tensor/error.h"
#include "tests/reproduction/temporary_folder.h"
#include "tools/reproduction/session.h"

namespace basin::reproduction {
namespace {

const experiments::Experiment kExperiment = {"made-up", "nobody", "Does it?", "",
                                             nullptr,   nullptr,  "",         false};

class JournalTest : public testing::Test {
 protected:
  std::string text() const {
    std::ostringstream stream;
    stream << std::ifstream(path_).rdbuf();
    return stream.str();
  }
  void write(const std::string& text) const { std::ofstream(path_) << text; }

  // Three results in two sittings; finished if asked.
  void fill(bool finish) const {
    Journal first(path_);
    first.begin(header_, to_json(this_session(Device::cpu)));
    first.add("a=1", 0.5, 1.25);
    Journal second(path_);
    second.begin(header_, to_json(this_session(Device::cpu)));
    second.add("a=2", 0.25, {{"x", {1, 2}}, {"y", "nan"}});
    second.add("a=3", 1.0, nullptr);
    if (finish) {
      second.finish();
    }
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("made-up.journal");
  nlohmann::json header_ = header_of(kExperiment, {});
};

TEST_F(JournalTest, HoldsWhatWasAdded) {
  EXPECT_TRUE(Journal(path_).empty());
  fill(true);
  const Journal journal(path_);
  EXPECT_FALSE(journal.empty());
  EXPECT_TRUE(journal.is_finished());
  EXPECT_FALSE(journal.was_torn());
  EXPECT_EQ(journal.header(), header_);
  EXPECT_EQ(journal.results().size(), 3U);
  EXPECT_EQ(journal.results().at("a=1"), 1.25);
  EXPECT_EQ(journal.results().at("a=2")["x"][1], 2);
  EXPECT_TRUE(journal.results().at("a=3").is_null());
  EXPECT_EQ(journal.seconds().at("a=2"), 0.25);
  ASSERT_EQ(journal.sittings().size(), 2U);
  EXPECT_EQ(journal.sittings()[1].keys, (std::vector<std::string>{"a=2", "a=3"}));
}

TEST_F(JournalTest, NumbersKeepAllDigits) {
  Journal journal(path_);
  journal.begin(header_, to_json(this_session(Device::cpu)));
  const std::vector<double> values = {0.1, 1.0 / 3.0, 1e-300, -4.9e-324, 1.7976931348623157e308};
  journal.add("k", 0.0, values);
  EXPECT_EQ(journal.results().at("k").get<std::vector<double>>(), values);
  EXPECT_EQ(Journal(path_).results().at("k").get<std::vector<double>>(), values);
}

// A program killed at any moment leaves the first n bytes; every whole line must still count.
TEST_F(JournalTest, CutAtEveryByte) {
  fill(true);
  const std::string whole = text();
  const std::size_t first_line = whole.find('\n') + 1;
  for (std::size_t bytes = first_line; bytes <= whole.size(); ++bytes) {
    const std::string cut = whole.substr(0, bytes);
    write(cut);
    const Journal journal(path_);
    std::size_t results = 0;
    std::size_t at = 0;
    for (std::size_t end; (end = cut.find('\n', at)) != std::string::npos; at = end + 1) {
      results += cut.substr(at, end - at).find("\"key\"") != std::string::npos ? 1 : 0;
    }
    EXPECT_EQ(journal.results().size(), results) << bytes;
    EXPECT_EQ(journal.was_torn(), cut.back() != '\n') << bytes;
    EXPECT_EQ(journal.is_finished(), bytes == whole.size()) << bytes;
  }
}

TEST_F(JournalTest, GoesOnAfterATornLine) {
  fill(false);
  const std::string whole = text();
  write(whole.substr(0, whole.size() - 5));
  Journal journal(path_);
  EXPECT_TRUE(journal.was_torn());
  EXPECT_EQ(journal.results().size(), 2U);
  journal.begin(header_, to_json(this_session(Device::cpu)));
  journal.add("a=3", 1.0, 7);
  journal.finish();
  const Journal again(path_);
  EXPECT_FALSE(again.was_torn());
  EXPECT_EQ(again.results().at("a=3"), 7);
  EXPECT_TRUE(again.is_finished());
}

TEST_F(JournalTest, LastLineOfWrongBytesCountsAsTorn) {
  fill(false);
  std::string damaged = text();
  damaged[damaged.size() - 3] ^= 1;
  write(damaged);
  const Journal journal(path_);
  EXPECT_TRUE(journal.was_torn());
  EXPECT_EQ(journal.results().size(), 2U);
}

TEST_F(JournalTest, DamageElsewhereIsRefusedWithItsLine) {
  fill(true);
  const std::string whole = text();
  std::size_t line = 1;
  for (std::size_t at = 0; at < whole.rfind('\n', whole.size() - 2); ++at) {
    std::string damaged = whole;
    damaged[at] = damaged[at] == 'x' ? 'y' : 'x';
    write(damaged);
    try {
      const Journal journal(path_);
      ADD_FAILURE() << "byte " << at << " was taken";
    } catch (const FileError& error) {
      EXPECT_NE(std::string(error.what()).find(path_), std::string::npos);
      if (whole[at] != '\n') {
        EXPECT_NE(std::string(error.what()).find(fmt::format("in line {},", line)),
                  std::string::npos)
            << error.what();
      }
    }
    line += whole[at] == '\n' ? 1 : 0;
  }
}

TEST_F(JournalTest, OtherFilesAreNoJournals) {
  for (const std::string text : {"\n", "hello\n", "{}\n", "00000000 {}\n"}) {
    write(text);
    EXPECT_THROW(Journal journal(path_), FileError) << text;
  }
  write("");
  EXPECT_TRUE(Journal(path_).empty());
}

TEST_F(JournalTest, ResultTwiceIsAnError) {
  Journal journal(path_);
  journal.begin(header_, to_json(this_session(Device::cpu)));
  journal.add("a", 1.0, 1);
  EXPECT_THROW(journal.add("a", 1.0, 2), Error);
}

TEST_F(JournalTest, AnewReplacesWhateverIsThereOnceItBegins) {
  fill(true);
  Journal journal = Journal::anew(path_);
  EXPECT_TRUE(journal.empty());
  EXPECT_TRUE(Journal(path_).is_finished());
  write("damaged\n");
  EXPECT_THROW(Journal reading(path_), FileError);
  journal.begin(header_, to_json(this_session(Device::cpu)));
  EXPECT_EQ(Journal(path_).results().size(), 0U);
}

TEST(Settings, ThroughAHeader) {
  experiments::Settings settings;
  settings.size = experiments::Size::gpu;
  settings.protocol = experiments::Protocol::as_coded;
  settings.seed = 12;
  settings.data = "/some/where";
  settings.device = Device::simt;
  const experiments::Settings read = settings_in(header_of(kExperiment, settings));
  EXPECT_EQ(read.size, settings.size);
  EXPECT_EQ(read.protocol, settings.protocol);
  EXPECT_EQ(read.seed, settings.seed);
  EXPECT_EQ(read.data, settings.data);
  EXPECT_EQ(read.device, settings.device);
  nlohmann::json wrong = header_of(kExperiment, settings);
  wrong["settings"]["size"] = "tiny";
  EXPECT_THROW((void)settings_in(wrong), Error);
  wrong = header_of(kExperiment, settings);
  wrong["settings"].erase("seed");
  EXPECT_THROW((void)settings_in(wrong), Error);
  wrong = header_of(kExperiment, settings);
  wrong["format"] = 99;
  EXPECT_THROW((void)settings_in(wrong), Error);
}

}  // namespace
}  // namespace basin::reproduction
