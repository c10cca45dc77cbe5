#include "tensor/tensor.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/elementwise/elementwise.h"
#include "tensor/check.h"
#include "tensor/error.h"

namespace basin {

namespace {

// Replaces one extent of -1 by what makes the element count fit.
Shape resolve(const Shape& wanted, const Tensor& from, const char* where) {
  Shape result = wanted;
  int unknown = -1;
  std::int64_t known = 1;
  for (int d = 0; d < wanted.rank(); ++d) {
    if (wanted[d] == -1) {
      if (unknown >= 0) {
        fail("[{}] only one extent can be -1, got {}", where, to_string(wanted));
      }
      unknown = d;
    } else if (wanted[d] < 0) {
      fail("[{}] a shape cannot have a negative extent other than one -1, got {}", where,
           to_string(wanted));
    } else {
      known = checked_product(known, wanted[d]);
    }
  }
  const std::int64_t count = from.numel();
  if (unknown >= 0 && known > 0 && count % known == 0) {
    result[unknown] = count / known;
    known = count;
  }
  if (known != count || (unknown >= 0 && result[unknown] < 0)) {
    fail("[{}] {} with {} elements cannot take the shape {}", where, describe(from), count,
         to_string(wanted));
  }
  return result;
}

// The strides of `from` under a new shape with the same elements in the same order, if they exist:
// every new dimension must lie inside a run of old dimensions that is contiguous in itself.
bool strides_for(const Tensor& from, const Shape& to, Shape& strides) {
  strides = contiguous_strides(to);
  if (from.numel() == 0 || from.is_contiguous()) {
    return true;
  }
  int old = from.rank() - 1;
  int d = to.rank() - 1;
  while (d >= 0) {
    while (old >= 0 && from.shape()[old] == 1) {
      --old;
    }
    if (old < 0) {
      return true;  // only extents of 1 are left
    }
    std::int64_t run = from.shape()[old];
    const std::int64_t unit = from.strides()[old];
    while (old > 0 && (from.shape()[old - 1] == 1 || from.strides()[old - 1] == unit * run)) {
      run *= from.shape()[--old];
    }
    --old;
    std::int64_t stride = unit;
    std::int64_t filled = 1;
    while (d >= 0 && filled < run) {
      if (run % (filled * to[d]) != 0) {
        return false;
      }
      strides[d] = stride;
      stride *= to[d];
      filled *= to[d];
      --d;
    }
  }
  return true;
}

}  // namespace

Tensor::Tensor(std::shared_ptr<Storage> storage, std::int64_t offset, const Shape& shape,
               const Shape& strides, DType dtype)
    : storage_(std::move(storage)),
      offset_(offset),
      shape_(shape),
      strides_(strides),
      dtype_(dtype) {}

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  const std::int64_t bytes =
      checked_product(shape.numel(), static_cast<std::int64_t>(size_of(dtype)));
  return {std::make_shared<Storage>(static_cast<std::size_t>(bytes), device), 0, shape,
          contiguous_strides(shape), dtype};
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor result = empty(shape, dtype, device);
  result.fill(value);
  return result;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  return full(shape, 0.0, dtype, device);
}

template <class T>
Tensor Tensor::from(const Shape& shape, std::span<const T> values) {
  if (shape.numel() != static_cast<std::int64_t>(values.size())) {
    fail("[from] {} values do not fill the shape {}", values.size(), to_string(shape));
  }
  Tensor result = empty(shape, dtype_of<T>);
  if (!values.empty()) {
    std::memcpy(result.mutable_raw(), values.data(), values.size_bytes());
  }
  return result;
}

std::int64_t Tensor::size(int dim) const { return shape_[normalise_dim(dim, rank(), "size")]; }

bool Tensor::is_contiguous() const {
  std::int64_t stride = 1;
  for (int d = rank() - 1; d >= 0; --d) {
    if (shape_[d] != 1 && strides_[d] != stride) {
      return numel() == 0;
    }
    stride *= shape_[d];
  }
  return true;
}

const void* Tensor::raw() const {
  if (!defined()) {
    fail("an undefined tensor has no elements");
  }
  return static_cast<const std::byte*>(storage_->data()) +
         offset_ * static_cast<std::int64_t>(size_of(dtype_));
}

