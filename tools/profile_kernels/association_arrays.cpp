#include "tools/profile_kernels/association_arrays.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "tensor/error.h"
#include "tensor/functions/association.h"
#include "tensor/io/association_group.h"
#include "tensor/io/hdf5.h"

namespace basin::profile_kernels {

namespace {

// The ':' of "file.h5:/group"; a ':' inside of a name of a folder is none.
std::size_t separator(const std::string& source) {
  const std::size_t at = source.rfind(":/");
  return at == std::string::npos ? source.size() : at;
}

class Group {
 public:
  explicit Group(const std::string& source)
      : file_(file_of(source)),
        name_(separator(source) == source.size() ? "/" : source.substr(separator(source) + 1)) {
    while (name_.size() > 1 && name_.back() == '/') {
      name_.pop_back();
    }
    (void)file_.members(name_);  // says what there is if it is no group
  }

  const Hdf5Reader& file() const { return file_; }
  const std::string& name() const { return name_; }
  std::string path_to(const std::string& dataset) const {
    return (name_ == "/" ? "" : name_) + "/" + dataset;
  }
  bool has(const std::string& dataset) const { return file_.has(path_to(dataset)); }

  template <class... Args>
  [[noreturn]] void refuse(const std::string& dataset, fmt::format_string<Args...> format,
                           Args&&... args) const {
    throw FileError(fmt::format("{}: '{}' {}", file_.path(), path_to(dataset),
                                fmt::format(format, std::forward<Args>(args)...)));
  }

  DType dtype_of(const std::string& dataset) const { return file_.info(path_to(dataset)).dtype; }

  Tensor floating(const std::string& dataset, DType dtype) const {
    const Tensor stored = file_.read(path_to(dataset));
    if (!is_floating(stored.dtype())) {
      refuse(dataset, "holds {}, not floating numbers", basin::name_of(stored.dtype()));
    }
    return stored.to(dtype);
  }

  // With -1 for an extent that may be anything.
  Tensor floating(const std::string& dataset, DType dtype, const std::vector<std::int64_t>& extents,
                  const char* meaning) const {
    Tensor tensor = floating(dataset, dtype);
    bool fits = tensor.shape().rank() == static_cast<int>(extents.size());
    for (std::size_t d = 0; fits && d < extents.size(); ++d) {
      fits = extents[d] < 0 || tensor.shape()[static_cast<int>(d)] == extents[d];
    }
    if (!fits) {
      std::string wanted;
      for (const std::int64_t extent : extents) {
        wanted += (wanted.empty() ? "" : ", ") + (extent < 0 ? "any" : std::to_string(extent));
      }
      refuse(dataset, "has shape {}; needed is {}, here ({})", to_string(tensor.shape()), meaning,
             wanted);
    }
    return tensor;
  }

 private:
  Hdf5Reader file_;
  std::string name_;
};

// Rows j of a (B,H,rows,width) array with j < real(b) must be finite.
template <class Real>
void check_finite(const Group& group, const std::string& name, const Tensor& tensor, Real&& real) {
  const std::vector<double> values = tensor.to_vector<double>();
  const auto& shape = tensor.shape();
  std::size_t at = 0;
  for (std::int64_t b = 0; b < shape[0]; ++b) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t j = 0; j < shape[2]; ++j) {
        for (std::int64_t c = 0; c < shape[3]; ++c, ++at) {
          if (j < real(b) && !std::isfinite(values[at])) {
            group.refuse(name, "is {} at [{}, {}, {}, {}] in {}", values[at], b, h, j, c,
                         name_of(tensor.dtype()));
          }
        }
      }
    }
  }
}

Tensor read_key_lengths(const Group& group, std::int64_t B, std::int64_t M) {
  const std::string name = "key_lengths";
  if (!group.has(name)) {
    return {};
  }
  const Tensor stored = group.file().read(group.path_to(name));
  if ((stored.dtype() != DType::i64 && stored.dtype() != DType::i32) ||
      !(stored.shape() == Shape{B})) {
    group.refuse(name, "is {}; needed is ({}) i64", describe(stored), B);
  }
  const std::vector<std::int64_t> lengths = stored.to(DType::i64).to_vector<std::int64_t>();
  for (std::size_t b = 0; b < lengths.size(); ++b) {
    if (lengths[b] < 0 || lengths[b] > M) {
      group.refuse(name, "is {} at [{}]; there are {} keys", lengths[b], b, M);
    }
  }
  return Tensor::from(stored.shape(), lengths);
}

// One number per head: the dataset if `is_array`, else `value` for all.
Tensor read_per_head(const Group& group, const char* name, bool is_array, double value,
                     std::int64_t H, DType dtype) {
  if (!is_array) {
    return Tensor::full({H}, value, dtype);
  }
  const Tensor numbers = group.floating(name, dtype, {H}, "(H)");
  for (const double number : numbers.to_vector<double>()) {
    if (!std::isfinite(number)) {
      group.refuse(name, "holds {}", number);
    }
  }
  return numbers;
}

