#include "tensor/io/hdf5_memory_file.h"

#include <cstdlib>
#include <cstring>

namespace basin::hdf5 {

namespace {
constexpr std::size_t kGrowth = 4096;  // the file grows by whole pages
}

MemoryFile::~MemoryFile() { std::free(bytes_); }

void MemoryFile::use(hid_t file_access) {
  constexpr bool kToDiskOnClose = false;
  H5Pset_fapl_core(file_access, kGrowth, kToDiskOnClose);
  H5FD_file_image_callbacks_t functions{};
  functions.image_malloc = allocate;
  functions.image_memcpy = copy;
  functions.image_realloc = resize;
  functions.image_free = release;
  functions.udata_copy = [](void* self) { return self; };
  functions.udata_free = [](void*) -> herr_t { return 0; };
  functions.udata = this;
  H5Pset_file_image_callbacks(file_access, &functions);
}

void* MemoryFile::allocate(std::size_t size, H5FD_file_image_op_t, void*) {
  return std::malloc(size);
}

void* MemoryFile::copy(void* to, const void* from, std::size_t size, H5FD_file_image_op_t, void*) {
  return std::memcpy(to, from, size);
}

void* MemoryFile::resize(void* block, std::size_t size, H5FD_file_image_op_t, void* self) {
  void* const moved = std::realloc(block, size);
  if (moved != nullptr) {
    static_cast<MemoryFile*>(self)->size_ = size;
  }
  return moved;
}

herr_t MemoryFile::release(void* block, H5FD_file_image_op_t operation, void* self) {
  if (operation == H5FD_FILE_IMAGE_OP_FILE_CLOSE) {
    static_cast<MemoryFile*>(self)->bytes_ = static_cast<std::byte*>(block);
  } else {
    std::free(block);
  }
  return 0;
}

}  // namespace basin::hdf5
