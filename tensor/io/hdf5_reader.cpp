#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <new>

#include "tensor/error.h"
#include "tensor/io/file_seal.h"
#include "tensor/io/hdf5.h"
#include "tensor/io/hdf5_library.h"
#include "tensor/io/hdf5_types.h"

namespace basin {

using hdf5::Handle;
using hdf5::is_boolean;
using hdf5::Session;
using hdf5::type_name;

namespace {

template <class... Args>
[[noreturn]] void refuse(const std::string& path, fmt::format_string<Args...> format,
                         Args&&... args) {
  throw FileError(path + ": " + fmt::format(format, std::forward<Args>(args)...));
}

std::uint64_t physical_memory() {
  return static_cast<std::uint64_t>(std::max(1L, sysconf(_SC_PHYS_PAGES))) *
         static_cast<std::uint64_t>(std::max(1L, sysconf(_SC_PAGESIZE)));
}

}  // namespace

struct Hdf5Reader::State {
  std::string path;
  Hdf5Seal seal = Hdf5Seal::if_present;
  std::uint64_t file_bytes = 0;
  Handle file;

  // Checks the seal before the library looks at anything: damage in the wrong place makes it crash.
  // False if the name belongs to another file by the time the library has opened it.
  bool open_file() {
    const io::InputFile input(path);
    file_bytes = input.size();
    const bool sealed = io::check_seal(input);
    const Session session;
    if (H5Fis_hdf5(path.c_str()) <= 0) {
      refuse(path, "is no HDF5 file ({} bytes)", file_bytes);
    }
    if (seal == Hdf5Seal::required && !sealed) {
      refuse(path,
             "is an HDF5 file without a seal: another program wrote it, or an earlier version of "
             "this one, or its first bytes are damaged");
    }
    file = Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    if (!file.valid()) {
      refuse(path, "is a damaged HDF5 file ({})", hdf5::reason());
    }
    void* descriptor = nullptr;
    if (H5Fget_vfd_handle(file.get(), H5P_DEFAULT, &descriptor) < 0) {
      refuse(path, "cannot be read ({})", hdf5::reason());
    }
    return input.is_open_as(*static_cast<const int*>(descriptor));
  }

