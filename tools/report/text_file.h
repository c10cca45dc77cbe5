// Small text files, written whole and checked.
#pragma once

#include <string>

namespace basin::report {

/// The content of a file. Throws FileError naming the path if it cannot be read.
std::string read_text(const std::string& path);

/// Writes to `path` + ".partial" and renames: `path` is the old file or the whole new one. Throws
/// FileError naming the path.
void write_text(const std::string& path, const std::string& text);

/// Tries by really writing a file beside `path`, so that long work does not end in an error.
/// Throws FileError naming the path.
void check_writable(const std::string& path);

/// A file that grows a line at a time; every line reaches the system before append() returns.
class GrowingFile {
 public:
  /// Starts with `text`, in place of what was there. Throws FileError.
  GrowingFile(const std::string& path, const std::string& text);
  ~GrowingFile();
  GrowingFile(const GrowingFile&) = delete;
  GrowingFile& operator=(const GrowingFile&) = delete;

  /// Throws FileError if the disk is full.
  void append(const std::string& line);

 private:
  std::string path_;
  int file_ = -1;
};

}  // namespace basin::report