Tensor read_mask(const Group& group, const Shape& wanted) {
  if (!group.has("mask")) {
    return {};
  }
  const Tensor stored = group.file().read(group.path_to("mask"));
  bool fits = stored.shape().rank() == 4 &&
              (stored.dtype() == DType::u8 || stored.dtype() == DType::boolean);
  for (int d = 0; fits && d < 4; ++d) {
    fits = stored.shape()[d] == wanted[d] || (d < 2 && stored.shape()[d] == 1);
  }
  if (!fits) {
    group.refuse("mask", "is {}; needed is u8 or bool, {} or 1 in place of the first two",
                 describe(stored), to_string(wanted));
  }
  return stored;
}

DType chosen_dtype(const Group& group, const std::string& name) {
  if (name.empty()) {
    return group.dtype_of("q") == DType::f64 ? DType::f64 : DType::f32;
  }
  return name == "f64" ? DType::f64 : name == "bf16" ? DType::bf16 : DType::f32;
}

// Of numbers for a head rather than for a row of it.
DType of_heads(DType dtype) { return dtype == DType::bf16 ? DType::f32 : dtype; }

}  // namespace

std::string file_of(const std::string& source) { return source.substr(0, separator(source)); }

AssociationArrays read_association_arrays(const std::string& source, const std::string& dtype,
                                          bool with_dout) {
  const Group group(source);
  AssociationArrays a;
  a.options = read_association_options(group.file(), group.name());
  a.dtype = chosen_dtype(group, dtype);
  const bool linear = a.options.separation == Separation::linear;
  const bool has_eps = group.file().has_attribute(group.name(), "eps");
  a.eps = has_eps ? group.file().number(group.name(), "eps") : kLinearAttentionEps;
  const bool may_have_eps =
      linear || (a.options.separation == Separation::random_features && a.eps == 0);
  if ((has_eps && !may_have_eps) || !(a.eps >= 0) || !std::isfinite(a.eps)) {
    throw FileError(fmt::format("{}: '{}': an eps of {} is not supported{}", group.file().path(),
                                group.name(), a.eps, linear ? "" : " here"));
  }
  a.q = group.floating("q", a.dtype, {-1, -1, -1, -1}, "(B, H, L, D)");
  const std::int64_t B = a.q.shape()[0];
  const std::int64_t H = a.q.shape()[1];
  const std::int64_t L = a.q.shape()[2];
  const std::int64_t D = a.q.shape()[3];
  a.k = group.floating("k", a.dtype, {B, H, -1, D}, "(B, H, M, D)");
  const std::int64_t M = a.k.shape()[2];
  a.v = group.floating("v", a.dtype, {B, H, M, -1}, "(B, H, M, Dv)");
  a.key_lengths = read_key_lengths(group, B, M);
  if (!linear) {
    const double beta =
        a.options.beta != 0 ? a.options.beta : 1 / std::sqrt(static_cast<double>(D));
    a.beta = read_per_head(group, "beta_per_head", a.options.learned_beta == LearnedBeta::head,
                           beta, H, of_heads(a.dtype));
    a.mask = read_mask(group, {B, H, L, M});
  }
  if (is_kernelised(a.options.separation) && group.has("mask")) {
    group.refuse("mask", "is not supported with features");
  }
  if (a.options.separation == Separation::random_features) {
    a.projection = group.floating("projection", a.dtype, {-1, D}, "(features, D)");
  }
  if (a.options.separation == Separation::entmax) {
    a.alpha = read_per_head(group, "alpha_per_head", a.options.learned_alpha, a.options.alpha, H,
                            a.dtype);
  }
  if (group.file().has_attribute(group.name(), "random_key")) {
    a.random_key = static_cast<std::uint64_t>(group.file().integer(group.name(), "random_key"));
  }
  const auto all = [](std::int64_t) { return std::numeric_limits<std::int64_t>::max(); };
  // Padding is never read and may hold anything.
  const std::vector<std::int64_t> lengths =
      a.key_lengths.defined() ? a.key_lengths.to_vector<std::int64_t>()
                              : std::vector<std::int64_t>(static_cast<std::size_t>(B), M);
  const auto keys = [&](std::int64_t b) { return lengths[static_cast<std::size_t>(b)]; };
  check_finite(group, "q", a.q, all);
  check_finite(group, "k", a.k, keys);
  check_finite(group, "v", a.v, keys);
  if (with_dout) {
    a.dout = group.floating("dout", a.dtype, {B, H, L, a.v.shape()[3]}, "(B, H, L, Dv)");
    check_finite(group, "dout", a.dout, all);
  }
  return a;
}

}  // namespace basin::profile_kernels
