#include "tasks/text/text_file.h"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "tensor/error.h"

namespace basin::tasks {

namespace {

constexpr std::size_t kBuffer = 1 << 20;

[[noreturn]] void cannot_read(const std::string& name) {
  throw FileError(fmt::format("{} cannot be read: {}", name, std::strerror(errno)));
}

// gzopen reads a file that is not gzip as it is.
gzFile open(const std::string& path) {
  std::error_code code;
  const auto status = std::filesystem::status(path, code);
  if (status.type() == std::filesystem::file_type::not_found) {
    throw FileError(fmt::format("{}: there is no such file", path));
  }
  if (std::filesystem::is_directory(status)) {
    throw FileError(fmt::format("{} is a folder; a file is needed", path));
  }
  errno = 0;
  return gzopen(path.c_str(), "rb");
}

}  // namespace

TextFile::TextFile(const std::string& path) : name_(path), file_(open(path), gzclose) {
  if (file_ == nullptr) {
    cannot_read(name_);
  }
}

TextFile::TextFile(int descriptor, const std::string& name) : name_(name), file_(nullptr, gzclose) {
  errno = 0;
  const int copy = dup(descriptor);  // gzclose closes it
  file_.reset(copy < 0 ? nullptr : gzdopen(copy, "rb"));
  if (file_ == nullptr) {
    cannot_read(name_);
  }
}

std::size_t TextFile::read(char* bytes, std::size_t most) {
  const int got = gzread(file_.get(), bytes, static_cast<unsigned>(std::min(most, kBuffer)));
  int error = Z_OK;
  const char* message = gzerror(file_.get(), &error);
  // Z_BUF_ERROR: the file ends in the middle of its compressed data.
  if (got < 0 || (error != Z_OK && error != Z_STREAM_END)) {
    throw FileError(
        fmt::format("{} is damaged: {}", name_, error == Z_ERRNO ? std::strerror(errno) : message));
  }
  return static_cast<std::size_t>(got);
}

std::int64_t TextFile::position() const { return std::max<std::int64_t>(0, gzoffset(file_.get())); }

std::int64_t read_in_pieces(TextFile& file,
                            const std::function<std::size_t(std::string_view, bool)>& use) {
  std::string buffer(kBuffer, '\0');
  std::size_t have = 0;
  std::int64_t length = 0;
  while (true) {
    const std::size_t got = file.read(buffer.data() + have, buffer.size() - have);
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

bool is_packed(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    cannot_read(path);
  }
  std::array<char, 2> magic{};
  file.read(magic.data(), magic.size());
  return file.gcount() == 2 && magic[0] == '\x1f' && magic[1] == '\x8b';
}

}  // namespace basin::tasks
