#include "tensor/io/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace basin::io {

namespace {

// A write beyond the limit on file sizes raises SIGXFSZ, which ends the program. With the signal
// blocked, write() returns EFBIG; the signal that waits then is taken back.
class SizeSignalBlocked {
 public:
  SizeSignalBlocked() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signals_, &previous_);
  }
  ~SizeSignalBlocked() {
    const timespec now{};
    (void)sigtimedwait(&signals_, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
  }
  SizeSignalBlocked(const SizeSignalBlocked&) = delete;
  SizeSignalBlocked& operator=(const SizeSignalBlocked&) = delete;

 private:
  sigset_t signals_{};
  sigset_t previous_{};
};

// The new name should survive a power cut too. Some file systems cannot sync a folder; the file is
// in place either way, so failing to is no error.
void sync_folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) {
    (void)fsync(descriptor);
    close(descriptor);
  }
}

// Whether the name still belongs to the open file.
bool is_named(int descriptor, const std::string& name) {
  struct stat opened {};
  struct stat named {};
  return fstat(descriptor, &opened) == 0 && lstat(name.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path), partial_(path + ".partial") {
  if (path.empty()) {
    refuse("cannot be written: the path is empty");
  }
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    refuse("is a folder; a file cannot be written there");
  }
  // Between opening and locking another writer may have renamed the file into place: what is locked
  // then is that writer's result, and must not be touched.
  do {
    if (descriptor_ >= 0) {
      close(std::exchange(descriptor_, -1));
    }
    open_partial();
  } while (!is_named(descriptor_, partial_));
  if (ftruncate(descriptor_, 0) != 0) {
    const int error = errno;
    close(std::exchange(descriptor_, -1));
    refuse("cannot be written: {}", std::strerror(error));
  }
}

void AtomicFile::open_partial() {
  descriptor_ = open(partial_.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    refuse("cannot be written: {}", std::strerror(errno));
  }
  if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    close(std::exchange(descriptor_, -1));
    refuse("cannot be written: another program is writing {}", partial_);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    (void)std::remove(partial_.c_str());
    close(descriptor_);
  }
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  const SizeSignalBlocked blocked;
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::write(descriptor_, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno != EINTR) {
      refuse("{} bytes cannot be written to {}: {}; what was at this path before is untouched",
             bytes.size(), partial_, std::strerror(errno));
    }
    done += count < 0 ? 0 : static_cast<std::size_t>(count);
  }
}

void AtomicFile::commit() {
  if (fsync(descriptor_) != 0) {
    refuse("{} cannot be synced: {}; what was at this path before is untouched", partial_,
           std::strerror(errno));
  }
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) {
    refuse("cannot be put in place: {}", std::strerror(errno));
  }
  close(std::exchange(descriptor_, -1));
  sync_folder_of(path_);
}

}  // namespace basin::io
