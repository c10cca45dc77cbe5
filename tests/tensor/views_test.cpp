// Views against a model that moves plain numbers: the elements of a fresh tensor are 0, 1, 2, ...,
// so the value of an element is its place in storage, and a view is right if it shows the right
// values.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tensor/tensor.h"
#include "tests/support/expect_error.h"

namespace basin {
namespace {

using test::refuses;
using Index = std::vector<std::int64_t>;

// A row-major list of numbers with a shape, rearranged by copying.
struct Model {
  Index shape;
  std::vector<double> values;

  std::int64_t count() const {
    return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  }

  double at(const Index& index) const {
    std::int64_t flat = 0;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      flat = flat * shape[d] + index[d];
    }
    return values[static_cast<std::size_t>(flat)];
  }

  // The model of shape `to` whose element at an index is this one's element at source(index).
  template <class F>
  Model gather(const Index& to, F&& source) const {
    Model result{to, {}};
    Index index(to.size(), 0);
    for (std::int64_t n = result.count(); n > 0; --n) {
      result.values.push_back(at(source(index)));
      for (std::size_t d = to.size(); d-- > 0;) {
        if (++index[d] < to[d]) {
          break;
        }
        index[d] = 0;
      }
    }
    return result;
  }
};

Shape shape_of(const Index& extents) { return Shape(std::span<const std::int64_t>(extents)); }

Model iota(const Index& shape) {
  Model model{shape, {}};
  model.values.resize(static_cast<std::size_t>(model.count()));
  std::iota(model.values.begin(), model.values.end(), 0.0);
  return model;
}

Tensor tensor_of(const Model& model) {
  return Tensor::from<double>(shape_of(model.shape), model.values);
}

testing::AssertionResult agree(const Tensor& tensor, const Model& model) {
  if (!(tensor.shape() == shape_of(model.shape))) {
    return testing::AssertionFailure()
           << describe(tensor) << " should be " << to_string(shape_of(model.shape));
  }
  if (tensor.to_vector<double>() != model.values) {
    return testing::AssertionFailure() << to_string(tensor) << " has other elements";
  }
  return testing::AssertionSuccess();
}

// Whether some strides show these storage places in this shape: a step along a dimension must mean
// the same distance everywhere.
bool has_strides(const Model& places) {
  if (places.values.empty()) {
    return true;
  }
  std::vector<double> strides(places.shape.size(), 0.0);
  for (std::size_t d = 0; d < places.shape.size(); ++d) {
    if (places.shape[d] > 1) {
      Index unit(places.shape.size(), 0);
      unit[d] = 1;
      strides[d] = places.at(unit) - places.values[0];
    }
  }
  bool affine = true;
  (void)places.gather(places.shape, [&](const Index& index) {
    double place = places.values[0];
    for (std::size_t d = 0; d < index.size(); ++d) {
      place += strides[d] * static_cast<double>(index[d]);
    }
    affine = affine && place == places.at(index);
    return index;
  });
  return affine;
}

// A tensor and its model, changed together by random views.
class Walk {
 public:
  explicit Walk(unsigned seed) : random_(seed) {
    Index shape(below(5));
    for (std::int64_t& extent : shape) {
      // Zeros and ones now and then, because they are the special cases.
      extent = static_cast<std::int64_t>(below(12) == 0 ? 0 : 1 + below(4));
    }
    model_ = iota(shape);
    tensor_ = tensor_of(model_);
  }

  // One random view; returns its name.
  std::string step() {
    switch (below(7)) {
      case 0: return permute();
      case 1: return slice();
      case 2: return select();
      case 3: return unsqueeze();
      case 4: return expand();
      case 5: return reshape();
      default: return transpose();
    }
  }

  testing::AssertionResult check() const { return agree(tensor_, model_); }

 private:
  std::size_t below(std::size_t bound) { return random_() % bound; }
  std::size_t rank() const { return model_.shape.size(); }

  std::string permute() {
    std::vector<int> order(rank());
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random_);
    Index shape;
    for (const int d : order) {
      shape.push_back(model_.shape[static_cast<std::size_t>(d)]);
    }
    tensor_ = tensor_.permute(order);
    model_ = model_.gather(shape, [&](const Index& index) {
      Index source(index.size());
      for (std::size_t d = 0; d < order.size(); ++d) {
        source[static_cast<std::size_t>(order[d])] = index[d];
      }
      return source;
    });
    return "permute";
  }

