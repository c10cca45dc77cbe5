// A file as memory that the system fetches and gives up as it likes.
#pragma once

#include <cstdint>
#include <ctime>
#include <span>
#include <string>

namespace basin::tasks {

/// The bytes of a file, read-only. They are pages of the file and not of the process' own memory:
/// a file of any size can be mapped, and under pressure the system forgets pages and reads them
/// again. Who reads bytes that another program has cut off the file meanwhile is ended by SIGBUS;
/// check_unchanged() says so in words while there is time.
class MappedFile {
 public:
  MappedFile() = default;
  /// Throws FileError if the file cannot be opened or mapped.
  explicit MappedFile(const std::string& path);
  /// Takes over a descriptor of a file; `name` is for messages.
  MappedFile(int descriptor, std::string name);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::uint8_t> bytes() const { return bytes_; }
  /// Throws FileError if size or time of the file are no longer those from when it was opened.
  void check_unchanged() const;

 private:
  std::string name_;
  int descriptor_ = -1;
  std::span<const std::uint8_t> bytes_;
  timespec changed_{};
};

}  // namespace basin::tasks
