#include "tools/trainer/sweep_runner.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <deque>
#include <filesystem>
#include <system_error>
#include <thread>

#include "tensor/device.h"
#include "tensor/error.h"
#include "tools/report/text_file.h"
#include "tools/trainer/child_process.h"
#include "tools/trainer/core_sharing.h"
#include "tools/trainer/interrupt.h"
#include "tools/trainer/run_folder.h"
#include "tools/trainer/shell_word.h"
#include "tools/trainer/sweep_progress.h"
#include "tools/trainer/sweep_results.h"
#include "tools/trainer/training_session.h"
#include "tools/trainer/usage_error.h"

namespace basin::trainer {

namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Whether another process writes to the folder of a run: one that an earlier sweep left behind, and
// that is still saving.
bool is_locked(const fs::path& folder) {
  const int file = ::open((folder / ".lock").c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) {
    return false;
  }
  const bool locked = ::flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(file);
  return locked;
}

// The last words of a run that failed.
std::string last_complaint(const std::string& log, const std::string& how_it_ended) {
  const std::string text = "\n" + report::read_text(log);
  const std::string mark = "\ntrainer: ";
  const std::size_t begin = text.rfind(mark);
  const std::size_t start = text.rfind("\n$ trainer ");
  if (begin == std::string::npos || (start != std::string::npos && begin < start)) {
    return how_it_ended;
  }
  const std::size_t from = begin + mark.size();
  return text.substr(from, text.find('\n', from) - from);
}

class Runner {
 public:
  Runner(const SweepRequest& request, const SweepPlan& plan, std::int64_t cores)
      : request_(request),
        plan_(plan),
        results_(read_results()),
        sharing_(plan, request.jobs, waiting_.size(), cores),
        progress_(request.quiet, plan.runs.size(), plan.runs.size() - waiting_.size()) {}

  ~Runner() {
    // An error of ours must not leave runs behind; they save and end.
    signal_all();
    for (const Child& child : running_) {
      while (!poll_child(child.process)) {
        pause();
      }
    }
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  void run() {
    if (!request_.quiet) {
      print_header();
    }
    write_tables(request_.out, plan_, results_);
    while (!running_.empty() || (!stopping_ && !waiting_.empty())) {
      if (interrupt_.requested() && !stopping_) {
        stopping_ = true;
        signal_all();
        progress_.note("stopping: the runs are told to save");
      }
      collect();
      while (!stopping_ && running_.size() < sharing_.jobs() && start_next()) {
      }
      progress_.update(running_.size());
      pause();
    }
  }

  const std::vector<RunResult>& results() const { return results_; }
  bool stopped() const { return stopping_ && count(RunStatus::finished) < results_.size(); }
  std::size_t count(RunStatus status) const {
    return static_cast<std::size_t>(std::count_if(
        results_.begin(), results_.end(), [&](const RunResult& r) { return r.status == status; }));
  }

 private:
  struct Child {
    pid_t process;
    std::size_t run;
  };

  static void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(10)); }

  fs::path folder(std::size_t run) const { return fs::path(request_.out) / plan_.runs[run].name; }
  std::string log(std::size_t run) const { return (folder(run) / sweep_files::kLog).string(); }

  // What is there already; the rest waits.
  std::vector<RunResult> read_results() {
    std::vector<RunResult> results(plan_.runs.size());
    for (std::size_t n = 0; n < results.size(); ++n) {
      if (is_there(folder(n) / run_files::kSummary)) {
        results[n] = read_finished(folder(n).string(), plan_.runs[n]);
      } else {
        waiting_.push_back(n);
      }
    }
    return results;
  }

  void print_header() const {
    const std::size_t configurations = plan_.configurations.size();
    std::int64_t threads = 1;
    for (const PlannedConfiguration& configuration : plan_.configurations) {
      threads = std::max(threads, sharing_.threads(configuration));
    }
    fmt::print("sweep      {} runs: {} configurations, {} seeds each\n", plan_.runs.size(),
               configurations, plan_.runs.size() / configurations);
    if (waiting_.size() < plan_.runs.size()) {
      fmt::print("done       {} runs; {} are left\n", plan_.runs.size() - waiting_.size(),
                 waiting_.size());
    }
    fmt::print("at once    {} runs, {} threads each\n", sharing_.jobs(), threads);
    fmt::print("output     {}\n", request_.out);
    std::fflush(stdout);
  }

  std::vector<std::string> words_for(std::size_t run) const {
    const PlannedRun& planned = plan_.runs[run];
    std::vector<std::string> words = {"train"};
    for (const auto& [name, value] : planned.given) {
      words.push_back(fmt::format("--{}={}", name, value.text));
    }
    words.push_back(
        fmt::format("--threads={}", sharing_.threads(plan_.configurations[planned.configuration])));
    words.push_back(fmt::format("--out={}", folder(run).string()));
    if (is_there(folder(run) / run_files::kConfiguration)) {
      const bool resumable = is_there(folder(run) / run_files::kCheckpoint);
      words.emplace_back(resumable ? "--resume" : "--overwrite");
    }
    return words;
  }

  // Starts the first waiting run whose folder is free. Returns whether there was one.
  bool start_next() {
    const auto next = std::find_if(waiting_.begin(), waiting_.end(),
                                   [this](std::size_t run) { return !is_locked(folder(run)); });
    if (next == waiting_.end()) {
      if (!waiting_.empty() && running_.empty() && !told_of_lock_) {
        told_of_lock_ = true;
        progress_.note(fmt::format("waiting: another process still writes to {}",
                                   folder(waiting_.front()).string()));
      }
      return false;
    }
    const std::size_t run = *next;
    waiting_.erase(next);
    std::error_code code;
    fs::create_directories(folder(run), code);
    running_.push_back({start_trainer(words_for(run), log(run)), run});
    results_[run].status = RunStatus::running;
    return true;
  }

