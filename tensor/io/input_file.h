// Private to tensor/io: reading from a file whose size is known, so that every length it claims can
// be compared with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "tensor/error.h"
#include "tensor/io/tensor_info.h"
#include "tensor/tensor.h"

namespace basin::io {

/// An ordinary file open for reading. Several threads may read at once.
class InputFile {
 public:
  /// Throws FileError if the path is missing, unreadable, a folder or a device.
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  /// Bytes in the file when it was opened.
  std::uint64_t size() const { return size_; }

  /// Whether another descriptor belongs to the same file.
  bool is_open_as(int descriptor) const;

  /// Fills `into` with the bytes from `offset` on. Throws FileError if they are not there.
  void read(std::uint64_t offset, std::span<std::byte> into) const;

  /// A contiguous tensor from row-major little-endian elements at `offset`. The caller has compared
  /// their bytes with size(). `label` names it in messages. Throws FileError if a byte of a bool is
  /// neither 0 nor 1, and OutOfMemory.
  Tensor read_elements(std::uint64_t offset, const TensorInfo& info,
                       const std::string& label) const;

  /// Throws FileError "path: message".
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    throw FileError(path_ + ": " + fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

/// Bytes of all elements, or false if the shape has a negative extent or is none that a tensor can
/// have: even without elements, the product of the other extents must fit in 63 bits.
bool byte_count(const TensorInfo& info, std::uint64_t& bytes);

/// Text from a file for a message: in single quotes, on one line, valid UTF-8, cut if it is long.
std::string in_quotes(std::string_view text);

}  // namespace basin::io
