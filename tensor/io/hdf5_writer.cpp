#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "tensor/error.h"
#include "tensor/io/hdf5.h"
#include "tensor/io/hdf5_library.h"
#include "tensor/io/hdf5_memory_file.h"

namespace basin {

using hdf5::Handle;
using hdf5::Session;

namespace {

// Little-endian in the file, whatever the machine.
struct ElementType {
  hid_t file = -1;
  hid_t memory = -1;
};

ElementType element_type(DType dtype) {
  switch (dtype) {
    case DType::f32: return {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT};
    case DType::f64: return {H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE};
    case DType::i32: return {H5T_STD_I32LE, H5T_NATIVE_INT32};
    case DType::i64: return {H5T_STD_I64LE, H5T_NATIVE_INT64};
    case DType::u8: return {H5T_STD_U8LE, H5T_NATIVE_UINT8};
    default: return {};
  }
}

// Writes everything or says why not: 0 or an errno.
int write_all(int descriptor, std::span<const std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::write(descriptor, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno != EINTR) {
      return errno;
    }
    done += count < 0 ? 0 : static_cast<std::size_t>(count);
  }
  return 0;
}

// The new name should survive a power cut too. Some file systems cannot sync a folder; the file is
// in place either way, so failing to is no error.
void sync_folder(const std::string& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) {
    (void)fsync(descriptor);
    close(descriptor);
  }
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

}  // namespace

struct Hdf5Writer::State {
  std::string path;
  std::string partial;
  int descriptor = -1;  // of the partial file, locked, until commit()
  hdf5::MemoryFile memory;
  Handle file;

  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    throw FileError(path + ": " + fmt::format(format, std::forward<Args>(args)...));
  }

  // Removes the partial file, if it was not renamed.
  void discard() {
    if (descriptor >= 0) {
      (void)std::remove(partial.c_str());
      close(std::exchange(descriptor, -1));
    }
  }

  void need_open() const {
    if (!file.valid()) {
      refuse("is complete since commit(); nothing can be written to it any more");
    }
  }

  // The object, or a new group of that name.
  Handle open_object(const std::string& name) const {
    const std::string full = hdf5::full_name(path, name);
    if (!hdf5::exists(file.get(), full)) {
      const Handle links = link_properties();
      const Handle group_properties(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
      H5Pset_obj_track_times(group_properties.get(), false);
      Handle group(
          H5Gcreate2(file.get(), full.c_str(), links.get(), group_properties.get(), H5P_DEFAULT),
          H5Gclose);
      if (!group.valid()) {
        refuse("cannot create the group '{}' ({})", full, hdf5::reason());
      }
      return group;
    }
    Handle object(H5Oopen(file.get(), full.c_str(), H5P_DEFAULT), H5Oclose);
    if (!object.valid()) {
      refuse("cannot open '{}' ({})", full, hdf5::reason());
    }
    return object;
  }

  static Handle link_properties() {
    Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
    H5Pset_create_intermediate_group(links.get(), 1);
    H5Pset_char_encoding(links.get(), H5T_CSET_UTF8);
    return links;
  }

  void set_attribute(const std::string& object_name, const std::string& name, hid_t file_type,
                     hid_t memory, const void* value) const {
    const Handle object = open_object(object_name);
    if (name.empty()) {
      refuse("an attribute of '{}' needs a name", object_name);
    }
    if (H5Aexists(object.get(), name.c_str()) > 0) {
      H5Adelete(object.get(), name.c_str());
    }
    const Handle properties(H5Pcreate(H5P_ATTRIBUTE_CREATE), H5Pclose);
    H5Pset_char_encoding(properties.get(), H5T_CSET_UTF8);
    const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
    const Handle attribute(H5Acreate2(object.get(), name.c_str(), file_type, space.get(),
                                      properties.get(), H5P_DEFAULT),
                           H5Aclose);
    if (!attribute.valid() || H5Awrite(attribute.get(), memory, value) < 0) {
      refuse("cannot write the attribute '{}' of '{}' ({})", name, object_name, hdf5::reason());
    }
  }
};

