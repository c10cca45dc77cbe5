// Private to tensor/io: a file that appears under its name when it is complete, or not at all.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "tensor/error.h"

namespace basin::io {

/// Bytes go to `path` + ".partial"; commit() syncs that and renames it over `path`: a reader sees
/// the old file or the whole new one. Without commit() the destructor removes the partial file and
/// `path` stays as it was. A full disk or a limit on file sizes is a FileError, not a signal.
class AtomicFile {
 public:
  /// Throws FileError if `path` is a folder, the partial file cannot be created, or another writer
  /// has it.
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::string& path() const { return path_; }

  /// Appends. Throws FileError, after which only the destructor is of use.
  void write(std::span<const std::byte> bytes);
  /// Sync and rename. Throws FileError. Nothing can be written afterwards.
  void commit();

  /// Throws FileError "path: message".
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    throw FileError(path_ + ": " + fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  void open_partial();

  std::string path_;
  std::string partial_;
  int descriptor_ = -1;  // of the partial file, locked, until commit()
};

}  // namespace basin::io
