// Tokens in a mapped file, however many there are.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tasks/text/mapped_file.h"

namespace basin::tasks {

/// Bytes per token that ids below `vocabulary` need: 1, 2 or 4.
int token_width(std::int64_t vocabulary);

/// Ids in order; a token takes 1, 2 or 4 bytes of the file.
class TokenStore {
 public:
  TokenStore() = default;
  TokenStore(MappedFile file, int width) : file_(std::move(file)), width_(width) {}

  std::int64_t size() const { return static_cast<std::int64_t>(file_.bytes().size()) / width_; }
  /// 0 <= at < size().
  std::int64_t operator[](std::int64_t at) const;
  /// Throws FileError if the file was changed since it was opened.
  void check_unchanged() const { file_.check_unchanged(); }

 private:
  MappedFile file_;
  int width_ = 1;
};

/// Writes ids into a file that has no name and is gone with the program, however that ends. It lies
/// in the folder that TMPDIR names, else in /tmp.
class TokenWriter {
 public:
  /// Throws FileError if there is no such folder or no file can be made in it.
  explicit TokenWriter(std::int64_t vocabulary);
  ~TokenWriter();
  TokenWriter(const TokenWriter&) = delete;
  TokenWriter& operator=(const TokenWriter&) = delete;

  /// Throws FileError, as when the disk is full.
  void append(std::span<const std::int32_t> ids);
  std::int64_t size() const { return size_; }
  /// The tokens written; the writer is done then.
  TokenStore finish();

 private:
  void flush();

  std::string folder_;
  int descriptor_ = -1;
  int width_;
  std::int64_t size_ = 0;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace basin::tasks
