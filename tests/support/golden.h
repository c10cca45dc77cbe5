// The reference vectors of tests/golden/reference.h5.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "autograd/variable.h"
#include "tensor/io/hdf5.h"

namespace basin::test {

/// One group of the file in a dtype: f64 to compare arithmetic, f32 for what models compute.
class GoldenGroup {
 public:
  GoldenGroup(const std::string& group, DType dtype) : group_(group), dtype_(dtype) {}

  bool has(const std::string& name) const { return file().has(group_ + "/" + name); }
  /// Floating arrays in the dtype of the group, others as they are.
  Tensor tensor(const std::string& name) const {
    const Tensor stored = file().read(group_ + "/" + name);
    return is_floating(stored.dtype()) ? stored.to(dtype_) : stored;
  }
  Variable variable(const std::string& name) const { return Variable(tensor(name), true); }

  bool has_attribute(const std::string& name) const { return file().has_attribute(group_, name); }
  double number(const std::string& name) const { return file().number(group_, name); }
  std::string text(const std::string& name) const { return file().text(group_, name); }
  /// The attribute, or `fallback` where the group has none.
  double number(const std::string& name, double fallback) const {
    return has_attribute(name) ? number(name) : fallback;
  }

  /// Passes if |actual - expected| <= tolerance (1 + |expected|) in every element of the array.
  testing::AssertionResult agrees(const Tensor& actual, const std::string& name) const {
    const Tensor stored = file().read(group_ + "/" + name);
    if (!actual.defined() || !(actual.shape() == stored.shape())) {
      return testing::AssertionFailure()
             << group_ << "/" << name << " is " << describe(stored) << ", not " << describe(actual);
    }
    const std::vector<double> x = actual.to_vector<double>();
    const std::vector<double> y = stored.to_vector<double>();
    for (std::size_t n = 0; n < y.size(); ++n) {
      if (!(std::abs(x[n] - y[n]) <= tolerance() * (1 + std::abs(y[n])))) {
        return testing::AssertionFailure()
               << group_ << "/" << name << " element " << n << ": " << x[n] << ", not " << y[n];
      }
    }
    return testing::AssertionSuccess();
  }

 private:
  // f64: both sides were computed with about 16 digits, in another order. f32: a few dozen
  // roundings of 6e-8.
  double tolerance() const { return dtype_ == DType::f64 ? 1e-9 : 2e-5; }

  static const Hdf5Reader& file() {
    static const Hdf5Reader reader(BASIN_SOURCE_DIR "/tests/golden/reference.h5");
    return reader;
  }

  std::string group_;
  DType dtype_;
};

/// The groups below a name, in order: golden_groups("/attention").
inline std::vector<std::string> golden_groups(const std::string& above) {
  std::vector<std::string> names;
  for (const std::string& name :
       Hdf5Reader(BASIN_SOURCE_DIR "/tests/golden/reference.h5").members(above)) {
    names.push_back(above + "/" + name);
  }
  return names;
}

/// Tests of one group in one dtype.
class GoldenTest : public testing::TestWithParam<std::tuple<std::string, DType>> {
 protected:
  GoldenGroup golden() const { return {std::get<0>(GetParam()), std::get<1>(GetParam())}; }
  std::string group() const { return std::get<0>(GetParam()); }
  DType dtype() const { return std::get<1>(GetParam()); }
};

inline std::string golden_test_name(
    const testing::TestParamInfo<std::tuple<std::string, DType>>& info) {
  std::string name = std::get<0>(info.param).substr(1) + "_" + name_of(std::get<1>(info.param));
  for (char& c : name) {
    c = c == '/' || c == '.' ? '_' : c;
  }
  return name;
}

}  // namespace basin::test
