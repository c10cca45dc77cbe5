// Both 16-bit formats, exhaustively: every pattern, and every border between two neighbours.
#include "kernels/common/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace basin::kernels {
namespace {

// One set of tests for both formats: widths of the fields, and the conversions under test.
struct BFloat16Format {
  static constexpr int kExponentBits = 8;
  static constexpr int kFractionBits = 7;
  static float decode(std::uint16_t bits) { return to_float(BFloat16{bits}); }
  template <class T>
  static std::uint16_t encode(T value) {
    return to_bfloat16(value).bits;
  }
};

struct Float16Format {
  static constexpr int kExponentBits = 5;
  static constexpr int kFractionBits = 10;
  static float decode(std::uint16_t bits) { return to_float(Float16{bits}); }
  template <class T>
  static std::uint16_t encode(T value) {
    return to_float16(value).bits;
  }
};

template <class Format>
class HalfFormat : public testing::Test {
 protected:
  static constexpr unsigned kInfinityBits = ((1u << Format::kExponentBits) - 1u)
                                            << Format::kFractionBits;
  static constexpr unsigned kSign = 0x8000u;

  // The definition of IEEE 754: sign, biased exponent, fraction.
  static double value_of(unsigned bits) {
    const int bias = (1 << (Format::kExponentBits - 1)) - 1;
    const int field = static_cast<int>((bits & ~kSign) >> Format::kFractionBits);
    const auto fraction = static_cast<double>(bits & ((1u << Format::kFractionBits) - 1u));
    const double hidden = field == 0 ? 0.0 : std::ldexp(1.0, Format::kFractionBits);
    const int exponent = (field == 0 ? 1 : field) - bias - Format::kFractionBits;
    const double magnitude = std::ldexp(hidden + fraction, exponent);
    return (bits & kSign) != 0 ? -magnitude : magnitude;
  }
};

using Formats = testing::Types<BFloat16Format, Float16Format>;
TYPED_TEST_SUITE(HalfFormat, Formats);

TYPED_TEST(HalfFormat, DecodesAndReencodesEveryPattern) {
  for (unsigned bits = 0; bits < 0x10000u; ++bits) {
    const auto pattern = static_cast<std::uint16_t>(bits);
    const float value = TypeParam::decode(pattern);
    const unsigned magnitude = bits & ~this->kSign;
    if (magnitude > this->kInfinityBits) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      ASSERT_TRUE(std::isnan(TypeParam::decode(TypeParam::encode(value)))) << bits;
      ASSERT_TRUE(std::isnan(TypeParam::decode(TypeParam::encode(static_cast<double>(value)))))
          << bits;
      continue;
    }
    if (magnitude == this->kInfinityBits) {
      ASSERT_TRUE(std::isinf(value)) << bits;
    } else {
      ASSERT_EQ(static_cast<double>(value), this->value_of(bits)) << bits;
    }
    ASSERT_EQ(std::signbit(value), (bits & this->kSign) != 0) << bits;
    ASSERT_EQ(TypeParam::encode(value), pattern);
    ASSERT_EQ(TypeParam::encode(static_cast<double>(value)), pattern);
  }
}

// The border between two neighbours lies half-way (exact in f32: one more bit). On it, the even
// pattern wins; the next f32, or f64, to either side goes to that side. The last border is the one
// to infinity.
TYPED_TEST(HalfFormat, RoundsToNearestEvenAtEveryBorder) {
  for (const unsigned sign : {0u, this->kSign}) {
    for (unsigned low = 0; low < this->kInfinityBits; ++low) {
      const unsigned high = low + 1;
      const double middle = (this->value_of(sign | low) + this->value_of(sign | high)) / 2;
      const auto border = static_cast<float>(middle);
      ASSERT_EQ(static_cast<double>(border), middle) << low;
      const float outwards = sign == 0 ? std::numeric_limits<float>::infinity()
                                       : -std::numeric_limits<float>::infinity();
      const auto even = static_cast<std::uint16_t>(sign | (low % 2 == 0 ? low : high));
      const auto inner = static_cast<std::uint16_t>(sign | low);
      const auto outer = static_cast<std::uint16_t>(sign | high);
      ASSERT_EQ(TypeParam::encode(border), even) << low;
      ASSERT_EQ(TypeParam::encode(std::nextafter(border, 0.0f)), inner) << low;
      ASSERT_EQ(TypeParam::encode(std::nextafter(border, outwards)), outer) << low;
      // Too near the border for f32: one rounding is right, two would not be.
      ASSERT_EQ(TypeParam::encode(middle), even) << low;
      ASSERT_EQ(TypeParam::encode(std::nextafter(middle, 0.0)), inner) << low;
      ASSERT_EQ(TypeParam::encode(std::nextafter(middle, static_cast<double>(outwards))), outer)
          << low;
    }
  }
}

TYPED_TEST(HalfFormat, KeepsWhatIsNoOrdinaryNumber) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(TypeParam::encode(infinity), this->kInfinityBits);
  EXPECT_EQ(TypeParam::encode(-infinity), this->kSign | this->kInfinityBits);
  EXPECT_EQ(TypeParam::encode(std::numeric_limits<float>::max()), this->kInfinityBits);
  EXPECT_EQ(TypeParam::encode(1e300), this->kInfinityBits);
  EXPECT_EQ(TypeParam::encode(-1e300), this->kSign | this->kInfinityBits);
  EXPECT_EQ(TypeParam::encode(1e-300), 0u);
  EXPECT_EQ(TypeParam::encode(-1e-300), this->kSign);
  EXPECT_EQ(TypeParam::encode(-0.0f), this->kSign);
  // A signalling NaN with a payload in the low bits only must not be cut off to infinity.
  for (const std::uint32_t bits : {0x7F800001u, 0xFF800001u, 0x7FC00000u, 0x7FFFFFFFu}) {
    EXPECT_TRUE(std::isnan(TypeParam::decode(TypeParam::encode(std::bit_cast<float>(bits)))))
        << bits;
  }
}

}  // namespace
}  // namespace basin::kernels
