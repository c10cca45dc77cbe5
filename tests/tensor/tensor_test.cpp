// Making tensors, reading and writing their elements, versions.
#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "tensor/error.h"
#include "tests/support/allocators.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"

namespace basin {
namespace {

using test::refuses;
using test::same_bits;

constexpr DType kAllDTypes[] = {DType::f32, DType::f64, DType::bf16, DType::f16,
                                DType::i32, DType::i64, DType::u8,   DType::boolean};

TEST(Tensor, UndefinedHasNoElements) {
  const Tensor none;
  EXPECT_FALSE(none.defined());
  EXPECT_EQ(describe(none), "undefined tensor");
  EXPECT_EQ(none.version(), 0u);
  EXPECT_TRUE(refuses<Error>([&] { (void)none.raw(); }, {"undefined"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)none.data<float>(); }, {"undefined"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)none.clone(); }, {"undefined"}));
}

TEST(Tensor, FullAndZerosInEveryDType) {
  const ScopedAllocator scope(std::make_shared<test::NanFillingAllocator>());
  for (const DType dtype : kAllDTypes) {
    EXPECT_EQ(Tensor::zeros({2, 3}, dtype).to_vector<double>(), std::vector<double>(6, 0.0));
    EXPECT_EQ(Tensor::full({2}, 1.0, dtype).to_vector<double>(), std::vector<double>(2, 1.0));
    EXPECT_EQ(Tensor::full({}, 1.0, dtype).numel(), 1);
    EXPECT_EQ(Tensor::full({0, 3}, 1.0, dtype).to_vector<double>(), std::vector<double>{});
    EXPECT_EQ(Tensor::zeros({3}, dtype).dtype(), dtype);
  }
}

TEST(Tensor, FromCopiesTheValues) {
  std::vector<std::int64_t> values = {1, 2, 3, 4, 5, std::numeric_limits<std::int64_t>::min()};
  const Tensor x = Tensor::from<std::int64_t>({2, 3}, values);
  const std::vector<std::int64_t> copy = values;
  values[0] = 99;
  EXPECT_EQ(x.to_vector<std::int64_t>(), copy);
  EXPECT_TRUE(refuses<Error>([&] { (void)Tensor::from<std::int64_t>({4}, values); },
                             {"[from]", "6 values", "(4)"}));
}

TEST(Tensor, RefusesShapesNoMemoryHolds) {
  EXPECT_TRUE(refuses<Error>([] { (void)Tensor::empty({2, -3}, DType::f32); }, {"(2, -3)"}));
  EXPECT_TRUE(refuses<Error>(
      [] {
        (void)Tensor::empty({std::int64_t{1} << 32, std::int64_t{1} << 32}, DType::u8);
      },
      {"64 bits"}));
  // The count fits, the bytes do not.
  EXPECT_TRUE(refuses<Error>([] { (void)Tensor::empty({std::int64_t{1} << 61}, DType::f64); },
                             {"2305843009213693952 x 8", "64 bits"}));
  EXPECT_TRUE(refuses<OutOfMemory>([] { (void)Tensor::empty({std::int64_t{1} << 60}, DType::f32); },
                                   {"4611686018427387904 bytes requested"}));
}

TEST(Tensor, TypedAccessChecksTheDType) {
  Tensor x = Tensor::full({2}, 3.0, DType::f32);
  EXPECT_EQ(x.data<float>()[1], 3.0f);
  x.mutable_data<float>()[1] = 4.0f;
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{3.0f, 4.0f}));
  EXPECT_TRUE(
      refuses<Error>([&] { (void)x.data<double>(); }, {"(2) f32", "read as f64", "convert"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)x.mutable_data<std::int64_t>(); }, {"read as i64"}));
}

TEST(Tensor, ItemIsTheOnlyElement) {
  EXPECT_EQ(Tensor::full({1, 1}, 2.5, DType::f16).item(), 2.5);
  EXPECT_EQ(Tensor::full({}, -7, DType::i64).item(), -7.0);
  EXPECT_TRUE(refuses<Error>([] { (void)Tensor::zeros({2}, DType::f32).item(); },
                             {"[item]", "one element", "(2) f32"}));
  EXPECT_TRUE(
      refuses<Error>([] { (void)Tensor::zeros({0}, DType::f32).item(); }, {"[item]", "(0) f32"}));
}