void* Tensor::mutable_raw() {
  void* data = const_cast<void*>(std::as_const(*this).raw());
  storage_->bump_version();
  return data;
}

template <class T>
const T* Tensor::kernel_data() const {
  if (dtype_ != dtype_of<T>) {
    fail("elements of {} cannot be read as {}; convert with to() first", describe(*this),
         name_of(dtype_of<T>));
  }
  return static_cast<const T*>(raw());
}

template <class T>
const T* Tensor::data() const {
  if (device() != Device::cpu) {
    fail("elements of {} cannot be read here; copy it with to(Device::cpu) first", describe(*this));
  }
  return kernel_data<T>();
}

template <class T>
T* Tensor::mutable_data() {
  (void)std::as_const(*this).data<T>();
  return static_cast<T*>(mutable_raw());
}

double Tensor::item() const {
  if (numel() != 1) {
    fail("[item] needs a tensor with one element, got {}", describe(*this));
  }
  return *to(Device::cpu).to(DType::f64).data<double>();
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  const Tensor converted = to(Device::cpu).to(dtype_of<T>).contiguous();
  const T* data = converted.data<T>();
  return std::vector<T>(data, data + numel());
}

Tensor Tensor::view(const Shape& shape) const {
  const Shape resolved = resolve(shape, *this, "view");
  Shape strides;
  if (!strides_for(*this, resolved, strides)) {
    fail("[view] {} with strides {} cannot be seen as {} without a copy; use reshape",
         describe(*this), to_string(strides_), to_string(resolved));
  }
  return {storage_, offset_, resolved, strides, dtype_};
}

Tensor Tensor::reshape(const Shape& shape) const {
  const Shape resolved = resolve(shape, *this, "reshape");
  Shape strides;
  if (strides_for(*this, resolved, strides)) {
    return {storage_, offset_, resolved, strides, dtype_};
  }
  return contiguous().view(resolved);
}

Tensor Tensor::permute(std::span<const int> dims) const {
  Shape shape;
  Shape strides;
  unsigned seen = 0;
  for (const int dim : dims) {
    const int d = normalise_dim(dim, rank(), "permute");
    seen |= 1u << d;
    shape.push_back(shape_[d]);
    strides.push_back(strides_[d]);
  }
  if (static_cast<int>(dims.size()) != rank() || seen != (1u << rank()) - 1) {
    fail("[permute] ({}) is no order of the {} dimensions of {}", fmt::join(dims, ", "), rank(),
         describe(*this));
  }
  return {storage_, offset_, shape, strides, dtype_};
}

Tensor Tensor::permute(std::initializer_list<int> dims) const {
  return permute(std::span<const int>(dims.begin(), dims.size()));
}

Tensor Tensor::transpose(int a, int b) const {
  a = normalise_dim(a, rank(), "transpose");
  b = normalise_dim(b, rank(), "transpose");
  Tensor result = *this;
  std::swap(result.shape_[a], result.shape_[b]);
  std::swap(result.strides_[a], result.strides_[b]);
  return result;
}

Tensor Tensor::slice(int dim, std::int64_t begin, std::int64_t end) const {
  dim = normalise_dim(dim, rank(), "slice");
  if (begin < 0 || end < begin || end > shape_[dim]) {
    fail("[slice] [{}, {}) lies outside dimension {} of {}", begin, end, dim, describe(*this));
  }
  Tensor result = *this;
  result.offset_ += begin * strides_[dim];
  result.shape_[dim] = end - begin;
  return result;
}

Tensor Tensor::select(int dim, std::int64_t index) const {
  dim = normalise_dim(dim, rank(), "select");
  if (index < 0 || index >= shape_[dim]) {
    fail("[select] there is no index {} in dimension {} of {}", index, dim, describe(*this));
  }
  Tensor result = *this;
  result.offset_ += index * strides_[dim];
  result.shape_.erase(dim);
  result.strides_.erase(dim);
  return result;
}

Tensor Tensor::unsqueeze(int dim) const {
  dim = normalise_dim(dim, rank() + 1, "unsqueeze");
  Tensor result = *this;
  const std::int64_t stride = dim < rank() ? shape_[dim] * strides_[dim] : 1;
  result.shape_.insert(dim, 1);
  result.strides_.insert(dim, stride);
  return result;
}

