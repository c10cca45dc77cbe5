#include "tools/trainer/sweep_progress.h"

#include <fmt/format.h>

#include "tools/trainer/progress.h"
#include "tools/trainer/terminal.h"

namespace basin::trainer {

SweepProgress::SweepProgress(bool quiet, std::size_t total, std::size_t done)
    : quiet_(quiet),
      on_terminal_(draws_lines_over()),
      total_(total),
      earlier_(done),
      start_(Clock::now()) {}

SweepProgress::~SweepProgress() { erase(); }

void SweepProgress::note(const std::string& line) {
  if (!quiet_) {
    erase();
    print_now(line + "\n");
  }
}

void SweepProgress::finished(const std::string& line) {
  ++finished_;
  if (!on_terminal_) {
    note(fmt::format("{}/{} finished  {}", earlier_ + finished_ + failed_, total_, line));
  }
}

void SweepProgress::failed(const std::string& line) {
  ++failed_;
  note(fmt::format("{}/{} FAILED    {}", earlier_ + finished_ + failed_, total_, line));
}

// The runs so far took this long, at this many at once; the rest will do the same.
std::string SweepProgress::time_left() const {
  const std::size_t here = finished_ + failed_;
  if (here == 0) {
    return "";
  }
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const std::size_t rest = total_ - earlier_ - here;
  const double left = elapsed / static_cast<double>(here) * static_cast<double>(rest);
  return fmt::format("  about {} left", duration_text(left));
}

void SweepProgress::update(std::size_t running) {
  const Clock::time_point now = Clock::now();
  if (quiet_ || !on_terminal_ || now - last_drawn_ < std::chrono::milliseconds(200)) {
    return;
  }
  last_drawn_ = now;
  const std::size_t done = earlier_ + finished_ + failed_;
  draw_bar(static_cast<double>(done) / static_cast<double>(total_),
           fmt::format("{}/{} runs  {} running  {} failed{}", done, total_, running, failed_,
                       time_left()));
  drawn_ = true;
}

void SweepProgress::erase() {
  if (drawn_) {
    erase_bar();
    drawn_ = false;
  }
}

}  // namespace basin::trainer