  // In the order of storage, sorted here: for any other order the library makes a table first, and
  // trips over it when the group is damaged.
  std::vector<std::string> members_of(hid_t group) const {
    std::vector<std::string> names;
    const auto keep = [](hid_t, const char* name, const H5L_info_t*, void* kept) -> herr_t {
      try {
        static_cast<std::vector<std::string>*>(kept)->emplace_back(name);
        return 0;
      } catch (const std::bad_alloc&) {
        return -1;  // no exception may pass through the library
      }
    };
    hsize_t position = 0;
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, &position, keep, &names) < 0) {
      refuse(path, "the members of a group cannot be read ({})", hdf5::reason());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  // "'/model' holds bias, weight": what there is on the way to a name that does not exist.
  std::string nearest(std::string name) const {
    do {
      name.erase(name.rfind('/'));
    } while (!name.empty() && !hdf5::exists(file.get(), name));
    const std::string group_name = name.empty() ? "/" : name;
    const Handle group(H5Oopen(file.get(), group_name.c_str(), hdf5::inside_the_file()), H5Oclose);
    if (!group.valid() || H5Iget_type(group.get()) != H5I_GROUP) {
      return fmt::format("'{}' is no group", group_name);
    }
    std::vector<std::string> names = members_of(group.get());
    if (names.size() > 8) {
      names.resize(8);
      names.emplace_back("...");
    }
    return fmt::format("'{}' holds {}", group_name,
                       names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", ")));
  }

  Handle open(const std::string& name, const char* what) const {
    const std::string full = hdf5::full_name(path, name);
    if (!hdf5::exists(file.get(), full)) {
      refuse(path, "there is no {} '{}'; {}", what, full,
             hdf5::is_link(file.get(), full)
                 ? "a link of this name leads to nothing in this file, and no other file is read"
                 : nearest(full));
    }
    Handle object(H5Oopen(file.get(), full.c_str(), hdf5::inside_the_file()), H5Oclose);
    if (!object.valid()) {
      refuse(path, "{} '{}' cannot be opened ({}); the file is damaged", what, full,
             hdf5::reason());
    }
    return object;
  }

  Handle open_dataset(const std::string& name) const {
    Handle dataset = open(name, "dataset");
    if (H5Iget_type(dataset.get()) != H5I_DATASET) {
      refuse(path, "'{}' is a group, not a dataset", name);
    }
    return dataset;
  }

  TensorInfo info_of(hid_t dataset, const std::string& name) const {
    const Handle type(H5Dget_type(dataset), H5Tclose);
    const Handle space(H5Dget_space(dataset), H5Sclose);
    const Handle properties(H5Dget_create_plist(dataset), H5Pclose);
    const int rank = space.valid() ? H5Sget_simple_extent_ndims(space.get()) : -1;
    if (!type.valid() || !properties.valid() || rank < 0 ||
        H5Sget_simple_extent_type(space.get()) == H5S_NULL) {
      refuse(path, "dataset '{}' has no type or no shape", name);
    }
    check_layout(properties.get(), name);
    TensorInfo info;
    if (!hdf5::dtype_of(type.get(), info.dtype)) {
      refuse(
          path,
          "dataset '{}' holds {}; only IEEE half, bfloat16, 32- and 64-bit floats, signed 32- and "
          "64-bit integers, 8-bit unsigned integers and booleans are read",
          name, type_name(type.get()));
    }
    if (rank > kMaxRank) {
      refuse(path, "dataset '{}' has {} dimensions; at most {} are possible", name, rank, kMaxRank);
    }
    hsize_t extents[kMaxRank] = {};
    H5Sget_simple_extent_dims(space.get(), extents, nullptr);
    bool fits = true;
    for (int d = 0; d < rank; ++d) {
      fits = fits && extents[d] <= static_cast<hsize_t>(std::numeric_limits<std::int64_t>::max());
      info.shape.push_back(static_cast<std::int64_t>(extents[d]));
    }
    check_size(dataset, properties.get(), info, fits, name);
    return info;
  }

  // What lies in other files has no seal, and is not what a reader of this file asked for. What is
  // compressed may claim any size.
  void check_layout(hid_t properties, const std::string& name) const {
    if (H5Pget_external_count(properties) != 0 || H5Pget_layout(properties) == H5D_VIRTUAL) {
      refuse(path, "dataset '{}' takes its elements from other files, which are not read", name);
    }
    if (seal == Hdf5Seal::required && H5Pget_nfilters(properties) != 0) {
      refuse(path, "dataset '{}' is compressed or filtered; here it has to be stored as it is",
             name);
    }
  }

  // Without filters the file must hold every byte; with them at most this much memory can be asked
  // for.
  void check_size(hid_t dataset, hid_t properties, const TensorInfo& info, bool fits,
                  const std::string& name) const {
    std::int64_t count = 0;
    std::int64_t bytes = 0;
    try {
      count = fits ? info.shape.numel() : 0;
      bytes = checked_product(count, static_cast<std::int64_t>(size_of(info.dtype)));
    } catch (const Error&) {
      fits = false;
    }
    if (!fits) {
      refuse(path, "dataset '{}' claims a shape that no memory holds; the file is damaged", name);
    }
    const std::uint64_t held = std::min<std::uint64_t>(H5Dget_storage_size(dataset), file_bytes);
    const std::uint64_t wanted = static_cast<std::uint64_t>(bytes);
    const bool filtered = H5Pget_nfilters(properties) != 0;
    if (wanted > 0 && (filtered ? held == 0 : held < wanted)) {
      refuse(path, "dataset '{}' of shape {} {} needs {} bytes, but the file holds {} for it", name,
             to_string(info.shape), name_of(info.dtype), wanted, held);
    }
    if (wanted > physical_memory()) {
      refuse(path, "dataset '{}' of shape {} {} needs {} bytes; this machine has {}", name,
             to_string(info.shape), name_of(info.dtype), wanted, physical_memory());
    }
  }

  // An opened attribute with what is needed to read it.
  struct Attribute {
    Handle handle, type, space;
    std::string label;  // "attribute 'step' of '/optimizer'"
  };

  Attribute open_attribute(const std::string& object_name, const std::string& name) const {
    const Handle object = open(object_name, "object");
    const std::string label =
        fmt::format("attribute '{}' of '{}'", name, hdf5::full_name(path, object_name));
    if (H5Aexists(object.get(), name.c_str()) <= 0) {
      refuse(path, "there is no {}", label);
    }
    Attribute attribute{
        {H5Aopen(object.get(), name.c_str(), H5P_DEFAULT), H5Aclose}, {}, {}, label};
    attribute.type = Handle(H5Aget_type(attribute.handle.get()), H5Tclose);
    attribute.space = Handle(H5Aget_space(attribute.handle.get()), H5Sclose);
    if (!attribute.type.valid() || !attribute.space.valid()) {
      refuse(path, "{} cannot be opened ({}); the file is damaged", label, hdf5::reason());
    }
    const hssize_t count = H5Sget_simple_extent_npoints(attribute.space.get());
    if (count != 1) {
      refuse(path, "{} has {} elements; one is needed", label, count);
    }
    return attribute;
  }

  template <class T>
  T read_as(const Attribute& attribute, hid_t memory) const {
    T value{};
    if (H5Aread(attribute.handle.get(), memory, &value) < 0) {
      refuse(path, "{} cannot be read ({})", attribute.label, hdf5::reason());
    }
    return value;
  }

  std::string fixed_text(const Attribute& attribute) const {
    const std::size_t size = H5Tget_size(attribute.type.get());
    if (size > file_bytes) {
      refuse(path, "{} claims {} bytes in a file of {}", attribute.label, size, file_bytes);
    }
    std::string value(size, '\0');
    if (H5Aread(attribute.handle.get(), attribute.type.get(), value.data()) < 0) {
      refuse(path, "{} cannot be read ({})", attribute.label, hdf5::reason());
    }
    if (H5Tget_strpad(attribute.type.get()) == H5T_STR_NULLTERM) {
      value.resize(std::min(value.find('\0'), value.size()));
    }
    const char pad = H5Tget_strpad(attribute.type.get()) == H5T_STR_SPACEPAD ? ' ' : '\0';
    value.resize(value.find_last_not_of(pad) + 1);  // npos + 1 is 0: all padding
    return value;
  }

  std::string variable_text(const Attribute& attribute) const {
    char* text = read_as<char*>(attribute, attribute.type.get());
    std::string value = text == nullptr ? "" : text;
    H5Dvlen_reclaim(attribute.type.get(), attribute.space.get(), H5P_DEFAULT, &text);
    return value;
  }
};

