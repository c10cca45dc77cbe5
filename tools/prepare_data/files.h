// Files and standard streams of any length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

namespace basin::prepare_data {

/// Shows a file bit by bit: use(bytes, at_end) returns how many bytes it is done with, and the
/// others come again in front of what follows. At the end of the file it is called once with
/// `at_end`, where it must take all. A gzip file is recognised by its content and unpacked; "-" is
/// standard input. Memory is bounded as long as `use` takes some of every few megabytes. Returns
/// the length. Throws FileError naming the path if it is missing, a folder, unreadable or damaged.
std::int64_t read_in_pieces(const std::string& path,
                            const std::function<std::size_t(std::string_view, bool)>& use);

/// A file that appears under its name when it is complete, or standard output ("-").
class Output {
 public:
  /// Throws FileError if it cannot be written.
  explicit Output(const std::string& path);
  /// Without commit() nothing is left behind.
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  /// Both throw FileError.
  void write(std::string_view bytes);
  void commit();

 private:
  [[noreturn]] void cannot() const;

  std::string path_, partial_;
  std::FILE* file_ = nullptr;
};

}  // namespace basin::prepare_data
