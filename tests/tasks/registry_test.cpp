// Tasks by name, and the options that do not fit them.
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>

#include "tasks/task.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace basin::tasks {
namespace {

using test::refuses;

TEST(TaskRegistry, KnowsItsTasksByName) {
  std::set<std::string> names;
  for (const TaskKind& kind : task_kinds()) {
    EXPECT_TRUE(names.insert(kind.name).second) << kind.name << " twice";
    EXPECT_EQ(&task_kind(kind.name), &kind);
    EXPECT_FALSE(kind.description.empty()) << kind.name;
  }
  EXPECT_TRUE(names.contains("copying") && names.contains("recall") && names.contains("text"));
}

TEST(TaskRegistry, AnswersAnUnknownNameWithTheNamesThereAre) {
  EXPECT_TRUE(refuses<Error>([] { task_kind("coping"); }, {"'coping'", "copying", "text"}));
  TaskOptions options;
  options.name = "";
  EXPECT_TRUE(refuses<Error>([&] { make_task(options); }, {"''", "copying", "text"}));
}

TEST(TaskRegistry, DefaultsAreTheTasksOwn) {
  TaskOptions options;
  const auto copying = make_task(options);
  EXPECT_EQ(copying->name(), "copying");
  EXPECT_EQ(copying->length(), 127);
  EXPECT_EQ(copying->vocabulary(), 64);

  options.name = "recall";
  const auto recall = make_task(options);
  EXPECT_EQ(recall->name(), "recall");
  EXPECT_EQ(recall->length(), 25);
  EXPECT_EQ(recall->vocabulary(), 33);

  const test::TemporaryFolder folder;
  test::write_bytes(folder / "text", std::string(5000, 'a'));
  options.name = "text";
  options.data = folder / "text";
  const auto text = make_task(options);
  EXPECT_EQ(text->name(), "text");
  EXPECT_EQ(text->length(), 128);
  EXPECT_EQ(text->vocabulary(), 256);
}

TEST(TaskRegistry, TheMainMetricIsTheFirstOfTheResult) {
  const test::TemporaryFolder folder;
  test::write_bytes(folder / "text", std::string(5000, 'a'));
  for (const TaskKind& kind : task_kinds()) {
    TaskOptions options;
    options.name = kind.name;
    options.data = kind.needs_data ? folder / "text" : "";
    const auto task = make_task(options);
    EXPECT_EQ(task->metrics()->result().front().name, task->metric_name()) << kind.name;
    ASSERT_FALSE(task->baselines().empty()) << kind.name;
    EXPECT_EQ(task->baselines().front().name, "chance") << kind.name;
  }
}

TEST(TaskRegistry, RefusesOptionsThatDoNotFit) {
  const auto attempt = [](const std::function<void(TaskOptions&)>& change) {
    return [change] {
      TaskOptions options;
      change(options);
      make_task(options);
    };
  };
  EXPECT_TRUE(
      refuses<Error>(attempt([](auto& o) { o.name = "text"; }), {"'text'", "needs a data file"}));
  EXPECT_TRUE(refuses<Error>(attempt([](auto& o) { o.data = "novel.txt"; }),
                             {"'copying'", "reads no file", "'novel.txt'"}));
  EXPECT_TRUE(refuses<Error>(attempt([](auto& o) {
                               o.name = "text";
                               o.data = "novel.txt";
                               o.vocabulary = 100;
                             }),
                             {"'text'", "256", "100"}));
}

TEST(TaskRegistry, SplitsHaveNames) {
  EXPECT_STREQ(name_of(Split::train), "train");
  EXPECT_STREQ(name_of(Split::validation), "validation");
  EXPECT_STREQ(name_of(Split::test), "test");
}

}  // namespace
}  // namespace basin::tasks
