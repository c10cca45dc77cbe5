#include "tensor/io/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

namespace basin::io {

static_assert(std::endian::native == std::endian::little,
              "elements are read and written as they lie in memory; the file formats are "
              "little-endian");

InputFile::InputFile(const std::string& path) : path_(path) {
  // O_NONBLOCK: opening a pipe that nobody writes to must not wait. It does not affect files.
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) {
    refuse("cannot be read: {}", std::strerror(errno));
  }
  struct stat status {};
  if (fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(descriptor_);
    refuse("is {}, not a file", S_ISDIR(status.st_mode) ? "a folder" : "a device");
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() { close(descriptor_); }

bool InputFile::is_open_as(int descriptor) const {
  struct stat own {};
  struct stat other {};
  return fstat(descriptor_, &own) == 0 && fstat(descriptor, &other) == 0 &&
         own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

void InputFile::read(std::uint64_t offset, std::span<std::byte> into) const {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t count = pread(descriptor_, into.data() + done, into.size() - done,
                                static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      refuse("cannot be read: {}", std::strerror(errno));
    }
    if (count == 0) {
      refuse("ends at byte {}, but {} bytes are needed from byte {} on", offset + done, into.size(),
             offset);
    }
    done += static_cast<std::size_t>(count);
  }
}

Tensor InputFile::read_elements(std::uint64_t offset, const TensorInfo& info,
                                const std::string& label) const {
  Tensor tensor = Tensor::empty(info.shape, info.dtype);
  const std::span<std::byte> bytes(static_cast<std::byte*>(tensor.mutable_raw()),
                                   static_cast<std::size_t>(tensor.numel()) * size_of(info.dtype));
  read(offset, bytes);
  if (info.dtype == DType::boolean) {
    // Any other value in a C++ bool is undefined behaviour.
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      if (std::to_integer<unsigned>(bytes[n]) > 1) {
        refuse("element {} of {} is the byte {}; a bool is 0 or 1, so the file is damaged", n,
               label, std::to_integer<unsigned>(bytes[n]));
      }
    }
  }
  return tensor;
}

bool byte_count(const TensorInfo& info, std::uint64_t& bytes) {
  std::int64_t product = static_cast<std::int64_t>(size_of(info.dtype));
  bool zero = false;
  for (const std::int64_t extent : info.shape) {
    if (extent < 0) {
      return false;
    }
    zero = zero || extent == 0;
    // A tensor without elements has strides, too: the other extents must fit as well.
    if (__builtin_mul_overflow(product, std::max<std::int64_t>(extent, 1), &product)) {
      return false;
    }
  }
  bytes = zero ? 0 : static_cast<std::uint64_t>(product);
  return true;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  // JSON's escapes do what is needed; its own quotes are cut off.
  const std::string escaped = nlohmann::json(std::string(text.substr(0, kLongest)))
                                  .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return fmt::format("'{}{}'", std::string_view(escaped).substr(1, escaped.size() - 2),
                     text.size() > kLongest ? "..." : "");
}

}  // namespace basin::io
