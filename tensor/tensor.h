// Tensor: a cheap handle on strided memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/common/dtype.h"
#include "tensor/device.h"
#include "tensor/shape.h"
#include "tensor/storage.h"

namespace basin {

/// Copying a Tensor copies the handle: both see the same elements. Views (transpose, slice, ...)
/// share storage too. All members throw Error with the shapes involved when they cannot do what is
/// asked.
class Tensor {
 public:
  /// An undefined tensor: no storage, no shape.
  Tensor() = default;

  /// Fresh memory with unspecified contents. Throws OutOfMemory.
  static Tensor empty(const Shape& shape, DType dtype, Device device = Device::cpu);
  static Tensor full(const Shape& shape, double value, DType dtype, Device device = Device::cpu);
  static Tensor zeros(const Shape& shape, DType dtype, Device device = Device::cpu);

  /// A copy of `values` on the CPU; their number must be that of the shape.
  template <class T>
  static Tensor from(const Shape& shape, std::span<const T> values);
  template <class T>
  static Tensor from(const Shape& shape, const std::vector<T>& values) {
    return from(shape, std::span<const T>(values));
  }

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  const Shape& strides() const { return strides_; }
  DType dtype() const { return dtype_; }
  /// Device::cpu for an undefined tensor.
  Device device() const { return storage_ ? storage_->device() : Device::cpu; }
  int rank() const { return shape_.rank(); }
  /// The extent of a dimension; negative ones count from the end.
  std::int64_t size(int dim) const;
  std::int64_t numel() const { return shape_.numel(); }
  bool is_contiguous() const;

  /// The first element, for kernels of this tensor's device. kernel_data checks the dtype. The
  /// mutable forms, here and below, count as a write: they raise version().
  const void* raw() const;
  void* mutable_raw();
  template <class T>
  const T* kernel_data() const;

  /// The first element, to be read and written by the program itself. Throws Error unless the
  /// tensor has this dtype and lies on the CPU.
  template <class T>
  const T* data() const;
  template <class T>
  T* mutable_data();

  /// The only element of a tensor with one element, converted. Waits for a GPU.
  double item() const;

  /// All elements in row-major order, converted. Waits for a GPU.
  template <class T>
  std::vector<T> to_vector() const;

  /// Views. view and reshape take one extent of -1, which is then computed. view needs strides that
  /// allow it; reshape copies where they do not.
  Tensor view(const Shape& shape) const;
  Tensor reshape(const Shape& shape) const;
  Tensor permute(std::span<const int> dims) const;
  Tensor permute(std::initializer_list<int> dims) const;
  Tensor transpose(int a, int b) const;
  /// Elements begin ... end - 1 of a dimension.
  Tensor slice(int dim, std::int64_t begin, std::int64_t end) const;
  /// The slice at one index, without the dimension.
  Tensor select(int dim, std::int64_t index) const;
  Tensor unsqueeze(int dim) const;
  /// Broadcast to a larger shape with strides of 0.
  Tensor expand(const Shape& shape) const;

  /// This tensor if its elements are in row-major order without gaps, else a copy that is.
  Tensor contiguous() const;
  /// A contiguous copy.
  Tensor clone() const;
  /// Converted to another dtype (see kernels::Copy); this tensor itself if it has it already.
  Tensor to(DType dtype) const;
  /// A contiguous copy on another device; this tensor itself if it is there already. Throws Error
  /// if the device cannot be used.
  Tensor to(Device device) const;

  /// Overwrites this tensor's elements with those of `source`, of the same shape, converting. The
  /// source may be on another device.
  void copy_from(const Tensor& source);
  void fill(double value);

  /// See Storage::version.
  std::uint64_t version() const { return storage_ ? storage_->version() : 0; }
  /// Whether both are views of the same memory.
  bool shares_storage(const Tensor& other) const { return storage_ == other.storage_; }

 private:
  Tensor(std::shared_ptr<Storage> storage, std::int64_t offset, const Shape& shape,
         const Shape& strides, DType dtype);

  std::shared_ptr<Storage> storage_;
  std::int64_t offset_ = 0;  // in elements
  Shape shape_;
  Shape strides_;
  DType dtype_ = DType::f32;
};

/// "(2, 3) f32", on other devices than the CPU "(2, 3) f32 on cuda", for messages.
std::string describe(const Tensor&);

/// The elements as nested lists, long dimensions shortened: for people.
std::string to_string(const Tensor&);

}  // namespace basin
