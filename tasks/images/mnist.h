// MNIST from its original files. Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based
// learning applied to document recognition", 1998.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/tensor.h"

namespace basin::tasks {

struct LabelledImages {
  Tensor images;  ///< (N, rows, columns) u8, 0 is background
  Tensor labels;  ///< (N) u8

  std::int64_t count() const { return labels.size(0); }
  /// Images begin ... end - 1, as views.
  LabelledImages slice(std::int64_t begin, std::int64_t end) const;
};

struct Mnist {
  LabelledImages train, test;
};

inline constexpr std::int64_t kMnistSide = 28;
inline constexpr std::int64_t kMnistClasses = 10;

/// The four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
/// t10k-labels-idx1-ubyte, each with or without .gz behind its name, from <data>/mnist, or from
/// <data> itself; any number of images is accepted. Throws FileError if `data` is empty, if a file
/// is missing (the message says where it was looked for and where it can be had) or not what
/// read_idx() accepts, if images are not 28 x 28 or none, if there are not as many labels as
/// images, and for labels above 9.
Mnist read_mnist(const std::string& data);

/// Pixels as rows of numbers in [-1, 1], black background -1: (N, rows columns), f32 or f64.
Tensor signed_pixels(const LabelledImages& images, DType dtype);

}  // namespace basin::tasks