Hdf5Writer::Hdf5Writer(const std::string& path) : state_(std::make_unique<State>()) {
  state_->path = path;
  state_->partial = path + ".partial";
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    state_->refuse("is a folder; a file cannot be written there");
  }
  state_->descriptor =
      open(state_->partial.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (state_->descriptor < 0) {
    state_->refuse("cannot be written: {}", std::strerror(errno));
  }
  if (flock(state_->descriptor, LOCK_EX | LOCK_NB) != 0) {
    close(std::exchange(state_->descriptor, -1));
    state_->refuse("cannot be written: another program is writing {}", state_->partial);
  }
  const Session session;
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  // The structures of 1.8 carry checksums and take attributes of any length.
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V18);
  state_->memory.use(access.get());
  const Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_obj_track_times(creation.get(), false);  // the same content gives the same bytes
  state_->file = Handle(
      H5Fcreate(state_->partial.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), H5Fclose);
  if (!state_->file.valid()) {
    state_->discard();
    state_->refuse("cannot be written ({})", hdf5::reason());
  }
}

Hdf5Writer::~Hdf5Writer() {
  {
    const Session session;
    state_->file.close();
  }
  state_->discard();
}

const std::string& Hdf5Writer::path() const { return state_->path; }

void Hdf5Writer::write(const std::string& name, const Tensor& tensor) {
  state_->need_open();
  const ElementType type = tensor.defined() ? element_type(tensor.dtype()) : ElementType{};
  if (type.file < 0) {
    state_->refuse("'{}' is {}, which is not stored; f32, f64, i32, i64 and u8 are", name,
                   describe(tensor));
  }
  const Tensor elements = tensor.contiguous();
  const Session session;
  const std::string full = hdf5::full_name(state_->path, name);
  if (hdf5::exists(state_->file.get(), full)) {
    state_->refuse("'{}' is written already", full);
  }
  hsize_t extents[kMaxRank] = {};
  for (int d = 0; d < tensor.rank(); ++d) {
    extents[d] = static_cast<hsize_t>(tensor.shape()[d]);
  }
  const Handle space(tensor.rank() == 0 ? H5Screate(H5S_SCALAR)
                                        : H5Screate_simple(tensor.rank(), extents, nullptr),
                     H5Sclose);
  const Handle links = State::link_properties();
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(properties.get(), false);
  Handle dataset(H5Dcreate2(state_->file.get(), full.c_str(), type.file, space.get(), links.get(),
                            properties.get(), H5P_DEFAULT),
                 H5Dclose);
  if (!dataset.valid()) {
    state_->refuse("cannot create the dataset '{}' ({})", full, hdf5::reason());
  }
  const bool written = elements.numel() == 0 || H5Dwrite(dataset.get(), type.memory, H5S_ALL,
                                                         H5S_ALL, H5P_DEFAULT, elements.raw()) >= 0;
  if (!written || !dataset.close()) {
    state_->refuse("cannot write the dataset '{}' of {} ({})", full, describe(tensor),
                   hdf5::reason());
  }
}

void Hdf5Writer::set_number(const std::string& object, const std::string& attribute, double value) {
  state_->need_open();
  const Session session;
  state_->set_attribute(object, attribute, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

void Hdf5Writer::set_integer(const std::string& object, const std::string& attribute,
                             std::int64_t value) {
  state_->need_open();
  const Session session;
  state_->set_attribute(object, attribute, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

void Hdf5Writer::set_text(const std::string& object, const std::string& attribute,
                          const std::string& value) {
  state_->need_open();
  if (value.find('\0') != std::string::npos ||
      value.size() > std::numeric_limits<std::uint32_t>::max()) {
    state_->refuse("the text for the attribute '{}' of '{}' holds a zero byte or is too long",
                   attribute, object);
  }
  const Session session;
  // Of fixed length: the length of a variable one is kept apart from its characters in the file,
  // and readers of damaged files have to believe it.
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), std::max<std::size_t>(1, value.size()));
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  state_->set_attribute(object, attribute, type.get(), type.get(), value.c_str());
}

void Hdf5Writer::commit() {
  state_->need_open();
  {
    const Session session;
    if (!state_->file.close()) {
      state_->refuse("cannot be completed ({})", hdf5::reason());
    }
  }
  const std::span<const std::byte> bytes = state_->memory.bytes();
  int error = ftruncate(state_->descriptor, 0) == 0 ? 0 : errno;
  error = error == 0 ? write_all(state_->descriptor, bytes) : error;
  if (error == 0 && fsync(state_->descriptor) != 0) {
    error = errno;
  }
  if (error != 0) {
    state_->refuse(
        "{} bytes cannot be written to {}: {}; what was at this path before is untouched",
        bytes.size(), state_->partial, std::strerror(error));
  }
  if (std::rename(state_->partial.c_str(), state_->path.c_str()) != 0) {
    state_->refuse("cannot be put in place: {}", std::strerror(errno));
  }
  close(std::exchange(state_->descriptor, -1));
  sync_folder(folder_of(state_->path));
}

}  // namespace basin
