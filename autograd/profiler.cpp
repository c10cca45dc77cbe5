#include "autograd/profiler.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "tensor/device.h"
#include "tensor/error.h"

namespace basin {

namespace {
thread_local Profiler* active = nullptr;
}

const char* name_of(ProfilePhase phase) {
  switch (phase) {
    case ProfilePhase::forward: return "forward";
    case ProfilePhase::backward: return "backward";
    case ProfilePhase::other: return "other";
  }
  return "?";
}

Profiler::Profiler()
    : begin_(std::chrono::steady_clock::now()), previous_(std::exchange(active, this)) {}

Profiler::~Profiler() { active = previous_; }

double Profiler::now() const {
  synchronize_gpu();  // what was queued belongs to the operation that queued it
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

std::string Profiler::table() const {
  struct Row {
    std::int64_t calls = 0;
    double seconds = 0;
  };
  std::map<std::pair<std::string, ProfilePhase>, Row> rows;
  double total = 0;
  for (const ProfileEvent& event : events_) {
    Row& row = rows[{event.name, event.phase}];
    ++row.calls;
    row.seconds += event.duration;
    total += event.duration;
  }
  std::vector<std::pair<std::pair<std::string, ProfilePhase>, Row>> sorted(rows.begin(),
                                                                           rows.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.second.seconds > b.second.seconds;
  });
  std::string out = fmt::format("{:<24} {:<9} {:>8} {:>12} {:>12} {:>7}\n", "operation", "phase",
                                "calls", "total ms", "mean ms", "share");
  for (const auto& [key, row] : sorted) {
    out += fmt::format("{:<24} {:<9} {:>8} {:>12.3f} {:>12.4f} {:>6.1f}%\n", key.first,
                       name_of(key.second), row.calls, 1e3 * row.seconds,
                       1e3 * row.seconds / static_cast<double>(row.calls),
                       total > 0 ? 100 * row.seconds / total : 0.0);
  }
  return out;
}

std::string Profiler::chrome_trace() const {
  // Names are identifiers of ours, so nothing needs escaping. Microseconds, as the format asks.
  std::string out = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [";
  for (std::size_t n = 0; n < events_.size(); ++n) {
    const ProfileEvent& event = events_[n];
    out += fmt::format(
        "{}\n{{\"name\": \"{}\", \"cat\": \"{}\", \"ph\": \"X\", \"ts\": {:.3f}, \"dur\": "
        "{:.3f}, \"pid\": 1, \"tid\": 1}}",
        n == 0 ? "" : ",", event.name, name_of(event.phase), 1e6 * event.start,
        1e6 * event.duration);
  }
  return out + "\n]}\n";
}

ProfilerPause::ProfilerPause() : paused_(std::exchange(active, nullptr)) {}
ProfilerPause::~ProfilerPause() {
  active = paused_;
  if (paused_ != nullptr) {
    paused_->last_end_ = paused_->now();
  }
}

bool is_profiling() { return active != nullptr; }

void profile_forward(const char* name) {
  if (active == nullptr) {
    return;
  }
  const double end = active->now();
  active->events_.push_back(
      {name, ProfilePhase::forward, active->last_end_, end - active->last_end_});
  active->last_end_ = end;
}

ProfiledScope::ProfiledScope(const char* name, ProfilePhase phase) : name_(name), phase_(phase) {
  if (active != nullptr) {
    start_ = active->now();
  }
}

ProfiledScope::~ProfiledScope() {
  if (active != nullptr) {
    const double end = active->now();
    active->events_.push_back({name_, phase_, start_, end - start_});
    active->last_end_ = end;
  }
}

}  // namespace basin
