// What the tests of the executor share.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/common/launch.h"

namespace basin::kernels {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kRacesAreReported = true;
#elif defined(__has_feature)
inline constexpr bool kRacesAreReported = __has_feature(thread_sanitizer);
#else
inline constexpr bool kRacesAreReported = false;
#endif

/// The orders in which every kernel should give the same result.
inline std::vector<SimtContext> all_orders() {
  std::vector<SimtContext> all(4);
  all[1].schedule = Schedule::reversed;
  all[2].schedule = all[3].schedule = Schedule::random;
  all[2].seed = 1;
  all[3].seed = 2;
  return all;
}

/// Some of them, for tests of many problems: each has a random one of its own, by its name. What
/// has run in another format (`again`) is the same code.
inline std::vector<SimtContext> some_orders(const std::string& problem, bool again) {
  std::vector<SimtContext> orders(again ? 2 : 3);
  orders[1].schedule = Schedule::reversed;
  orders.back().schedule = Schedule::random;
  orders.back().seed = std::hash<std::string>{}(problem);
  return orders;
}

/// "forward", "reversed", "random 1": for SCOPED_TRACE.
inline std::string order_name(const SimtContext& context) {
  switch (context.schedule) {
    case Schedule::forward: return "forward";
    case Schedule::reversed: return "reversed";
    case Schedule::random: break;
  }
  return "random " + std::to_string(context.seed);
}

/// Runs one block of `threads` and expects that it ends well.
template <class... Parameters, class... Arguments>
void run_block(unsigned threads, const SimtContext& context, void (*kernel)(Parameters...),
               Arguments&&... arguments) {
  const Status status = launch({"test", {1, 1, 1}, {threads, 1, 1}}, context, kernel,
                               std::forward<Arguments>(arguments)...);
  EXPECT_TRUE(status.ok()) << status.message;
}

/// Runs one block of `threads` and expects a fault whose message holds every one of `parts`.
template <class... Parameters, class... Arguments>
void expect_fault(const std::vector<std::string>& parts, unsigned threads,
                  const SimtContext& context, void (*kernel)(Parameters...),
                  Arguments&&... arguments) {
  const Status status = launch({"faulty", {1, 1, 1}, {threads, 1, 1}}, context, kernel,
                               std::forward<Arguments>(arguments)...);
  EXPECT_EQ(status.code, Status::Code::kernel_fault);
  for (const std::string& part : parts) {
    EXPECT_NE(std::string(status.message).find(part), std::string::npos)
        << "no '" << part << "' in: " << status.message;
  }
}

}  // namespace basin::kernels
