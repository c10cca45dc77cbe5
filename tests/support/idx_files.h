// Small idx files, written byte by byte.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace basin::test {

/// An idx file of unsigned bytes, or of the kind of number given.
inline std::string idx_bytes(const std::vector<std::uint32_t>& extents, const std::string& numbers,
                             char kind = '\x08') {
  std::string bytes{'\0', '\0', kind, static_cast<char>(extents.size())};
  for (const std::uint32_t extent : extents) {
    for (const int shift : {24, 16, 8, 0}) {
      bytes.push_back(static_cast<char>(extent >> shift));
    }
  }
  return bytes + numbers;
}

inline void write_gzip(const std::string& path, const std::string& bytes) {
  const gzFile file = gzopen(path.c_str(), "wb");
  if (file == nullptr ||
      gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())) !=
          static_cast<int>(bytes.size()) ||
      gzclose(file) != Z_OK) {
    throw std::runtime_error("cannot write " + path);
  }
}

/// A digit-like picture: a bright bar whose place and length say the label, with a few bright
/// pixels that depend on `number`.
inline std::string bar_image(int label, int number) {
  std::string pixels(28 * 28, '\0');
  for (int column = 4; column < 10 + label; ++column) {
    for (int row = 2 + 2 * label; row < 5 + 2 * label; ++row) {
      pixels[static_cast<std::size_t>(28 * row + column)] = '\xff';
    }
  }
  std::uint32_t x = static_cast<std::uint32_t>(number) * 2654435761u + 1;
  for (int n = 0; n < 20; ++n) {
    x = x * 1664525u + 1013904223u;
    pixels[x >> 8 & 511] = static_cast<char>(x >> 24);
  }
  return pixels;
}

/// The four files of MNIST with `train` and `test` bar images, labels 0, 1, ..., 9, 0, ...
inline void write_small_mnist(const TemporaryFolder& folder, int train, int test) {
  for (const auto& [prefix, count, first] :
       {std::tuple{"train", train, 0}, std::tuple{"t10k", test, train}}) {
    std::string images;
    std::string labels;
    for (int n = 0; n < count; ++n) {
      images += bar_image(n % 10, first + n);
      labels.push_back(static_cast<char>(n % 10));
    }
    const auto size = static_cast<std::uint32_t>(count);
    const std::string name = prefix;
    write_bytes(folder / (name + "-images-idx3-ubyte"), idx_bytes({size, 28, 28}, images));
    write_bytes(folder / (name + "-labels-idx1-ubyte"), idx_bytes({size}, labels));
  }
}

}  // namespace basin::test
