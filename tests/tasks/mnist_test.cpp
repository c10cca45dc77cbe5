#include "tasks/images/mnist.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "tasks/images/idx.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/idx_files.h"
#include "tests/support/temporary_folder.h"

namespace basin::tasks {
namespace {

using test::idx_bytes;
using test::refuses;
using test::TemporaryFolder;
using test::write_bytes;
using test::write_gzip;

TEST(Idx, ReadsPlainAndPackedFiles) {
  const TemporaryFolder folder;
  const std::string bytes = idx_bytes({2, 1, 3}, std::string("\x00\x01\x02\x03\xfe\xff", 6));
  write_bytes(folder / "plain", bytes);
  write_gzip(folder / "packed.gz", bytes);
  for (const char* name : {"plain", "packed.gz"}) {
    const Tensor tensor = read_idx(folder / name, 3);
    EXPECT_EQ(tensor.shape(), Shape({2, 1, 3}));
    EXPECT_EQ(tensor.to_vector<double>(), (std::vector<double>{0, 1, 2, 3, 254, 255}));
  }
}

// More than the reader asks memory for at once.
TEST(Idx, ReadsLargePackedFiles) {
  const TemporaryFolder folder;
  std::string numbers(9000000, '\0');
  for (std::size_t n = 0; n < numbers.size(); ++n) {
    numbers[n] = static_cast<char>(n * n >> 7);
  }
  write_gzip(folder / "large.gz", idx_bytes({9000000}, numbers));
  const std::vector<std::uint8_t> found =
      read_idx(folder / "large.gz", 1).to_vector<std::uint8_t>();
  EXPECT_TRUE(std::string(found.begin(), found.end()) == numbers);
}

TEST(Idx, RefusesWhatIsNoIdxFileOfBytesWithThisRank) {
  const TemporaryFolder folder;
  const std::string path = folder / "file";
  const auto refused = [&](const std::string& bytes, int rank,
                           const std::vector<std::string>& parts) {
    write_bytes(path, bytes);
    std::vector<std::string> all = parts;
    all.push_back(path);
    EXPECT_TRUE(refuses<FileError>([&] { read_idx(path, rank); }, all));
  };
  refused("PNG?", 3, {"no idx file", "50 4e 47 3f"});
  refused(std::string("\0\0\x07\x01", 4), 1, {"no idx file", "00 00 07 01"});
  refused(std::string("\0\0\x08", 3), 1, {"ends after 3 bytes", "header"});
  refused(idx_bytes({1}, "x").substr(0, 6), 1, {"ends after 2 bytes", "header"});
  refused(idx_bytes({1}, "1234", '\x0d'), 1, {"32-bit floating numbers", "unsigned bytes"});
  refused(idx_bytes({4}, "1234"), 3, {"has 1 dimension;", "3 are needed"});
  refused(idx_bytes({1, 2, 2}, "1234"), 1, {"has 3 dimensions", "1 are needed"});
}

TEST(Idx, RefusesFilesOfAnotherLengthThanTheirHeaderSays) {
  const TemporaryFolder folder;
  for (const bool packed : {false, true}) {
    const std::string path = folder / (packed ? "file.gz" : "file");
    const auto refused = [&](const std::string& bytes, const std::vector<std::string>& parts) {
      packed ? write_gzip(path, bytes) : write_bytes(path, bytes);
      std::vector<std::string> all = parts;
      all.push_back(path);
      EXPECT_TRUE(refuses<FileError>([&] { read_idx(path, 3); }, all)) << packed;
    };
    refused(idx_bytes({2, 3, 4}, std::string(23, 'x')), {"23 bytes", "2 x 3 x 4 = 24"});
    refused(idx_bytes({2, 3, 4}, std::string(25, 'x')), {"bytes", "2 x 3 x 4 = 24"});
    refused(idx_bytes({2, 3, 4}, ""), {"0 bytes", "2 x 3 x 4 = 24"});
    // Nothing of this size may be asked for.
    refused(idx_bytes({0xffffffff, 0xffff, 4}, "xxxx"), {"4294967295 x 65535 x 4"});
    refused(idx_bytes({0xffffffff, 0xffffffff, 0xffffffff}, "xxxx"), {"more than any file can"});
    refused(idx_bytes({0xffffffff, 0, 0xffffffff}, ""), {"more than any file can"});
  }
}

TEST(Idx, RefusesAPackedFileThatIsCutShort) {
  const TemporaryFolder folder;
  std::string numbers(5000, '\0');
  for (std::size_t n = 0; n < numbers.size(); ++n) {
    numbers[n] = static_cast<char>(n * n * 31 >> 3);
  }
  write_gzip(folder / "whole.gz", idx_bytes({5000}, numbers));
  const std::string whole = test::read_bytes(folder / "whole.gz");
  for (const std::size_t size :
       {std::size_t{5}, std::size_t{12}, whole.size() / 2, whole.size() - 9, whole.size() - 1}) {
    write_bytes(folder / "cut.gz", whole.substr(0, size));
    EXPECT_TRUE(refuses<FileError>([&] { read_idx(folder / "cut.gz", 1); }, {folder / "cut.gz"}))
        << size;
  }
}

TEST(Mnist, FindsItsFilesUnderBothNamesInBothPlaces) {
  const TemporaryFolder folder;
  test::write_small_mnist(folder, 20, 10);
  const Mnist flat = read_mnist(folder.path());
  EXPECT_EQ(flat.train.images.shape(), Shape({20, 28, 28}));
  EXPECT_EQ(flat.test.count(), 10);
  EXPECT_EQ(flat.train.labels.select(0, 13).item(), 3);

  // One of them packed, and all in the folder of the data set.
  std::filesystem::create_directory(folder / "mnist");
  for (const std::string name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                 "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    std::filesystem::rename(folder / name, folder / ("mnist/" + name));
  }
  const std::string images = folder / "mnist/t10k-images-idx3-ubyte";
  write_gzip(images + ".gz", test::read_bytes(images));
  std::filesystem::remove(images);
  const Mnist nested = read_mnist(folder.path());
  EXPECT_EQ(nested.test.images.to_vector<int>(), flat.test.images.to_vector<int>());
  EXPECT_EQ(nested.train.labels.to_vector<int>(), flat.train.labels.to_vector<int>());
}

TEST(Mnist, PixelsBecomeNumbersBetweenMinusOneAndOne) {
  LabelledImages images{
      Tensor::from<std::uint8_t>({2, 1, 2}, std::vector<std::uint8_t>{0, 255, 51, 102}),
      Tensor::zeros({2}, DType::u8)};
  const Tensor pixels = signed_pixels(images, DType::f64);
  EXPECT_EQ(pixels.shape(), Shape({2, 2}));
  const std::vector<double> expected = {-1, 1, -0.6, -0.2};
  for (std::size_t n = 0; n < 4; ++n) {
    EXPECT_NEAR(pixels.to_vector<double>()[n], expected[n], 1e-15);
  }
  EXPECT_EQ(signed_pixels(images.slice(1, 2), DType::f32).shape(), Shape({1, 2}));
}

TEST(Mnist, RefusesFilesThatAreMissing) {
  const TemporaryFolder folder;
  test::write_small_mnist(folder, 20, 10);
  EXPECT_TRUE(refuses<FileError>([] { read_mnist(""); }, {"no folder", "exdb/mnist"}));
  std::filesystem::remove(folder / "t10k-labels-idx1-ubyte");
  EXPECT_TRUE(refuses<FileError>(
      [&] { read_mnist(folder.path()); },
      {"t10k-labels-idx1-ubyte is missing", folder / "mnist/t10k-labels-idx1-ubyte,",
       folder / "t10k-labels-idx1-ubyte.gz", "can be had from"}));
}

TEST(Mnist, RefusesFilesThatDoNotFitTogether) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& file, const std::string& bytes,
                           const std::vector<std::string>& parts) {
    test::write_small_mnist(folder, 20, 10);
    write_bytes(folder / file, bytes);
    EXPECT_TRUE(refuses<FileError>([&] { read_mnist(folder.path()); }, parts));
  };
  refused("train-labels-idx1-ubyte", idx_bytes({19}, std::string(19, '\x01')),
          {"train-images-idx3-ubyte holds 20 images", "train-labels-idx1-ubyte holds 19 labels"});
  refused("t10k-labels-idx1-ubyte", idx_bytes({10}, std::string("\0\1\2\3\4\5\6\7\x0a\1", 10)),
          {"t10k-labels-idx1-ubyte", "label 8 (counted from 0) is 10", "0 to 9"});
  refused("t10k-images-idx3-ubyte", idx_bytes({10, 4, 3}, std::string(120, '\0')),
          {"t10k-images-idx3-ubyte", "4 x 3 pixels", "28 x 28"});
  // Labels where images belong.
  refused("train-images-idx3-ubyte", idx_bytes({20}, std::string(20, '\0')),
          {"train-images-idx3-ubyte", "has 1 dimension"});
  test::write_small_mnist(folder, 0, 10);
  EXPECT_TRUE(refuses<FileError>([&] { read_mnist(folder.path()); }, {"holds no images"}));
}

TEST(Mnist, TheRealFilesHoldWhatTheirMakersSay) {
  const char* const data = std::getenv("BASIN_DATA");
  if (data == nullptr) {
    GTEST_SKIP() << "BASIN_DATA names no folder of real data";
  }
  const Mnist mnist = read_mnist(data);
  ASSERT_EQ(mnist.train.count(), 60000);
  std::vector<int> counts(10);
  for (const int label : mnist.train.labels.to_vector<int>()) {
    ++counts[static_cast<std::size_t>(label)];
  }
  EXPECT_EQ(counts, (std::vector<int>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}));
  const std::vector<std::uint8_t> pixels = mnist.train.images.to_vector<std::uint8_t>();
  const double mean =
      std::accumulate(pixels.begin(), pixels.end(), 0.0) / static_cast<double>(pixels.size()) / 255;
  EXPECT_NEAR(mean, 0.1307, 5e-5);
}

}  // namespace
}  // namespace basin::tasks