  void collect() {
    for (std::size_t n = 0; n < running_.size();) {
      const Child child = running_[n];
      const auto ended = poll_child(child.process);
      if (!ended) {
        ++n;
        continue;
      }
      running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(n));
      conclude(child.run, *ended);
      write_tables(request_.out, plan_, results_);
    }
  }

  void conclude(std::size_t run, const std::string& how_it_ended) {
    RunResult& result = results_[run];
    const std::string& name = plan_.runs[run].name;
    if (is_there(folder(run) / run_files::kSummary)) {
      try {
        result = read_finished(folder(run).string(), plan_.runs[run]);
        progress_.finished(fmt::format("{}: {} {:.4f} (validation {:.4f})", name,
                                       result.summary.metrics.front().name,
                                       result.summary.metrics.front().value, result.validation));
        return;
      } catch (const FileError& error) {
        result.reason = error.what();
      }
    } else if (stopping_) {
      result.status = RunStatus::interrupted;
      return;
    } else {
      result.reason =
          last_complaint(log(run), how_it_ended.empty() ? "it left no summary" : how_it_ended);
    }
    result.status = RunStatus::failed;
    progress_.failed(fmt::format("{}: {}", name, result.reason));
  }

  void signal_all() const {
    for (const Child& child : running_) {
      ::kill(child.process, SIGTERM);
    }
  }

  const SweepRequest& request_;
  const SweepPlan& plan_;
  std::deque<std::size_t> waiting_;  // filled by read_results()
  std::vector<RunResult> results_;
  CoreSharing sharing_;
  std::vector<Child> running_;
  Interrupt interrupt_;
  SweepProgress progress_;
  bool stopping_ = false;
  bool told_of_lock_ = false;
};

// Refuses a folder that holds something else than the sweep that may be written there.
void check_folder(const SweepRequest& request, const SweepPlan& plan, const RunFolder& folder) {
  if (folder.has_run()) {
    throw FileError(
        fmt::format("{} holds a single run; a sweep needs a folder of its own", request.out));
  }
  if (request.resume) {
    return;
  }
  if (folder.has(sweep_files::kPlan) && !request.overwrite) {
    throw FileError(
        fmt::format("{} already holds a sweep; --overwrite replaces it, --resume "
                    "continues it",
                    request.out));
  }
  for (const PlannedRun& run : plan.runs) {
    const std::string path = folder.file(run.name);
    if (!is_there(path)) {
      continue;
    }
    const RunFolder run_folder(path);
    if (run_folder.has_run() && !request.overwrite) {
      throw FileError(fmt::format("{} already holds a run; --overwrite replaces it", path));
    }
    run_folder.clear();
    std::error_code ignored;
    fs::remove(run_folder.file(sweep_files::kLog), ignored);
  }
}

SweepPlan plan_of(const SweepRequest& request) {
  SweepPlan plan = make_plan(request.sweep);
  if (request.resume) {
    const std::string path = (fs::path(request.out) / sweep_files::kPlan).string();
    const SweepFile stored = stored_sweep(request.out);
    if (to_text(stored) != to_text(request.sweep)) {
      check_same_plan(plan, make_plan(stored), path);
    }
  }
  return plan;
}

}  // namespace

SweepFile stored_sweep(const std::string& folder) {
  const std::string path = (fs::path(folder) / sweep_files::kPlan).string();
  if (!is_there(path)) {
    throw FileError(fmt::format("{} holds no sweep to resume", folder));
  }
  try {
    return parse_sweep(report::read_text(path), path);
  } catch (const UsageError& error) {
    throw FileError(fmt::format("{} is damaged: {}", path, error.what()));
  }
}

void run_sweep(const SweepRequest& request) {
  // A reader of our lines that goes away must not end the runs.
  std::signal(SIGPIPE, SIG_IGN);
  const std::int64_t cores = threads();
  const SweepPlan plan = plan_of(request);
  (void)CoreSharing(plan, request.jobs, plan.runs.size(), cores);
  const RunFolder folder(request.out);
  check_folder(request, plan, folder);
  if (!request.resume) {
    report::write_text(folder.file(sweep_files::kPlan), to_text(plan.sweep));
  }
  std::vector<RunResult> results;
  bool stopped = false;
  std::size_t finished = 0, failed = 0;
  {
    Runner runner(request, plan, cores);
    runner.run();
    results = runner.results();
    stopped = runner.stopped();
    finished = runner.count(RunStatus::finished);
    failed = runner.count(RunStatus::failed);
  }
  const std::string again = shell_command({"sweep", "--resume", "--out", request.out});
  if (stopped) {
    throw Interrupted(fmt::format("interrupted; {} of {} runs are finished; continue with: {}",
                                  finished, plan.runs.size(), again));
  }
  const std::string no_plot = write_plot(request.out, plan, results);
  if (!request.quiet) {
    fmt::print("\n{}", report_text(plan, results));
    if (!no_plot.empty()) {
      fmt::print("no {}: {}; the data are in {}\n", sweep_files::kPlot, no_plot,
                 sweep_files::kRuns);
    }
  }
  if (failed > 0) {
    throw std::runtime_error(fmt::format("{} of {} runs failed; {} says why; to try them again: {}",
                                         failed, plan.runs.size(), sweep_files::kRuns, again));
  }
}

}  // namespace basin::trainer
