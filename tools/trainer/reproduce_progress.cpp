#include "tools/trainer/reproduce_progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/trainer/progress.h"
#include "tools/trainer/terminal.h"

namespace basin::trainer {

namespace {

constexpr auto kProgressRedraw = std::chrono::milliseconds(100);  // on a terminal
constexpr auto kProgressInterval = std::chrono::seconds(10);      // elsewhere

}  // namespace

ReproduceProgress::ReproduceProgress(bool quiet, std::string experiment)
    : quiet_(quiet), on_terminal_(draws_lines_over()), experiment_(std::move(experiment)) {}

ReproduceProgress::~ReproduceProgress() { erase(); }

void ReproduceProgress::starts(std::size_t parts, std::size_t finished, double cost,
                               double finished_cost) {
  parts_ = parts;
  earlier_ = done_ = finished;
  cost_ = cost;
  earlier_cost_ = done_cost_ = finished_cost;
  start_ = Clock::now();
  next_ = start_ +
          (on_terminal_ ? Clock::duration(kProgressRedraw) : Clock::duration(kProgressInterval));
  if (!quiet_ && finished > 0) {
    print_now(
        fmt::format("{}: {} of {} parts were computed before\n", experiment_, finished, parts));
  }
}

void ReproduceProgress::working(const experiments::Part& part, double share,
                                const std::string& what) {
  if (interrupt_.requested()) {
    throw Interrupted("interrupted");
  }
  show(part, share, what);
}

void ReproduceProgress::finished(const experiments::Part& part, double /*seconds*/) {
  ++done_;
  done_cost_ += part.cost;
  show(part, 0.0, "");
}

// What was computed here took this long; the rest will cost the same.
std::string ReproduceProgress::time_left(double done_cost) const {
  const double here = done_cost - earlier_cost_;
  if (here <= 0.0) {
    return "";
  }
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  return fmt::format("  about {} left", duration_text(elapsed / here * (cost_ - done_cost)));
}

void ReproduceProgress::show(const experiments::Part& part, double share, const std::string& what) {
  const Clock::time_point now = Clock::now();
  if (quiet_ || now < next_) {
    return;
  }
  next_ =
      now + (on_terminal_ ? Clock::duration(kProgressRedraw) : Clock::duration(kProgressInterval));
  const double done = std::min(cost_, done_cost_ + std::clamp(share, 0.0, 1.0) * part.cost);
  const std::string doing = what.empty() ? part.key : fmt::format("{}, {}", part.key, what);
  const std::string status =
      fmt::format("{}  {}/{} parts{}  {}", experiment_, done_, parts_, time_left(done), doing);
  if (on_terminal_) {
    draw_bar(cost_ > 0.0 ? done / cost_ : 0.0, status);
    drawn_ = true;
  } else {
    print_now(status + "\n");
  }
}

void ReproduceProgress::erase() {
  if (drawn_) {
    erase_bar();
    drawn_ = false;
  }
}

}  // namespace basin::trainer
