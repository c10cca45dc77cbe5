// A file that lies in memory: for tests that write thousands.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace basin::test {

/// An ordinary file to everyone who opens path(), as long as this object lives. It has a name of
/// its own: HDF5 does not open one that has none.
class MemoryFile {
 public:
  MemoryFile() {
    for (const char* folder : {"/dev/shm", "/tmp"}) {
      path_ = std::string(folder) + "/basin-test-XXXXXX";
      descriptor_ = mkostemp(path_.data(), O_CLOEXEC);
      if (descriptor_ >= 0) {
        return;
      }
    }
    throw std::runtime_error("cannot make a file in memory");
  }
  ~MemoryFile() {
    unlink(path_.c_str());
    close(descriptor_);
  }
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
  int descriptor_ = -1;
  std::string path_;
};

}  // namespace basin::test
