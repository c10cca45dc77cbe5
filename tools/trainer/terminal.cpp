#include "tools/trainer/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace basin::trainer {

namespace {

constexpr std::size_t kLeastBar = 10;
constexpr std::size_t kMostBar = 30;

}  // namespace

bool draws_lines_over() {
  const char* terminal = std::getenv("TERM");
  return isatty(STDOUT_FILENO) != 0 && terminal != nullptr && std::strcmp(terminal, "dumb") != 0;
}

std::size_t terminal_columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void print_now(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void draw_bar(double done, const std::string& text) {
  const std::size_t room = terminal_columns() - 1;
  std::string line = text;
  if (text.size() + kLeastBar + 3 <= room) {
    const std::size_t width = std::min(kMostBar, room - text.size() - 3);
    const auto filled = static_cast<std::size_t>(std::lround(done * static_cast<double>(width)));
    line =
        fmt::format("[{}{}] {}", std::string(filled, '#'), std::string(width - filled, '.'), text);
  }
  print_now(fmt::format("\r{}\x1b[K", line.substr(0, room)));
}

void erase_bar() { print_now("\r\x1b[K"); }

}  // namespace basin::trainer