Tensor Tensor::expand(const Shape& shape) const {
  if (!(broadcast(shape_, shape, "expand") == shape)) {
    fail("[expand] {} does not broadcast to {}", describe(*this), to_string(shape));
  }
  Shape strides = shape;
  for (int d = 0; d < shape.rank(); ++d) {
    const int own = d - (shape.rank() - rank());
    strides[d] = own < 0 || shape_[own] != shape[d] ? 0 : strides_[own];
  }
  return {storage_, offset_, shape, strides, dtype_};
}

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

Tensor Tensor::clone() const {
  Tensor result = empty(shape_, dtype_, device());
  result.copy_from(*this);
  return result;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) {
    return *this;
  }
  Tensor result = empty(shape_, dtype, device());
  result.copy_from(*this);
  return result;
}

Tensor Tensor::to(Device target) const {
  if (!defined() || device() == target) {
    return *this;
  }
  require(target);
  const Tensor source = contiguous();
  Tensor result = empty(shape_, dtype_, target);
  copy_bytes(result.mutable_raw(), target, source.raw(), device(),
             static_cast<std::size_t>(numel()) * size_of(dtype_));
  return result;
}

void Tensor::copy_from(const Tensor& source) {
  if (!(source.shape() == shape_)) {
    fail("[copy_from] {} cannot be copied into {}", describe(source), describe(*this));
  }
  if (source.device() != device()) {
    copy_from(source.to(device()));
    return;
  }
  kernels::Copy p{};
  p.x = source.raw();
  p.y = mutable_raw();
  p.rank = rank();
  std::copy(shape_.begin(), shape_.end(), p.extents);
  std::copy(source.strides_.begin(), source.strides_.end(), p.x_strides);
  std::copy(strides_.begin(), strides_.end(), p.y_strides);
  p.x_dtype = source.dtype();
  p.y_dtype = dtype_;
  if (numel() > 0) {
    check(on_device(device(), [&](const auto& context) { return kernels::copy(p, context); }),
          "copy_from", *this, source);
  }
}

void Tensor::fill(double value) {
  if (is_contiguous()) {
    const kernels::Fill p{mutable_raw(), numel(), value, dtype_};
    check(on_device(device(), [&](const auto& context) { return kernels::fill(p, context); }),
          "fill", *this);
  } else {
    copy_from(full({}, value, dtype_, device()).expand(shape_));
  }
}

std::string describe(const Tensor& tensor) {
  if (!tensor.defined()) {
    return "undefined tensor";
  }
  const std::string place =
      tensor.device() == Device::cpu ? "" : std::string(" on ") + name_of(tensor.device());
  return to_string(tensor.shape()) + " " + name_of(tensor.dtype()) + place;
}

template Tensor Tensor::from(const Shape&, std::span<const float>);
template Tensor Tensor::from(const Shape&, std::span<const double>);
template Tensor Tensor::from(const Shape&, std::span<const std::int32_t>);
template Tensor Tensor::from(const Shape&, std::span<const std::int64_t>);
template Tensor Tensor::from(const Shape&, std::span<const std::uint8_t>);
template const float* Tensor::kernel_data() const;
template const double* Tensor::kernel_data() const;
template const std::int32_t* Tensor::kernel_data() const;
template const std::int64_t* Tensor::kernel_data() const;
template const std::uint8_t* Tensor::kernel_data() const;
template const bool* Tensor::kernel_data() const;
template const float* Tensor::data() const;
template const double* Tensor::data() const;
template const std::int32_t* Tensor::data() const;
template const std::int64_t* Tensor::data() const;
template const std::uint8_t* Tensor::data() const;
template const bool* Tensor::data() const;
template float* Tensor::mutable_data();
template double* Tensor::mutable_data();
template std::int32_t* Tensor::mutable_data();
template std::int64_t* Tensor::mutable_data();
template std::uint8_t* Tensor::mutable_data();
template bool* Tensor::mutable_data();
template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<std::int32_t> Tensor::to_vector() const;
template std::vector<std::int64_t> Tensor::to_vector() const;
template std::vector<std::uint8_t> Tensor::to_vector() const;

}  // namespace basin
