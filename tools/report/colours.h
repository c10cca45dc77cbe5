// Colours whose lightness is known, so that pictures can be read in grey.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace basin::report {

/// "#0072B2" of a colour in CIELAB's cylindrical form (CIE 15:2004, white D65; IEC 61966-2-1 for
/// sRGB): lightness in [0, 100], chroma, and hue in degrees. A chroma that screens cannot show is
/// reduced until they can.
std::string colour_of(double lightness, double chroma, double hue);

/// From dark blue over green to light yellow in steps of the same lightness: equal differences of a
/// quantity look equal, and stay so in grey.
std::vector<std::string> even_palette(std::size_t steps);

/// For classes: each has another lightness, and neighbours in the list differ much in it and in
/// hue.
std::vector<std::string> class_colours(std::size_t count);

}  // namespace basin::report
