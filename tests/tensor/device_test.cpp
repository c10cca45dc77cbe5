// The pool every kernel runs on.
#include "tensor/device.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/scoped_threads.h"

namespace basin {
namespace {

using test::refuses;

TEST(Device, HasAsManyThreadsAsAsked) {
  const int before = threads();
  EXPECT_GE(before, 1);
  for (const int count : {1, 3, 2}) {
    const test::ScopedThreads scope(count);
    EXPECT_EQ(threads(), count);
    EXPECT_EQ(cpu_context().pool->threads(), count);
  }
  EXPECT_EQ(threads(), before);
  EXPECT_TRUE(refuses<Error>([] { set_threads(0); }, {"at least 1", "0"}));
  EXPECT_TRUE(refuses<Error>([] { set_threads(-2); }, {"at least 1", "-2"}));
  EXPECT_EQ(threads(), before);
}

// The variable is read once, at the first use: each value needs a process of its own.
class ThreadsVariable : public testing::Test {
 protected:
  ThreadsVariable() { testing::FLAGS_gtest_death_test_style = "threadsafe"; }

  // Ends the process: with the number of threads, or 99 and the message.
  static void report(const char* value) {
    setenv("BASIN_THREADS", value, 1);
    try {
      std::exit(threads());
    } catch (const Error& error) {
      std::fputs(error.what(), stderr);
      std::exit(99);
    }
  }
};

TEST_F(ThreadsVariable, SetsTheNumberOfThreads) {
  EXPECT_EXIT(report("3"), testing::ExitedWithCode(3), "");
}

TEST_F(ThreadsVariable, IsRefusedUnlessItIsAPositiveNumber) {
  for (const char* value : {"0", "-1", "two", "2x", " 2", "99999999999999999999"}) {
    EXPECT_EXIT(report(value), testing::ExitedWithCode(99), "BASIN_THREADS.*positive") << value;
  }
}

}  // namespace
}  // namespace basin
