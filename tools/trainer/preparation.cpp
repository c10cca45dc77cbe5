#include "tools/trainer/preparation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "tools/trainer/progress.h"
#include "tools/trainer/terminal.h"

namespace basin::trainer {

namespace {

constexpr auto kPatience = std::chrono::milliseconds(500);  // before the first word
constexpr auto kRedraw = std::chrono::milliseconds(100);    // on a terminal
constexpr auto kLineInterval = std::chrono::seconds(5);     // elsewhere

}  // namespace

Preparation::Preparation(bool quiet)
    : quiet_(quiet), on_terminal_(draws_lines_over()), next_(Clock::now() + kPatience) {}

Preparation::~Preparation() {
  if (drawn_) {
    std::fputs("\r\x1b[K", stdout);
    std::fflush(stdout);
  }
}

bool Preparation::show(const std::string& what, std::int64_t done, std::int64_t total) {
  status_ = total > 0 ? fmt::format("{}: {:.0f} %", what,
                                    100.0 * static_cast<double>(std::min(done, total)) /
                                        static_cast<double>(total))
                      : what;
  const Clock::time_point now = Clock::now();
  if (!quiet_ && now >= next_) {
    next_ = now + (on_terminal_ ? Clock::duration(kRedraw) : Clock::duration(kLineInterval));
    const std::string line =
        on_terminal_ ? fmt::format("\r{}\x1b[K", status_.substr(0, terminal_columns() - 1))
                     : status_ + "\n";
    std::fputs(line.c_str(), stdout);
    std::fflush(stdout);
    drawn_ = on_terminal_;
  }
  return !interrupt_.requested();
}

}  // namespace basin::trainer
