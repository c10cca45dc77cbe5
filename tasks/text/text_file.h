// Files of any length, read in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

struct gzFile_s;

namespace basin::tasks {

/// The bytes of a file one after the other; a gzip file is recognised by its content and unpacked.
class TextFile {
 public:
  /// Throws FileError naming the path if it is missing, a folder or unreadable.
  explicit TextFile(const std::string& path);
  /// Reads what is open already; `name` is for messages. The descriptor stays the caller's.
  TextFile(int descriptor, const std::string& name);

  /// Up to `most` next bytes; 0 at the end. Throws FileError for a file that is damaged.
  std::size_t read(char* bytes, std::size_t most);
  /// How far reading has come in the file as it lies on the disk, packed or not, in bytes.
  std::int64_t position() const;

 private:
  std::string name_;
  std::unique_ptr<gzFile_s, int (*)(gzFile_s*)> file_;
};

/// Shows a file bit by bit: use(bytes, at_end) returns how many bytes it is done with, and the
/// others come again in front of what follows. At the end of the file it is called once with
/// `at_end`, where it must take all. Memory is bounded as long as `use` takes some of every few
/// megabytes. Returns the length of the text in bytes. Throws FileError.
std::int64_t read_in_pieces(TextFile& file,
                            const std::function<std::size_t(std::string_view, bool)>& use);

/// Whether the file begins like one that gzip has packed. Throws FileError if it cannot be opened.
bool is_packed(const std::string& path);

}  // namespace basin::tasks
