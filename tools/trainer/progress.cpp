#include "tools/trainer/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/trainer/terminal.h"

namespace basin::trainer {

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::min(seconds, 1e9) + 0.5);
  const std::int64_t hours = whole / 3600;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, whole / 60 % 60, whole % 60)
                   : fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string amount_text(double value) {
  if (value >= 999.5e3) {
    return fmt::format("{:.1f}M", value / 1e6);
  }
  return value >= 999.5 ? fmt::format("{:.1f}k", value / 1e3) : fmt::format("{:.0f}", value);
}

Progress::Progress(bool quiet, std::int64_t first_step, std::int64_t total_steps,
                   std::int64_t log_every)
    : quiet_(quiet),
      on_terminal_(draws_lines_over()),
      first_step_(first_step),
      total_steps_(total_steps),
      log_every_(log_every),
      step_(first_step),
      start_(Clock::now()) {}

Progress::~Progress() { erase(); }

std::string Progress::time_left(std::int64_t step) const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const auto done = static_cast<double>(step - first_step_);
  return duration_text(elapsed / done * static_cast<double>(total_steps_ - step));
}

bool Progress::is_time_to_draw() {
  const Clock::time_point now = Clock::now();
  if (now - last_drawn_ < std::chrono::milliseconds(100)) {
    return false;
  }
  last_drawn_ = now;
  return true;
}

void Progress::step(const tasks::StepReport& report, double tokens_per_second) {
  step_ = report.step;
  if (quiet_) {
    return;
  }
  if (on_terminal_) {
    if (is_time_to_draw()) {
      figures_ = fmt::format("loss {:.4f}", report.loss);
      draw(fmt::format("{} tokens/s  {} left", amount_text(tokens_per_second), time_left(step_)));
    }
  } else if (report.step % log_every_ == 0 || report.step == total_steps_) {
    note(fmt::format("step {}/{}  loss {:.4f}  rate {:.2e}  {} tokens/s  {} left", report.step,
                     total_steps_, report.loss, report.learning_rate,
                     amount_text(tokens_per_second), time_left(step_)));
  }
}

void Progress::evaluating(const char* split, std::int64_t done, std::int64_t total) {
  if (!quiet_ && on_terminal_ && is_time_to_draw()) {
    draw(fmt::format("{} {}/{}", split, done, total));
  }
}

void Progress::evaluated(const char* split, std::int64_t step, double loss,
                         const tasks::Metric& metric) {
  metric_ = fmt::format("{} {:.4f}", metric.name, metric.value);
  if (!on_terminal_) {
    note(fmt::format("step {}/{}  {} loss {:.4f}  {}", step, total_steps_, split, loss, metric_));
  }
}

void Progress::note(const std::string& line) {
  if (!quiet_) {
    erase();
    print_now(line + "\n");
  }
}

void Progress::draw(const std::string& status) {
  std::string text = fmt::format("{}/{}", step_, total_steps_);
  for (const std::string& part : {figures_, metric_, status}) {
    if (!part.empty()) {
      text.append("  ").append(part);
    }
  }
  draw_bar(static_cast<double>(step_) / static_cast<double>(total_steps_), text);
  drawn_ = true;
}

void Progress::erase() {
  if (drawn_) {
    erase_bar();
    drawn_ = false;
  }
}

}  // namespace basin::trainer
