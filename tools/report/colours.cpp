#include "tools/report/colours.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace basin::report {

namespace {

// Linear sRGB; outside [0, 1] where a screen cannot show the colour.
std::array<double, 3> linear_rgb(double lightness, double chroma, double hue) {
  const double angle = hue * M_PI / 180.0;
  const auto root = [](double f) {
    const double limit = 6.0 / 29.0;
    return f > limit ? f * f * f : 3.0 * limit * limit * (f - 4.0 / 29.0);
  };
  const double fy = (lightness + 16.0) / 116.0;
  const double x = 0.95047 * root(fy + chroma * std::cos(angle) / 500.0);
  const double y = root(fy);
  const double z = 1.08883 * root(fy - chroma * std::sin(angle) / 200.0);
  return {3.2404542 * x - 1.5371385 * y - 0.4985314 * z,
          -0.9692660 * x + 1.8760108 * y + 0.0415560 * z,
          0.0556434 * x - 0.2040259 * y + 1.0572252 * z};
}

int eight_bits(double linear) {
  const double value = std::clamp(linear, 0.0, 1.0);
  const double encoded =
      value <= 0.0031308 ? 12.92 * value : 1.055 * std::pow(value, 1.0 / 2.4) - 0.055;
  return static_cast<int>(std::lround(255.0 * encoded));
}

}  // namespace

std::string colour_of(double lightness, double chroma, double hue) {
  std::array<double, 3> rgb = linear_rgb(lightness, chroma, hue);
  const auto is_shown = [&rgb] {
    return std::all_of(rgb.begin(), rgb.end(), [](double v) { return v >= -1e-4 && v <= 1.0001; });
  };
  while (!is_shown() && chroma > 0.0) {
    chroma = std::max(0.0, chroma - 1.0);
    rgb = linear_rgb(lightness, chroma, hue);
  }
  return fmt::format("#{:02X}{:02X}{:02X}", eight_bits(rgb[0]), eight_bits(rgb[1]),
                     eight_bits(rgb[2]));
}

std::vector<std::string> even_palette(std::size_t steps) {
  std::vector<std::string> colours;
  for (std::size_t n = 0; n < steps; ++n) {
    const double share = steps < 2 ? 0.0 : static_cast<double>(n) / static_cast<double>(steps - 1);
    colours.push_back(colour_of(20.0 + 74.0 * share, 45.0, 290.0 - 195.0 * share));
  }
  return colours;
}

std::vector<std::string> class_colours(std::size_t count) {
  // The lightness in steps of a bit more than half of the range, so that neighbours are far apart.
  std::vector<std::size_t> levels;
  const std::size_t half = (count + 1) / 2;
  for (std::size_t n = 0; n < count; ++n) {
    levels.push_back(n % 2 == 0 ? n / 2 : half + n / 2);
  }
  std::vector<std::string> colours;
  for (std::size_t n = 0; n < count; ++n) {
    const double share =
        count < 2 ? 0.5 : static_cast<double>(levels[n]) / static_cast<double>(count - 1);
    // The golden angle spreads any number of hues.
    colours.push_back(colour_of(30.0 + 62.0 * share, 42.0,
                                std::fmod(265.0 + 137.50776 * static_cast<double>(n), 360.0)));
  }
  return colours;
}

}  // namespace basin::report
