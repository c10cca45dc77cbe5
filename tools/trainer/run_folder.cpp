#include "tools/trainer/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "tensor/error.h"

namespace basin::trainer {

namespace {

namespace fs = std::filesystem;

// In the order in which they are removed: a run is first no longer finished, then no run any more.
constexpr const char* kAll[] = {
    run_files::kSummary,    run_files::kConfiguration, run_files::kCheckpoint,  run_files::kBest,
    run_files::kMetricsCsv, run_files::kMetricsJson,   run_files::kCurveScript, run_files::kCurve,
    run_files::kGraph,      run_files::kProfileTrace,  run_files::kProfileTable};

// The step in "checkpoint_120.h5", or -1.
std::int64_t step_in_name(const std::string& name) {
  const std::string before = "checkpoint_";
  const std::string after = ".h5";
  if (name.size() <= before.size() + after.size() || !name.starts_with(before) ||
      !name.ends_with(after)) {
    return -1;
  }
  const char* begin = name.data() + before.size();
  const char* end = name.data() + name.size() - after.size();
  std::int64_t step = 0;
  const auto result = std::from_chars(begin, end, step);
  // Another way to write the number is the name of somebody else's file.
  return result.ec == std::errc{} && result.ptr == end &&
                 std::to_string(step).size() == static_cast<std::size_t>(end - begin)
             ? step
             : -1;
}

[[noreturn]] void unusable(const std::string& path, const std::string& reason) {
  throw FileError(fmt::format("the output folder {} cannot be used: {}", path, reason));
}

// Permissions, read-only and full disks in one: a file is really written. One that a killed run
// left is written again, and goes.
void try_writing(const std::string& path) {
  const std::string probe = path + "/.probe";
  const int file = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) {
    unusable(path, std::strerror(errno));
  }
  const bool written = ::write(file, "probe", 5) == 5;
  const int reason = errno;
  ::close(file);
  ::unlink(probe.c_str());
  if (!written) {
    unusable(path, std::strerror(reason));
  }
}

}  // namespace

RunFolder::RunFolder(const std::string& path) : path_(path) {
  std::error_code code;
  fs::create_directories(path, code);
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    unusable(path, code ? code.message() : "it is not a folder");
  }
  lock_ = ::open(file(".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) {
    unusable(path, std::strerror(errno));
  }
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    ::close(lock_);
    unusable(path, reason == EWOULDBLOCK ? "another run is writing to it" : std::strerror(reason));
  }
  try {
    try_writing(path);
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

RunFolder::~RunFolder() { ::close(lock_); }

std::string RunFolder::file(const std::string& name) const {
  return (fs::path(path_) / name).string();
}

bool RunFolder::has(const std::string& name) const {
  std::error_code ignored;
  return fs::exists(file(name), ignored);
}

bool RunFolder::has_run() const {
  return std::any_of(std::begin(kAll), std::end(kAll),
                     [this](const char* name) { return has(name); });
}

std::vector<KeptCheckpoint> RunFolder::kept_checkpoints() const {
  std::vector<KeptCheckpoint> found;
  std::error_code code;
  fs::directory_iterator entry(path_, code);
  while (!code && entry != fs::directory_iterator()) {
    if (const std::int64_t step = step_in_name(entry->path().filename().string()); step >= 0) {
      found.push_back({step, entry->path().string()});
    }
    entry.increment(code);
  }
  if (code) {
    throw FileError(fmt::format("{} cannot be listed: {}", path_, code.message()));
  }
  return found;
}

std::string RunFolder::kept_checkpoint(std::int64_t step) const {
  return file(fmt::format("checkpoint_{}.h5", step));
}

void RunFolder::clear() const {
  std::vector<std::string> paths;
  for (const char* name : kAll) {
    paths.push_back(file(name));
  }
  for (const KeptCheckpoint& kept : kept_checkpoints()) {
    paths.push_back(kept.path);
  }
  for (const std::string& path : paths) {
    for (const char* suffix : {"", ".partial", run_files::kLinkSuffix}) {
      std::error_code code;
      fs::remove(path + suffix, code);
      if (code) {
        throw FileError(fmt::format("{}{} cannot be removed: {}", path, suffix, code.message()));
      }
    }
  }
}

}  // namespace basin::trainer
