#include "tools/trainer/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "tensor/error.h"

namespace basin::trainer {

namespace {

namespace fs = std::filesystem;

constexpr const char* kAll[] = {run_files::kConfiguration, run_files::kCheckpoint,
                                run_files::kMetricsCsv,    run_files::kMetricsJson,
                                run_files::kSummary,       run_files::kCurveScript,
                                run_files::kCurve};

[[noreturn]] void unusable(const std::string& path, const std::string& reason) {
  throw FileError(fmt::format("the output folder {} cannot be used: {}", path, reason));
}

// Permissions, read-only and full disks in one: a file is really written.
void try_writing(const std::string& path) {
  std::string probe = path + "/.probe-XXXXXX";
  const int file = mkostemp(probe.data(), O_CLOEXEC);
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
  try_writing(path);
  lock_ = ::open(file(".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) {
    unusable(path, std::strerror(errno));
  }
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    ::close(lock_);
    unusable(path, reason == EWOULDBLOCK ? "another run is writing to it" : std::strerror(reason));
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

void RunFolder::clear() const {
  for (const char* name : kAll) {
    for (const char* suffix : {"", ".partial"}) {
      const std::string path = file(std::string(name) + suffix);
      std::error_code code;
      fs::remove(path, code);
      if (code) {
        throw FileError(fmt::format("{} cannot be removed: {}", path, code.message()));
      }
    }
  }
}

}  // namespace basin::trainer
