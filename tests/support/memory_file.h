// A file that lies in memory: for tests that write thousands.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace basin::test {

/// An ordinary file to everyone who opens path(), as long as this object lives.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("basin-test", MFD_CLOEXEC)) {
    if (descriptor_ < 0) {
      throw std::runtime_error("cannot make a file in memory");
    }
    path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::string& path() const { return path_; }

  /// Replaces the contents.
  void set(std::string_view bytes) {
    if (ftruncate(descriptor_, 0) != 0 ||
        pwrite(descriptor_, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
      throw std::runtime_error("cannot write a file in memory");
    }
  }

 private:
  int descriptor_;
  std::string path_;
};

}  // namespace basin::test
