// Private to tensor/io: an HDF5 file that is put together in memory.
#pragma once

#include <hdf5.h>

#include <cstddef>
#include <memory>
#include <span>

namespace basin::hdf5 {

/// Receives the bytes of a file whose access properties were given to use(). The library does not
/// survive a disk that fills up under it (a failed flush leaves objects that it trips over when it
/// closes them), so nothing is written to a disk until the file is complete.
class MemoryFile {
 public:
  MemoryFile() = default;
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  /// Makes H5Fcreate with these access properties fill this object, which must live until the file
  /// is closed.
  void use(hid_t file_access);

  /// The whole file, once it is closed; empty before.
  std::span<const std::byte> bytes() const { return {bytes_, bytes_ == nullptr ? 0 : size_}; }

 private:
  // The functions the library calls for its memory: see H5Pset_file_image_callbacks.
  static void* allocate(std::size_t size, H5FD_file_image_op_t, void* self);
  static void* copy(void* to, const void* from, std::size_t size, H5FD_file_image_op_t, void* self);
  static void* resize(void* block, std::size_t size, H5FD_file_image_op_t, void* self);
  static herr_t release(void* block, H5FD_file_image_op_t operation, void* self);

  std::byte* bytes_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace basin::hdf5
