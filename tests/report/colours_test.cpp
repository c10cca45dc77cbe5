// Colours against values of other programs, and their lightness.
#include "tools/report/colours.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace basin::report {
namespace {

double linear(int eight_bits) {
  const double value = eight_bits / 255.0;
  return value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
}

// CIE lightness of "#RRGGBB".
double lightness(const std::string& colour) {
  const auto part = [&](std::size_t at) {
    return linear(std::stoi(colour.substr(at, 2), nullptr, 16));
  };
  const double y = 0.2126729 * part(1) + 0.7151522 * part(3) + 0.0721750 * part(5);
  return y > 216.0 / 24389.0 ? 116.0 * std::cbrt(y) - 16.0 : y * 24389.0 / 27.0;
}

TEST(Colours, GreysAndPrimaries) {
  EXPECT_EQ(colour_of(0, 0, 0), "#000000");
  EXPECT_EQ(colour_of(100, 0, 0), "#FFFFFF");
  EXPECT_EQ(colour_of(53.585, 0, 0), "#808080");
  // CIELAB of sRGB's red, green and blue.
  EXPECT_EQ(colour_of(53.2408, 104.5518, 39.9990), "#FF0000");
  EXPECT_EQ(colour_of(87.7347, 119.7759, 136.0160), "#00FF00");
  EXPECT_EQ(colour_of(32.2970, 133.8076, 306.2849), "#0000FF");
}

TEST(Colours, PaletteIsEvenInLightness) {
  const std::vector<std::string> palette = even_palette(17);
  for (std::size_t n = 1; n < palette.size(); ++n) {
    EXPECT_NEAR(lightness(palette[n]) - lightness(palette[n - 1]), 74.0 / 16.0, 0.8) << n;
  }
}

TEST(Colours, ClassesDifferInGrey) {
  for (std::size_t count : {1U, 2U, 3U, 5U, 8U, 12U}) {
    const std::vector<std::string> colours = class_colours(count);
    ASSERT_EQ(colours.size(), count);
    std::vector<double> greys;
    for (const std::string& colour : colours) {
      greys.push_back(lightness(colour));
    }
    for (std::size_t n = 1; n < count; ++n) {
      EXPECT_GT(std::abs(greys[n] - greys[n - 1]), 18.0) << count << ' ' << n;
    }
    std::sort(greys.begin(), greys.end());
    for (std::size_t n = 1; n < count; ++n) {
      EXPECT_GT(greys[n] - greys[n - 1], 0.8 * 62.0 / static_cast<double>(count - 1)) << count;
    }
  }
}

}  // namespace
}  // namespace basin::report
