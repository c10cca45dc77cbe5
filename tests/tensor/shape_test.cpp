// Extents, products that do not fit, broadcasting.
#include "tensor/shape.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "tensor/error.h"
#include "tests/support/expect_error.h"

namespace basin {
namespace {

using test::refuses;

constexpr std::int64_t kLarge = std::int64_t{1} << 40;
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

std::vector<std::int64_t> entries(const Shape& shape) { return {shape.begin(), shape.end()}; }

TEST(Shape, IsAShortListInPlace) {
  Shape shape = {2, 3};
  shape.push_back(5);
  shape.insert(1, 7);
  EXPECT_EQ(entries(shape), (std::vector<std::int64_t>{2, 7, 3, 5}));
  shape.insert(4, 9);
  shape.erase(0);
  EXPECT_EQ(entries(shape), (std::vector<std::int64_t>{7, 3, 5, 9}));
  shape[2] = 6;
  EXPECT_EQ(shape[2], 6);
  EXPECT_EQ(shape.rank(), 4);
  EXPECT_EQ(to_string(shape), "(7, 3, 6, 9)");
  EXPECT_EQ(to_string(Shape{}), "()");
  EXPECT_TRUE(shape == Shape({7, 3, 6, 9}));
  EXPECT_FALSE(shape == Shape({7, 3, 6}));
  EXPECT_FALSE(Shape{} == Shape{1});
}

TEST(Shape, TakesEightEntriesAndNoMore) {
  Shape full = {1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(full.rank(), kMaxRank);
  EXPECT_TRUE(refuses<Error>([&] { full.push_back(9); },
                             {"at most 8 dimensions", "(1, 2, 3, 4, 5, 6, 7, 8)"}));
  EXPECT_TRUE(refuses<Error>([&] { full.insert(0, 9); }, {"at most 8 dimensions"}));
  EXPECT_TRUE(
      refuses<Error>([] { (void)Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}; }, {"at most 8 dimensions"}));
}

TEST(Shape, CountsElements) {
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ((Shape{4, 5, 6}).numel(), 120);
  EXPECT_EQ((Shape{4, 0, 6}).numel(), 0);
  EXPECT_EQ((Shape{kMax}).numel(), kMax);
}

TEST(Shape, RefusesProductsBeyond64Bits) {
  EXPECT_TRUE(refuses<Error>(
      [] {
        (void)Shape({kLarge, kLarge}).numel();
      },
      {"1099511627776 x 1099511627776", "64 bits"}));
  EXPECT_TRUE(refuses<Error>([] { (void)Shape({kMax, 2}).numel(); }, {"64 bits"}));
  // Where the zero stands makes no difference: strides are products too.
  EXPECT_TRUE(refuses<Error>([] { (void)Shape({0, kLarge, kLarge}).numel(); }, {"64 bits"}));
  EXPECT_TRUE(refuses<Error>([] { (void)Shape({kLarge, kLarge, 0}).numel(); }, {"64 bits"}));
}

TEST(Shape, RefusesNegativeExtents) {
  EXPECT_TRUE(refuses<Error>([] { (void)Shape({2, -3}).numel(); }, {"negative", "(2, -3)"}));
  EXPECT_TRUE(refuses<Error>([] { (void)Shape({0, -1}).numel(); }, {"negative", "(0, -1)"}));
  EXPECT_TRUE(refuses<Error>([] { (void)Shape({-2, -3}).numel(); }, {"negative"}));
}

TEST(Shape, CheckedProductKnowsTheBorder) {
  EXPECT_EQ(checked_product(kMax, 1), kMax);
  EXPECT_EQ(checked_product(kMax / 2, 2), kMax - 1);
  EXPECT_EQ(checked_product(0, kMax), 0);
  EXPECT_TRUE(refuses<Error>([] { (void)checked_product(kMax / 2 + 1, 2); }, {"64 bits"}));
}

TEST(Shape, ContiguousStridesAreRowMajor) {
  EXPECT_EQ(entries(contiguous_strides({2, 3, 4})), (std::vector<std::int64_t>{12, 4, 1}));
  EXPECT_EQ(entries(contiguous_strides({5})), (std::vector<std::int64_t>{1}));
  EXPECT_EQ(contiguous_strides({}).rank(), 0);
}

TEST(Shape, DimensionsCountFromBothEnds) {
  for (int rank = 1; rank <= kMaxRank; ++rank) {
    for (int dim = 0; dim < rank; ++dim) {
      EXPECT_EQ(normalise_dim(dim, rank, "here"), dim);
      EXPECT_EQ(normalise_dim(dim - rank, rank, "here"), dim);
    }
    EXPECT_TRUE(refuses<Error>([=] { (void)normalise_dim(rank, rank, "here"); }, {"[here]"}));
    EXPECT_TRUE(refuses<Error>([=] { (void)normalise_dim(-rank - 1, rank, "here"); }, {"[here]"}));
  }
  EXPECT_TRUE(refuses<Error>([] { (void)normalise_dim(0, 0, "here"); }, {"rank 0"}));
}

TEST(Shape, BroadcastsFromTheRight) {
  const auto check = [](const Shape& a, const Shape& b, const Shape& expected) {
    EXPECT_TRUE(broadcast(a, b, "here") == expected) << to_string(a) << " " << to_string(b);
    EXPECT_TRUE(broadcast(b, a, "here") == expected) << to_string(b) << " " << to_string(a);
  };
  check({2, 3}, {2, 3}, {2, 3});
  check({2, 3}, {3}, {2, 3});
  check({2, 1, 4}, {3, 1}, {2, 3, 4});
  check({}, {2, 3}, {2, 3});
  check({}, {}, {});
  check({1}, {0}, {0});
  check({0, 3}, {1}, {0, 3});
  check({1, 1, 1}, {1}, {1, 1, 1});
}

TEST(Shape, RefusesToBroadcastOtherExtents) {
  EXPECT_TRUE(refuses<Error>(
      [] {
        (void)broadcast({2, 3}, {2, 4}, "here");
      },
      {"[here]", "(2, 3)", "(2, 4)", "dimension 1"}));
  EXPECT_TRUE(refuses<Error>([] { (void)broadcast({2, 3}, {2}, "here"); }, {"(2, 3)", "(2)"}));
  EXPECT_TRUE(refuses<Error>([] { (void)broadcast({0}, {3}, "here"); }, {"(0)", "(3)"}));
}

}  // namespace
}  // namespace basin