  std::string transpose() {
    if (rank() == 0) {
      return "nothing";
    }
    const std::size_t a = below(rank());
    const std::size_t b = below(rank());
    Index shape = model_.shape;
    std::swap(shape[a], shape[b]);
    tensor_ =
        tensor_.transpose(static_cast<int>(a), static_cast<int>(b) - static_cast<int>(rank()));
    model_ = model_.gather(shape, [&](Index index) {
      std::swap(index[a], index[b]);
      return index;
    });
    return "transpose";
  }

  std::string slice() {
    if (rank() == 0) {
      return "nothing";
    }
    const std::size_t dim = below(rank());
    const auto extent = static_cast<std::size_t>(model_.shape[dim]);
    const auto begin = static_cast<std::int64_t>(below(extent + 1));
    const auto length =
        static_cast<std::int64_t>(below(extent + 1 - static_cast<std::size_t>(begin)));
    Index shape = model_.shape;
    shape[dim] = length;
    tensor_ = tensor_.slice(static_cast<int>(dim), begin, begin + length);
    model_ = model_.gather(shape, [&](Index index) {
      index[dim] += begin;
      return index;
    });
    return "slice";
  }

  std::string select() {
    if (rank() == 0) {
      return "nothing";
    }
    const std::size_t dim = below(rank());
    if (model_.shape[dim] == 0) {
      return "nothing";
    }
    const auto at = static_cast<std::int64_t>(below(static_cast<std::size_t>(model_.shape[dim])));
    Index shape = model_.shape;
    shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(dim));
    tensor_ = tensor_.select(static_cast<int>(dim), at);
    model_ = model_.gather(shape, [&](Index index) {
      index.insert(index.begin() + static_cast<std::ptrdiff_t>(dim), at);
      return index;
    });
    return "select";
  }

  std::string unsqueeze() {
    if (rank() >= 6) {
      return "nothing";
    }
    const std::size_t dim = below(rank() + 1);
    tensor_ = tensor_.unsqueeze(static_cast<int>(dim));
    model_.shape.insert(model_.shape.begin() + static_cast<std::ptrdiff_t>(dim), 1);
    return "unsqueeze";
  }

  std::string expand() {
    Index shape = model_.shape;
    for (std::int64_t& extent : shape) {
      extent = extent == 1 ? static_cast<std::int64_t>(1 + below(3)) : extent;
    }
    if (rank() < 5 && below(2) == 0) {
      shape.insert(shape.begin(), static_cast<std::int64_t>(below(3)));
    }
    if (std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()) > 2000) {
      return "nothing";
    }
    const Index from = model_.shape;
    tensor_ = tensor_.expand(shape_of(shape));
    model_ = model_.gather(shape, [&](const Index& index) {
      Index source(index.end() - static_cast<std::ptrdiff_t>(from.size()), index.end());
      for (std::size_t d = 0; d < from.size(); ++d) {
        source[d] = from[d] == 1 ? 0 : source[d];
      }
      return source;
    });
    return "expand";
  }

  // A random factorisation of the element count; view() must work exactly where strides exist.
  std::string reshape() {
    Index shape;
    std::int64_t rest = model_.count();
    while (rest > 1 && shape.size() < 4) {
      std::int64_t factor = static_cast<std::int64_t>(1 + below(6));
      factor = rest % factor == 0 ? factor : rest;
      shape.push_back(factor);
      rest /= factor;
    }
    shape.push_back(rest);
    Model reshaped{shape, model_.values};
    std::string name = "view";
    if (has_strides(reshaped)) {
      const Tensor view = tensor_.view(shape_of(shape));
      EXPECT_TRUE(view.shares_storage(tensor_));
    } else {
      name = "reshape";
      EXPECT_TRUE(refuses<Error>([&] { (void)tensor_.view(shape_of(shape)); },
                                 {"[view]", to_string(shape_of(shape)), "use reshape"}));
    }
    const Tensor before = tensor_;
    tensor_ = tensor_.reshape(shape_of(shape));
    EXPECT_EQ(tensor_.shares_storage(before), name == "view");
    if (name == "reshape") {
      // A copy: from now on the storage is another, so places start again.
      EXPECT_TRUE(agree(tensor_, reshaped));
      reshaped = iota(shape);
      tensor_ = tensor_of(reshaped);
    }
    model_ = reshaped;
    return name;
  }

  std::mt19937 random_;
  Model model_;
  Tensor tensor_;
};

TEST(Views, RandomCompositionsShowTheRightElements) {
  std::size_t reshapes = 0;
  for (unsigned seed = 0; seed < 2000; ++seed) {
    Walk walk(seed);
    std::string history;
    for (int n = 0; n < 8; ++n) {
      const std::string name = walk.step();
      history += " " + name;
      reshapes += name == "reshape" ? 1 : 0;
      ASSERT_TRUE(walk.check()) << "seed " << seed << ":" << history;
    }
  }
  EXPECT_GT(reshapes, 20u) << "the walks never needed a copy, so they tested less than they should";
}

