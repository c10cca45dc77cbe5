// Named tensors and attributes in an HDF5 file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tensor/io/tensor_info.h"
#include "tensor/tensor.h"

namespace basin {

/// Whether a file without a seal is read, as all files of other programs are. Where it is required,
/// compressed datasets are refused, too: Hdf5Writer makes none.
enum class Hdf5Seal { if_present, required };

/// Reads one file. Names are full names ("/model/norm.weight"; the leading slash may be left out);
/// "/" is the file itself. Every function throws FileError with the path, what was looked for and
/// what was found; HDF5's own error stack is kept quiet. Sizes are checked against the file and
/// against memory before anything is allocated for them. Readers and writers may be used from
/// several threads; their calls run one after the other.
///
/// A file with a seal, as Hdf5Writer writes it, is compared with its checksum when it is opened,
/// before HDF5 looks at it: no damage to it gets further. Links to other files and elements kept in
/// other files are refused.
class Hdf5Reader {
 public:
  /// Throws FileError if the path is missing, unreadable, a folder, no HDF5 file or a damaged one.
  explicit Hdf5Reader(const std::string& path, Hdf5Seal seal = Hdf5Seal::if_present);
  ~Hdf5Reader();
  Hdf5Reader(const Hdf5Reader&) = delete;
  Hdf5Reader& operator=(const Hdf5Reader&) = delete;

  const std::string& path() const;

  /// Whether a dataset or group of this name exists.
  bool has(const std::string& name) const;
  /// The names of the members of a group, sorted.
  std::vector<std::string> members(const std::string& group) const;

  /// Shape and dtype of a dataset: IEEE half, bfloat16 (1 sign, 8 exponent and 7 fraction bits),
  /// 32- and 64-bit floats are f16, bf16, f32 and f64, 8-bit unsigned, signed 32- and 64-bit
  /// integers u8, i32, i64, two-valued enums (booleans) u8, in either byte order. Throws FileError
  /// for other types, and for a dataset that claims more elements than the file holds.
  TensorInfo info(const std::string& name) const;
  /// A dataset with the dtype that info() tells, contiguous. Throws OutOfMemory too.
  Tensor read(const std::string& name) const;

  /// The names of the attributes of a group or dataset, sorted.
  std::vector<std::string> attributes(const std::string& object) const;
  /// Attributes with one element, of a group or dataset. number() takes any integer, float or
  /// boolean; integer() any integer or boolean that fits; text() strings of fixed and of variable
  /// length.
  bool has_attribute(const std::string& object, const std::string& attribute) const;
  double number(const std::string& object, const std::string& attribute) const;
  std::int64_t integer(const std::string& object, const std::string& attribute) const;
  std::string text(const std::string& object, const std::string& attribute) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes one file. It is put together in memory; commit() writes it to `path` + ".partial", syncs
/// and renames that over `path`: a reader sees the old file or the whole new one. Without commit()
/// the partial file is removed by the destructor and `path` stays as it was. After a FileError only
/// the destructor is of use. The file needs HDF5 1.8 or newer to be read. It begins with a seal:
/// its length and a checksum in 512 bytes that HDF5 leaves alone (docs/formats.md). The same calls
/// give the same bytes.
class Hdf5Writer {
 public:
  /// Throws FileError if the partial file cannot be created or another writer has it.
  explicit Hdf5Writer(const std::string& path);
  ~Hdf5Writer();
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;

  const std::string& path() const;

  /// Creates a dataset and the groups above it. All dtypes but boolean, any strides. Throws
  /// FileError if the name is taken or cannot be.
  void write(const std::string& name, const Tensor& tensor);

  /// Attributes of a dataset, a group or "/". A group is created if nothing of that name exists; an
  /// attribute that exists is replaced.
  void set_number(const std::string& object, const std::string& attribute, double value);
  void set_integer(const std::string& object, const std::string& attribute, std::int64_t value);
  /// UTF-8 of any length (below 4 GiB) without zero bytes.
  void set_text(const std::string& object, const std::string& attribute, const std::string& value);

  /// Write, sync, rename. Throws FileError, for instance when the disk is full; what was at `path`
  /// before is then untouched. Nothing can be written afterwards.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace basin
