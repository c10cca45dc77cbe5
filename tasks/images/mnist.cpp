#include "tasks/images/mnist.h"

#include <algorithm>
#include <filesystem>

#include "tasks/images/idx.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"

namespace basin::tasks {

namespace {

constexpr const char* kSource =
    "MNIST is four files; they can be had from http://yann.lecun.com/exdb/mnist/ or its mirror "
    "https://ossci-datasets.s3.amazonaws.com/mnist/";

// <data>/mnist first: `data` is the folder of all data sets.
std::string find_file(const std::string& data, const std::string& name) {
  std::string tried;
  for (const char* folder : {"mnist", ""}) {
    for (const char* ending : {"", ".gz"}) {
      const std::string path = (std::filesystem::path(data) / folder / (name + ending)).string();
      std::error_code ignored;
      if (std::filesystem::exists(path, ignored)) {
        return path;
      }
      tried += (tried.empty() ? "" : ", ") + path;
    }
  }
  throw FileError(fmt::format("MNIST's {} is missing; looked for {}. {}", name, tried, kSource));
}

LabelledImages read_pair(const std::string& data, const std::string& prefix) {
  const std::string images_path = find_file(data, prefix + "-images-idx3-ubyte");
  const std::string labels_path = find_file(data, prefix + "-labels-idx1-ubyte");
  LabelledImages pair{read_idx(images_path, 3), read_idx(labels_path, 1)};
  if (pair.images.size(1) != kMnistSide || pair.images.size(2) != kMnistSide) {
    throw FileError(fmt::format("{} holds images of {} x {} pixels; those of MNIST have {} x {}",
                                images_path, pair.images.size(1), pair.images.size(2), kMnistSide,
                                kMnistSide));
  }
  if (pair.images.size(0) != pair.labels.size(0)) {
    throw FileError(
        fmt::format("{} holds {} images, but {} holds {} labels: they do not belong "
                    "together",
                    images_path, pair.images.size(0), labels_path, pair.labels.size(0)));
  }
  if (pair.count() == 0) {
    throw FileError(fmt::format("{} holds no images", images_path));
  }
  const auto* const labels = pair.labels.data<std::uint8_t>();
  const auto* const wrong = std::find_if(labels, labels + pair.count(),
                                         [](std::uint8_t label) { return label >= kMnistClasses; });
  if (wrong != labels + pair.count()) {
    throw FileError(fmt::format("{}: label {} (counted from 0) is {}; those of MNIST are 0 to {}",
                                labels_path, wrong - labels, *wrong, kMnistClasses - 1));
  }
  return pair;
}

}  // namespace

LabelledImages LabelledImages::slice(std::int64_t begin, std::int64_t end) const {
  return {images.slice(0, begin, end), labels.slice(0, begin, end)};
}

Mnist read_mnist(const std::string& data) {
  if (data.empty()) {
    throw FileError(
        fmt::format("no folder of data is given to read MNIST from (the trainer takes --data DIR, "
                    "or BASIN_DATA). {}",
                    kSource));
  }
  return {read_pair(data, "train"), read_pair(data, "t10k")};
}

Tensor signed_pixels(const LabelledImages& images, DType dtype) {
  return affine(images.images.to(dtype).reshape({images.count(), -1}), 2.0 / 255.0, -1.0);
}

}  // namespace basin::tasks