Hdf5Reader::Hdf5Reader(const std::string& path, Hdf5Seal seal) : state_(std::make_unique<State>()) {
  state_->path = path;
  state_->seal = seal;
  constexpr int kAttempts = 5;
  int attempts = 1;
  while (!state_->open_file()) {
    const Session session;
    state_->file.close();
    if (++attempts > kAttempts) {
      refuse(path, "is replaced by another file again and again");
    }
  }
}

Hdf5Reader::~Hdf5Reader() {
  const Session session;
  state_->file.close();
}

const std::string& Hdf5Reader::path() const { return state_->path; }

bool Hdf5Reader::has(const std::string& name) const {
  const Session session;
  return hdf5::exists(state_->file.get(), hdf5::full_name(state_->path, name));
}

std::vector<std::string> Hdf5Reader::members(const std::string& group_name) const {
  const Session session;
  const Handle group = state_->open(group_name, "group");
  if (H5Iget_type(group.get()) != H5I_GROUP) {
    refuse(state_->path, "'{}' is a dataset, not a group", group_name);
  }
  return state_->members_of(group.get());
}

TensorInfo Hdf5Reader::info(const std::string& name) const {
  const Session session;
  return state_->info_of(state_->open_dataset(name).get(), name);
}

Tensor Hdf5Reader::read(const std::string& name) const {
  const Session session;
  const Handle dataset = state_->open_dataset(name);
  const TensorInfo info = state_->info_of(dataset.get(), name);
  Tensor tensor = Tensor::empty(info.shape, info.dtype);
  if (tensor.numel() == 0) {
    return tensor;
  }
  const Handle type(H5Dget_type(dataset.get()), H5Tclose);
  // A boolean is read as the enum it is; its values are those of the stored bytes.
  const Handle memory = hdf5::memory_type(info.dtype);
  if (H5Dread(dataset.get(), is_boolean(type.get()) ? type.get() : memory.get(), H5S_ALL, H5S_ALL,
              H5P_DEFAULT, tensor.mutable_raw()) < 0) {
    refuse(state_->path, "dataset '{}' of shape {} {} cannot be read ({}); the file is damaged",
           name, to_string(info.shape), name_of(info.dtype), hdf5::reason());
  }
  return tensor;
}

