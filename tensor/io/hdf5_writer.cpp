#include <algorithm>
#include <limits>

#include "tensor/error.h"
#include "tensor/io/atomic_file.h"
#include "tensor/io/file_seal.h"
#include "tensor/io/hdf5.h"
#include "tensor/io/hdf5_library.h"
#include "tensor/io/hdf5_memory_file.h"
#include "tensor/io/hdf5_types.h"

namespace basin {

using hdf5::Handle;
using hdf5::Session;

struct Hdf5Writer::State {
  explicit State(const std::string& path) : target(path) {}

  io::AtomicFile target;
  hdf5::MemoryFile memory;
  Handle file;

  void need_open() const {
    if (!file.valid()) {
      target.refuse("is complete since commit(); nothing can be written to it any more");
    }
  }

  // The object of a full name, or a new group and the groups above it. (The library can create
  // those above by itself, but then with the time of day in them.)
  Handle open_object(const std::string& full) const {
    if (hdf5::exists(file.get(), full)) {
      Handle object(H5Oopen(file.get(), full.c_str(), H5P_DEFAULT), H5Oclose);
      if (!object.valid()) {
        target.refuse("cannot open '{}' ({})", full, hdf5::reason());
      }
      return object;
    }
    open_object(hdf5::parent(full));
    const Handle links = link_properties();
    const Handle properties(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
    H5Pset_obj_track_times(properties.get(), false);
    Handle group(H5Gcreate2(file.get(), full.c_str(), links.get(), properties.get(), H5P_DEFAULT),
                 H5Gclose);
    if (!group.valid()) {
      target.refuse("cannot create the group '{}' ({})", full, hdf5::reason());
    }
    return group;
  }

  static Handle link_properties() {
    Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
    H5Pset_char_encoding(links.get(), H5T_CSET_UTF8);
    return links;
  }

  void set_attribute(const std::string& object_name, const std::string& name, hid_t file_type,
                     hid_t memory_type, const void* value) const {
    const Handle object = open_object(hdf5::full_name(target.path(), object_name));
    if (name.empty()) {
      target.refuse("an attribute of '{}' needs a name", object_name);
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
    if (!attribute.valid() || H5Awrite(attribute.get(), memory_type, value) < 0) {
      target.refuse("cannot write the attribute '{}' of '{}' ({})", name, object_name,
                    hdf5::reason());
    }
  }
};

Hdf5Writer::Hdf5Writer(const std::string& path) : state_(std::make_unique<State>(path)) {
  const Session session;
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  // The structures of 1.8 take attributes of any length.
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V18);
  state_->memory.use(access.get());
  const Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_obj_track_times(creation.get(), false);  // the same content gives the same bytes
  H5Pset_userblock(creation.get(), io::kSealBytes);
  // The library reads a file of the name it is given into memory before it starts afresh: the
  // partial file is empty.
  const std::string name = path + ".partial";
  state_->file =
      Handle(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), H5Fclose);
  if (!state_->file.valid()) {
    state_->target.refuse("cannot be written ({})", hdf5::reason());
  }
}

Hdf5Writer::~Hdf5Writer() {
  const Session session;
  state_->file.close();
}

const std::string& Hdf5Writer::path() const { return state_->target.path(); }

void Hdf5Writer::write(const std::string& name, const Tensor& tensor) {
  state_->need_open();
  const Session session;
  const Handle file_type = tensor.defined() ? hdf5::file_type(tensor.dtype()) : Handle();
  if (!file_type.valid()) {
    state_->target.refuse(
        "'{}' is {}, which is not stored; f32, f64, bf16, f16, i32, i64 and u8 are", name,
        describe(tensor));
  }
  const Tensor elements = tensor.contiguous().to(Device::cpu);
  const std::string full = hdf5::full_name(state_->target.path(), name);
  if (hdf5::exists(state_->file.get(), full)) {
    state_->target.refuse("'{}' is written already", full);
  }
  state_->open_object(hdf5::parent(full));
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
  Handle dataset(H5Dcreate2(state_->file.get(), full.c_str(), file_type.get(), space.get(),
                            links.get(), properties.get(), H5P_DEFAULT),
                 H5Dclose);
  if (!dataset.valid()) {
    state_->target.refuse("cannot create the dataset '{}' ({})", full, hdf5::reason());
  }
  const Handle memory_type = hdf5::memory_type(tensor.dtype());
  const bool written = elements.numel() == 0 || H5Dwrite(dataset.get(), memory_type.get(), H5S_ALL,
                                                         H5S_ALL, H5P_DEFAULT, elements.raw()) >= 0;
  if (!written || !dataset.close()) {
    state_->target.refuse("cannot write the dataset '{}' of {} ({})", full, describe(tensor),
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
    state_->target.refuse(
        "the text for the attribute '{}' of '{}' holds a zero byte or is too long", attribute,
        object);
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
      state_->target.refuse("cannot be completed ({})", hdf5::reason());
    }
  }
  const std::span<const std::byte> content = state_->memory.bytes().subspan(io::kSealBytes);
  state_->target.write(std::as_bytes(std::span<const char>(io::seal_of(content))));
  state_->target.write(content);
  state_->target.commit();
}

}  // namespace basin
