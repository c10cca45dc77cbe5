// The published tables in the library are those of the source tree, whole and readable.
#include "tasks/experiments/published.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tensor/error.h"

namespace basin::experiments {
namespace {

TEST(Published, LibraryHoldsTheFiles) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(BASIN_SOURCE_DIR) +
                                                               "/tasks/experiments/published")) {
    if (entry.path().extension() == ".csv") {
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      files[entry.path().stem().string()] = text.str();
    }
  }
  EXPECT_GE(files.size(), 5U);
  ASSERT_EQ(published_files().size(), files.size());
  for (const PublishedFile& file : published_files()) {
    ASSERT_EQ(files.count(file.name), 1U) << file.name;
    EXPECT_EQ(file.text, files[file.name]) << file.name;
    EXPECT_GT(published(file.name).rows(), 0U);
  }
}

TEST(Published, NumbersByColumn) {
  const PublishedTable& capacity = published("scratch_capacity");
  EXPECT_EQ(capacity.value({{"patterns", "15"}}, "mean_accuracy_percent"), 91.5);
  EXPECT_EQ(capacity.value({{"patterns", "16"}}, "mean_accuracy_percent"), std::nullopt);
  EXPECT_EQ(capacity.number(0, "patterns"), 1.0);
  const PublishedTable& auc = published("nonparametric_table5");
  EXPECT_EQ(auc.value({{"variant", "dense"}}, "tiger_auc"), 0.813);
  const PublishedTable& series = published("nonparametric_table6");
  const auto rows = series.find({{"data", "ETTh1"}, {"variant", "dense"}});
  EXPECT_EQ(series.numbers(rows, "mse"), (std::vector<double>{0.137, 0.153, 0.148, 0.169}));
  EXPECT_EQ(series.rows(), 160U);
}

template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Published, ErrorsNameWhatThereIs) {
  const PublishedTable table("made-up", "a,b\n1,x\n2,y\n2,z\n");
  EXPECT_NE(message_of([&] { table.text(0, "c"); }).find("it has a, b"), std::string::npos);
  EXPECT_NE(message_of([&] { table.text(3, "a"); }).find("which has 3"), std::string::npos);
  EXPECT_NE(message_of([&] { (void)table.number(1, "b"); }).find("line 3, column b: 'y'"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              (void)table.value({{"a", "2"}}, "b");
            }).find("2 rows fit"),
            std::string::npos);
  EXPECT_NE(message_of([] { (void)published("nothing"); }).find("scratch_capacity"),
            std::string::npos);
}

TEST(Published, WrongTablesAreRefused) {
  for (const char* text : {"", "a,b\n1\n", "a\n\"1\"\n", "a\r\n1\r\n", "\n1\n"}) {
    EXPECT_THROW(PublishedTable("wrong", text), Error) << text;
  }
}

}  // namespace
}  // namespace basin::experiments
