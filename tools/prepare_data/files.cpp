#include "tools/prepare_data/files.h"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "tensor/error.h"

namespace basin::prepare_data {

namespace {

constexpr std::size_t kBuffer = 1 << 20;

using GzFile = std::unique_ptr<gzFile_s, int (*)(gzFile)>;

// gzopen reads a file that is not gzip as it is.
GzFile open(const std::string& path) {
  errno = 0;
  GzFile file(nullptr, gzclose);
  if (path == "-") {
    // gzclose closes the descriptor.
    const int copy = dup(STDIN_FILENO);
    file.reset(copy < 0 ? nullptr : gzdopen(copy, "rb"));
  } else {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
      throw FileError(fmt::format("{} is a folder; a file is needed", path));
    }
    file.reset(gzopen(path.c_str(), "rb"));
  }
  if (file == nullptr) {
    throw FileError(fmt::format("{} cannot be read: {}", path, std::strerror(errno)));
  }
  return file;
}

std::size_t read_some(const std::string& path, gzFile file, char* bytes, std::size_t most) {
  const int got = gzread(file, bytes, static_cast<unsigned>(std::min(most, kBuffer)));
  int error = Z_OK;
  const char* message = gzerror(file, &error);
  // Z_BUF_ERROR: the file ends in the middle of its compressed data.
  if (got < 0 || (error != Z_OK && error != Z_STREAM_END)) {
    throw FileError(
        fmt::format("{} is damaged: {}", path, error == Z_ERRNO ? std::strerror(errno) : message));
  }
  return static_cast<std::size_t>(got);
}

}  // namespace

std::int64_t read_in_pieces(const std::string& path,
                            const std::function<std::size_t(std::string_view, bool)>& use) {
  const GzFile file = open(path);
  std::string buffer(kBuffer, '\0');
  std::size_t have = 0;
  std::int64_t length = 0;
  while (true) {
    const std::size_t got = read_some(path, file.get(), buffer.data() + have, buffer.size() - have);
    length += static_cast<std::int64_t>(got);
    have += got;
    if (got == 0) {
      use({buffer.data(), have}, true);
      return length;
    }
    if (have < buffer.size()) {
      continue;
    }
    const std::size_t done = use({buffer.data(), have}, false);
    have -= done;
    std::memmove(buffer.data(), buffer.data() + done, have);
    // What must wait is shown again; doubling keeps that from taking quadratic time.
    if (have > buffer.size() / 2) {
      buffer.resize(2 * buffer.size());
    }
  }
}

Output::Output(const std::string& path) : path_(path) {
  if (path == "-") {
    path_ = "standard output";
    file_ = stdout;
    return;
  }
  partial_ = path + ".partial";
  file_ = std::fopen(partial_.c_str(), "wb");
  if (file_ == nullptr) {
    cannot();
  }
}

Output::~Output() {
  if (!partial_.empty() && file_ != nullptr) {
    std::fclose(file_);
    std::remove(partial_.c_str());
  }
}

void Output::cannot() const {
  throw FileError(fmt::format("{} cannot be written: {}", path_, std::strerror(errno)));
}

void Output::write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) {
    cannot();
  }
}

void Output::commit() {
  if (std::fflush(file_) != 0) {
    cannot();
  }
  if (partial_.empty()) {
    return;
  }
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) {
    cannot();
  }
  std::FILE* file = file_;
  file_ = nullptr;
  if (std::fclose(file) != 0) {
    cannot();
  }
}

}  // namespace basin::prepare_data