TEST(Views, ShareStorageAndWritesGoThrough) {
  Tensor x = Tensor::zeros({3, 4}, DType::f32);
  Tensor part = x.transpose(0, 1).slice(0, 1, 3).select(1, 2);
  EXPECT_TRUE(part.shares_storage(x));
  part.fill(7.0);
  const std::vector<float> expected = {0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 0};
  EXPECT_EQ(x.to_vector<float>(), expected);
}

TEST(Views, ComputeOneUnknownExtent) {
  const Tensor x = tensor_of(iota({2, 3, 4}));
  EXPECT_TRUE(x.view({-1}).shape() == Shape{24});
  EXPECT_TRUE(x.view({6, -1}).shape() == Shape({6, 4}));
  EXPECT_TRUE(x.reshape({2, -1, 2}).shape() == Shape({2, 6, 2}));
  EXPECT_TRUE(Tensor::zeros({0, 3}, DType::f32).view({-1, 3}).shape() == Shape({0, 3}));
  EXPECT_TRUE(Tensor::zeros({}, DType::f32).view({-1}).shape() == Shape{1});
}

TEST(Views, RefuseShapesThatDoNotFit) {
  const Tensor x = tensor_of(iota({2, 3}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.view({4, 2}); }, {"[view]", "(2, 3) f64", "(4, 2)"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.reshape({4, -1}); }, {"[reshape]", "(4, -1)"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.view({-1, -1}); }, {"only one extent", "(-1, -1)"}));
  // Two negative extents have the right product.
  EXPECT_TRUE(refuses<Error>([&] { (void)x.view({-2, -3}); }, {"negative", "(-2, -3)"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.reshape({0, -1}); }, {"(0, -1)"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.transpose(0, 1).view({6}); },
                             {"(3, 2) f64", "strides (1, 3)", "use reshape"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.view({std::int64_t{1} << 62, 4}); }, {"64 bits"}));
}

TEST(Views, RefuseDimensionsAndIndicesThatDoNotExist) {
  const Tensor x = tensor_of(iota({2, 3}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.transpose(0, 2); }, {"[transpose]", "dimension 2"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.permute({0, 0}); }, {"[permute]", "(0, 0)", "(2, 3)"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.permute({1}); }, {"[permute]", "(1)", "(2, 3)"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.permute({0, 1, 1}); }, {"[permute]", "(0, 1, 1)"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.slice(1, 1, 4); }, {"[slice]", "[1, 4)", "(2, 3)"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.slice(1, -1, 2); }, {"[slice]", "[-1, 2)"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.slice(1, 2, 1); }, {"[slice]", "[2, 1)"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.select(0, 2); }, {"[select]", "index 2", "(2, 3)"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.select(0, -1); }, {"[select]", "index -1"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.unsqueeze(3); }, {"[unsqueeze]", "dimension 3"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.expand({4, 3}); }, {"[expand]", "(2, 3)", "(4, 3)"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.expand({3}); }, {"[expand]", "(2, 3) f64", "(3)"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.size(2); }, {"[size]", "dimension 2"}));
  const Tensor wide = Tensor::zeros({1, 1, 1, 1, 1, 1, 1, 1}, DType::u8);
  EXPECT_TRUE(refuses<Error>([&] { (void)wide.unsqueeze(0); }, {"at most 8 dimensions"}));
}

TEST(Views, KnowWhetherTheyAreContiguous) {
  const Tensor x = tensor_of(iota({3, 4}));
  EXPECT_TRUE(x.is_contiguous());
  EXPECT_TRUE(x.slice(0, 1, 3).is_contiguous());
  EXPECT_FALSE(x.slice(1, 1, 3).is_contiguous());
  EXPECT_FALSE(x.transpose(0, 1).is_contiguous());
  EXPECT_FALSE(x.select(1, 0).unsqueeze(1).expand({3, 2}).is_contiguous());
  // The stride of an extent of 1 is never used, and nothing is out of order in an empty tensor.
  EXPECT_TRUE(x.slice(0, 0, 1).transpose(0, 1).is_contiguous());
  EXPECT_TRUE(x.slice(1, 2, 2).is_contiguous());
  EXPECT_TRUE(x.contiguous().shares_storage(x));
  const Tensor copy = x.transpose(0, 1).contiguous();
  EXPECT_TRUE(copy.is_contiguous());
  EXPECT_FALSE(copy.shares_storage(x));
}

}  // namespace
}  // namespace basin
