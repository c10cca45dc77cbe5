#include "tasks/text/token_store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "tensor/error.h"

namespace basin::tasks {

namespace {

constexpr std::size_t kStoreBuffer = 1 << 20;

std::string temporary_folder() {
  std::error_code code;
  std::string path = std::filesystem::temp_directory_path(code).string();
  if (code) {
    const char* name = std::getenv("TMPDIR");
    throw FileError(
        fmt::format("there is no folder {} for the temporary file of tokens; set TMPDIR to one",
                    name == nullptr ? "/tmp" : name));
  }
  return path;
}

template <class Id>
std::int64_t id_at(std::span<const std::uint8_t> bytes, std::int64_t at) {
  Id id = 0;
  std::memcpy(&id, bytes.data() + static_cast<std::size_t>(at) * sizeof(Id), sizeof(Id));
  return static_cast<std::int64_t>(id);
}

}  // namespace

int token_width(std::int64_t vocabulary) {
  return vocabulary <= 1 << 8 ? 1 : vocabulary <= 1 << 16 ? 2 : 4;
}

std::int64_t TokenStore::operator[](std::int64_t at) const {
  switch (width_) {
    case 1: return id_at<std::uint8_t>(file_.bytes(), at);
    case 2: return id_at<std::uint16_t>(file_.bytes(), at);
    default: return id_at<std::uint32_t>(file_.bytes(), at);
  }
}

TokenWriter::TokenWriter(std::int64_t vocabulary)
    : folder_(temporary_folder()), width_(token_width(vocabulary)) {
  std::string path = folder_ + "/basin-tokens-XXXXXX";
  descriptor_ = mkostemp(path.data(), O_CLOEXEC);
  if (descriptor_ < 0) {
    throw FileError(fmt::format(
        "no temporary file for the tokens can be made in {}: {}; set TMPDIR to another folder",
        folder_, std::strerror(errno)));
  }
  unlink(path.c_str());
  buffer_.reserve(kStoreBuffer);
}

TokenWriter::~TokenWriter() {
  if (descriptor_ >= 0) {
    close(descriptor_);
  }
}

void TokenWriter::append(std::span<const std::int32_t> ids) {
  for (const std::int32_t id : ids) {
    const auto value = static_cast<std::uint32_t>(id);
    std::uint8_t bytes[4];
    if (width_ == 1) {
      bytes[0] = static_cast<std::uint8_t>(value);
    } else if (width_ == 2) {
      const auto narrow = static_cast<std::uint16_t>(value);
      std::memcpy(bytes, &narrow, 2);
    } else {
      std::memcpy(bytes, &value, 4);
    }
    buffer_.insert(buffer_.end(), bytes, bytes + width_);
    if (buffer_.size() >= kStoreBuffer) {
      flush();
    }
  }
  size_ += static_cast<std::int64_t>(ids.size());
}

void TokenWriter::flush() {
  std::size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t wrote = write(descriptor_, buffer_.data() + done, buffer_.size() - done);
    if (wrote < 0 && errno == EINTR) {
      continue;
    }
    if (wrote <= 0) {
      throw FileError(fmt::format(
          "the temporary file for the tokens in {} cannot be written: {} (after {:.1f} MB); make "
          "room there, or set TMPDIR to a folder with more",
          folder_, std::strerror(errno), static_cast<double>(size_) * width_ / 1e6));
    }
    done += static_cast<std::size_t>(wrote);
  }
  buffer_.clear();
}

TokenStore TokenWriter::finish() {
  flush();
  MappedFile file(std::exchange(descriptor_, -1),
                  fmt::format("the temporary file for the tokens in {}", folder_));
  return {std::move(file), width_};
}

}  // namespace basin::tasks
