// Where the time of a training step goes, operation by operation.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace basin {

enum class ProfilePhase : std::uint8_t { forward, backward, other };
const char* name_of(ProfilePhase);

/// One call of an operation. Times in seconds since the profiler was made.
struct ProfileEvent {
  const char* name;  ///< a string that lives for ever
  ProfilePhase phase;
  double start;
  double duration;
};

/// While one is alive on this thread, operations are timed. The forward time of an operation runs
/// from the end of the operation before it, so it includes what its caller did in between; the
/// backward time is that of its backward function and of adding up what it returned.
class Profiler {
 public:
  Profiler();
  ~Profiler();
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  const std::vector<ProfileEvent>& events() const { return events_; }

  /// Calls, total and mean milliseconds and share per operation and phase, longest first.
  std::string table() const;
  /// The events as a file for chrome://tracing and Perfetto (JSON).
  std::string chrome_trace() const;

 private:
  friend void profile_forward(const char*);
  friend class ProfilerPause;
  friend class ProfiledScope;
  double now() const;

  std::chrono::steady_clock::time_point begin_;
  double last_end_ = 0.0;
  std::vector<ProfileEvent> events_;
  Profiler* previous_;
};

/// While one is alive on this thread, nothing is timed.
class ProfilerPause {
 public:
  ProfilerPause();
  ~ProfilerPause();
  ProfilerPause(const ProfilerPause&) = delete;
  ProfilerPause& operator=(const ProfilerPause&) = delete;

 private:
  Profiler* paused_;
};

/// Whether operations are timed on this thread.
bool is_profiling();

/// Called when an operation has computed its value.
void profile_forward(const char* name);

/// Times a scope, such as a backward function or an optimizer step.
class ProfiledScope {
 public:
  ProfiledScope(const char* name, ProfilePhase phase);
  ~ProfiledScope();
  ProfiledScope(const ProfiledScope&) = delete;
  ProfiledScope& operator=(const ProfiledScope&) = delete;

 private:
  const char* name_;
  ProfilePhase phase_;
  double start_ = 0.0;
};

}  // namespace basin
