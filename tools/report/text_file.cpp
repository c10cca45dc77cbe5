#include "tools/report/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "tensor/error.h"

namespace basin::report {

namespace {

[[noreturn]] void cannot(const char* what, const std::string& path) {
  throw FileError(fmt::format("{} cannot be {}: {}", path, what, std::strerror(errno)));
}

// Closes the file in any case; close() tells of what the system noticed late.
class File {
 public:
  explicit File(int file) : file_(file) {}
  ~File() { close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return file_; }
  bool close() {
    const int file = file_;
    file_ = -1;
    return file < 0 || ::close(file) == 0;
  }

 private:
  int file_;
};

int open_for_writing(const std::string& path, int flags) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
}

bool write_all(int file, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = ::write(file, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return false;
    }
    done += static_cast<std::size_t>(written);
  }
  return true;
}

}  // namespace

std::string read_text(const std::string& path) {
  File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    cannot("read", path);
  }
  std::string text;
  char piece[65536];
  while (true) {
    const ssize_t got = ::read(file.get(), piece, sizeof piece);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      cannot("read", path);
    }
    if (got == 0) {
      return text;
    }
    text.append(piece, static_cast<std::size_t>(got));
  }
}

void write_text(const std::string& path, const std::string& text) {
  const std::string partial = path + ".partial";
  File file(open_for_writing(partial, O_TRUNC));
  if (file.get() < 0) {
    cannot("written", path);
  }
  if (!write_all(file.get(), text) || !file.close() ||
      std::rename(partial.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    ::unlink(partial.c_str());
    errno = reason;
    cannot("written", path);
  }
}

void check_writable(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    cannot("written", path);
  }
  const std::string partial = path + ".partial";
  File file(open_for_writing(partial, O_TRUNC));
  const bool written = file.get() >= 0 && write_all(file.get(), "probe");
  const int reason = errno;
  if (file.get() >= 0) {
    ::unlink(partial.c_str());
  }
  if (!written) {
    errno = reason;
    cannot("written", path);
  }
}

GrowingFile::GrowingFile(const std::string& path, const std::string& text) : path_(path) {
  write_text(path, text);
  file_ = open_for_writing(path, O_APPEND);
  if (file_ < 0) {
    cannot("written", path);
  }
}

GrowingFile::~GrowingFile() {
  if (file_ >= 0) {
    ::close(file_);
  }
}

void GrowingFile::append(const std::string& line) {
  if (!write_all(file_, line)) {
    cannot("written", path_);
  }
}

}  // namespace basin::report