std::vector<std::string> Hdf5Reader::attributes(const std::string& object_name) const {
  const Session session;
  const Handle object = state_->open(object_name, "object");
  std::vector<std::string> names;
  const auto collect = [](hid_t, const char* name, const H5A_info_t*, void* to) -> herr_t {
    static_cast<std::vector<std::string>*>(to)->emplace_back(name);
    return 0;
  };
  if (H5Aiterate2(object.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names) < 0) {
    refuse(state_->path, "the attributes of '{}' cannot be read ({})",
           hdf5::full_name(state_->path, object_name), hdf5::reason());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool Hdf5Reader::has_attribute(const std::string& object_name, const std::string& attribute) const {
  const Session session;
  const Handle object = state_->open(object_name, "object");
  return H5Aexists(object.get(), attribute.c_str()) > 0;
}

double Hdf5Reader::number(const std::string& object, const std::string& attribute_name) const {
  const Session session;
  const State::Attribute attribute = state_->open_attribute(object, attribute_name);
  const H5T_class_t kind = H5Tget_class(attribute.type.get());
  if (kind != H5T_FLOAT && kind != H5T_INTEGER && !is_boolean(attribute.type.get())) {
    refuse(state_->path, "{} is {}, not a number", attribute.label,
           type_name(attribute.type.get()));
  }
  return is_boolean(attribute.type.get())
             ? static_cast<double>(state_->read_as<std::int8_t>(attribute, attribute.type.get()))
             : state_->read_as<double>(attribute, H5T_NATIVE_DOUBLE);
}

std::int64_t Hdf5Reader::integer(const std::string& object,
                                 const std::string& attribute_name) const {
  const Session session;
  const State::Attribute attribute = state_->open_attribute(object, attribute_name);
  const hid_t type = attribute.type.get();
  if (is_boolean(type)) {
    return state_->read_as<std::int8_t>(attribute, type);
  }
  if (H5Tget_class(type) != H5T_INTEGER || H5Tget_size(type) > sizeof(std::int64_t)) {
    refuse(state_->path, "{} is {}, not an integer of at most 64 bits", attribute.label,
           type_name(type));
  }
  if (H5Tget_sign(type) == H5T_SGN_NONE) {
    const auto value = state_->read_as<std::uint64_t>(attribute, H5T_NATIVE_UINT64);
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      refuse(state_->path, "{} is {}, which does not fit in 64 bits with a sign", attribute.label,
             value);
    }
    return static_cast<std::int64_t>(value);
  }
  return state_->read_as<std::int64_t>(attribute, H5T_NATIVE_INT64);
}

std::string Hdf5Reader::text(const std::string& object, const std::string& attribute_name) const {
  const Session session;
  const State::Attribute attribute = state_->open_attribute(object, attribute_name);
  if (H5Tget_class(attribute.type.get()) != H5T_STRING) {
    refuse(state_->path, "{} is {}, not a text", attribute.label, type_name(attribute.type.get()));
  }
  return H5Tis_variable_str(attribute.type.get()) > 0 ? state_->variable_text(attribute)
                                                      : state_->fixed_text(attribute);
}

}  // namespace basin