TEST(Tensor, HandlesShareAndClonesDoNot) {
  Tensor x = Tensor::zeros({2}, DType::f32);
  const Tensor handle = x;
  const Tensor copy = x.clone();
  x.fill(5.0);
  EXPECT_EQ(handle.to_vector<float>(), (std::vector<float>{5, 5}));
  EXPECT_EQ(copy.to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_TRUE(handle.shares_storage(x));
  EXPECT_FALSE(copy.shares_storage(x));
}

TEST(Tensor, EveryWriteRaisesTheVersionOfAllViews) {
  Tensor x = Tensor::zeros({2, 3}, DType::f32);
  const Tensor view = x.transpose(0, 1);
  std::uint64_t version = x.version();
  const auto rises = [&] {
    const bool risen = x.version() > version && view.version() == x.version();
    version = x.version();
    return risen;
  };
  x.fill(1.0);
  EXPECT_TRUE(rises());
  x.copy_from(Tensor::zeros({2, 3}, DType::i32));
  EXPECT_TRUE(rises());
  (void)x.mutable_data<float>();
  EXPECT_TRUE(rises());
  x.select(0, 1).fill(2.0);
  EXPECT_TRUE(rises());
  (void)x.data<float>();
  (void)x.clone();
  (void)x.to_vector<float>();
  EXPECT_FALSE(rises()) << "reading is no write";
}

TEST(Tensor, FillStaysInsideAView) {
  for (const DType dtype : kAllDTypes) {
    Tensor x = Tensor::zeros({3, 4}, dtype);
    x.slice(1, 1, 3).slice(0, 0, 2).fill(1.0);
    EXPECT_EQ(x.to_vector<double>(), (std::vector<double>{0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0}));
  }
}

TEST(Tensor, CopyFromNeedsTheSameShape) {
  Tensor x = Tensor::zeros({2, 3}, DType::f32);
  EXPECT_TRUE(refuses<Error>(
      [&] {
        x.copy_from(Tensor::zeros({3, 2}, DType::f32));
      },
      {"[copy_from]", "(3, 2) f32", "(2, 3) f32"}));
  EXPECT_TRUE(refuses<Error>([&] { x.copy_from(Tensor::zeros({3}, DType::f64)); }, {"(3) f64"}));
}

// What converting one number means, by the C++ types that hold it.
double converted(double value, DType to) {
  switch (to) {
    case DType::i32: return static_cast<std::int32_t>(value);
    case DType::i64: return static_cast<double>(static_cast<std::int64_t>(value));
    case DType::u8: return static_cast<std::uint8_t>(value);
    case DType::boolean: return value != 0.0 ? 1.0 : 0.0;
    default: return value;
  }
}

TEST(Convert, BetweenAllDTypesFromAnyStrides) {
  // All of them exact in every floating type, so that only the kind of the target matters.
  const std::vector<double> values = {0, 1, 2, 3.5, 100.5, 0.5, 64, 7, 12, 0.25, 96, 5};
  for (const DType from : kAllDTypes) {
    const Tensor source = Tensor::from<double>({3, 4}, values).to(from);
    const std::vector<double> held = source.to_vector<double>();
    for (std::size_t n = 0; n < values.size(); ++n) {
      EXPECT_EQ(held[n], converted(values[n], from)) << name_of(from);
    }
    for (const DType to : kAllDTypes) {
      const Tensor target = source.transpose(0, 1).to(to);
      ASSERT_EQ(target.dtype(), to);
      ASSERT_TRUE(target.shape() == Shape({4, 3}));
      const std::vector<double> result = target.transpose(0, 1).to_vector<double>();
      for (std::size_t n = 0; n < values.size(); ++n) {
        EXPECT_EQ(result[n], converted(held[n], to)) << name_of(from) << " to " << name_of(to);
      }
      // Into a part of something larger, with other strides on both sides.
      Tensor whole = Tensor::full({6, 5}, 1.0, to);
      Tensor part = whole.slice(0, 1, 5).slice(1, 1, 4);
      part.copy_from(source.transpose(0, 1));
      EXPECT_TRUE(same_bits(part, target)) << name_of(from) << " to " << name_of(to);
      part.fill(1.0);
      EXPECT_EQ(whole.to_vector<double>(), std::vector<double>(30, 1.0)) << "wrote outside";
    }
  }
}

TEST(Convert, CutsTowardsZeroAndRoundsToEven) {
  const Tensor x = Tensor::from<double>({4}, std::vector<double>{-1.75, 1.75, -0.5, 200.9});
  EXPECT_EQ(x.to(DType::i32).to_vector<std::int32_t>(), (std::vector<std::int32_t>{-1, 1, 0, 200}));
  EXPECT_EQ(x.to(DType::i64).to_vector<std::int64_t>(), (std::vector<std::int64_t>{-1, 1, 0, 200}));
  EXPECT_EQ(x.to(DType::boolean).to_vector<double>(), (std::vector<double>{1, 1, 1, 1}));
  // bf16 has 8 significant bits: 257 lies between 256 and 258, and 256 is the even one; the
  // smallest step above that middle must go up, also when f32 would round the step away.
  const double middle = 257.0;
  const Tensor y = Tensor::from<double>(
      {4}, std::vector<double>{middle, middle + 1e-9, 259.0, std::nextafter(259.0, 0.0)});
  EXPECT_EQ(y.to(DType::bf16).to_vector<double>(), (std::vector<double>{256, 258, 260, 258}));
  // f16 has 11: the same with 2049.
  const Tensor z =
      Tensor::from<double>({3}, std::vector<double>{2049.0, 2049.0 + 1e-9, 65504.0 * 2});
  EXPECT_EQ(z.to(DType::f16).to_vector<double>(),
            (std::vector<double>{2048, 2050, std::numeric_limits<double>::infinity()}));
}

TEST(Convert, KeepsNanAndLargeIntegers) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    EXPECT_TRUE(std::isnan(Tensor::full({1}, nan, dtype).item())) << name_of(dtype);
  }
  const std::vector<std::int64_t> large = {(std::int64_t{1} << 62) + 1};
  EXPECT_EQ(Tensor::from<std::int64_t>({1}, large).clone().to_vector<std::int64_t>(), large);
}

TEST(Convert, ToTheSameDTypeIsTheSameTensor) {
  const Tensor x = Tensor::zeros({2}, DType::f32);
  EXPECT_TRUE(x.to(DType::f32).shares_storage(x));
  EXPECT_FALSE(x.to(DType::f64).shares_storage(x));
}

TEST(Print, ShowsNestedListsAndShortensLongOnes) {
  EXPECT_EQ(to_string(Tensor::from<float>({2, 2}, std::vector<float>{1, 2.5f, -3, 1e10f})),
            "[[1, 2.5], [-3, 1e+10]] (2, 2) f32");
  EXPECT_EQ(to_string(Tensor::full({}, 3, DType::i64)), "3 () i64");
  EXPECT_EQ(to_string(Tensor::zeros({0, 2}, DType::f64)), "[] (0, 2) f64");
  EXPECT_EQ(to_string(Tensor::zeros({2, 0}, DType::f64)), "[[], []] (2, 0) f64");
  EXPECT_EQ(to_string(Tensor()), "undefined tensor");
  std::vector<std::int32_t> many(100);
  for (std::size_t n = 0; n < many.size(); ++n) {
    many[n] = static_cast<std::int32_t>(n);
  }
  EXPECT_EQ(to_string(Tensor::from<std::int32_t>({100}, many)),
            "[0, 1, 2, ..., 97, 98, 99] (100) i32");
  // Up to six elements are shown; with seven, the dots stand for the one in the middle.
  many.resize(6);
  EXPECT_EQ(to_string(Tensor::from<std::int32_t>({6}, many)), "[0, 1, 2, 3, 4, 5] (6) i32");
  many.push_back(6);
  EXPECT_EQ(to_string(Tensor::from<std::int32_t>({7}, many)), "[0, 1, 2, ..., 4, 5, 6] (7) i32");
  EXPECT_EQ(
      to_string(
          Tensor::from<double>({2}, std::vector<double>{std::nan(""), HUGE_VAL}).to(DType::f16)),
      "[nan, inf] (2) f16");
  EXPECT_EQ(to_string(Tensor::full({2}, 1, DType::boolean)), "[1, 1] (2) bool");
}

TEST(Print, DescribesForMessages) {
  EXPECT_EQ(describe(Tensor::zeros({2, 3}, DType::bf16)), "(2, 3) bf16");
  EXPECT_EQ(describe(Tensor::zeros({}, DType::u8)), "() u8");
}

}  // namespace
}  // namespace basin
