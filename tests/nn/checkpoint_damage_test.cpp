// Checkpoints with damaged bytes, and files that are none.
#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "nn/checkpoint.h"
#include "tensor/error.h"
#include "tensor/io/npy.h"
#include "tensor/io/safetensors.h"
#include "tests/nn/checkpoint_damage.h"
#include "tests/support/expect_error.h"
#include "tests/support/memory_file.h"
#include "tests/support/same_bits.h"
#include "tests/support/sealed_file.h"
#include "tests/support/temporary_folder.h"

namespace basin::nn {
namespace {

using test::checkpoint_bytes;
using test::expect_refused;
using test::refuses;
using test::same_bits;
using test::sealed;
using test::TemporaryFolder;
using test::tiny_backbone;
using test::Trainee;
using test::unsealed;
using test::write_bytes;

constexpr std::size_t kSeal = io::kSealBytes;

// Where the elements of a dataset begin in the file, seal and all.
std::size_t place_of(const std::string& dataset) {
  const TemporaryFolder folder;
  write_bytes(folder / "x", checkpoint_bytes());
  const hid_t file = H5Fopen((folder / "x").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t set = H5Dopen2(file, dataset.c_str(), H5P_DEFAULT);
  const haddr_t place = H5Dget_offset(set);
  H5Dclose(set);
  H5Fclose(file);
  return static_cast<std::size_t>(place);
}

// Damage to the bytes: the seal finds all of it.
struct ByteDamage {
  const char* name;
  std::function<std::string(std::string)> apply;
  std::vector<std::string> message;
};
void PrintTo(const ByteDamage& damage, std::ostream* stream) { *stream << damage.name; }

ByteDamage cut(const char* name, std::function<std::size_t(std::size_t)> length,
               const std::string& message) {
  return {name,
          [length](const std::string& bytes) { return bytes.substr(0, length(bytes.size())); },
          {message}};
}

// One bit at the place the function finds; 0x10 is one that a text survives as another text.
ByteDamage flip(const char* name, std::function<std::size_t(const std::string&)> place,
                const std::string& message = "does not have the checksum of its seal") {
  return {name,
          [place](std::string bytes) {
            const std::size_t at = place(bytes);
            bytes.at(at) = static_cast<char>(bytes[at] ^ 0x10);
            return bytes;
          },
          {message}};
}

std::vector<ByteDamage> damage_to_bytes() {
  const std::string no_hdf5 = "is no HDF5 file";
  const std::string cut_off = "is cut off or damaged: it has ";
  const auto found = [](const std::string& text, std::size_t plus = 0) {
    return [=](const std::string& bytes) { return bytes.find(text, kSeal) + plus; };
  };
  const auto at = [](std::size_t place) { return [=](const std::string&) { return place; }; };
  const auto in = [](const std::string& dataset) {
    return [=](const std::string&) { return place_of(dataset) + 1; };
  };
  return {
      cut(
          "Empty", [](std::size_t) { return 0; }, no_hdf5),
      cut(
          "CutToOneByte", [](std::size_t) { return 1; }, no_hdf5),
      cut(
          "CutWithinTheFirstLine", [](std::size_t) { return 19; }, no_hdf5),
      cut(
          "CutWithinTheSeal", [](std::size_t) { return 100; }, "is cut off: 100 bytes"),
      cut(
          "CutBeforeTheSuperblock", [](std::size_t) { return kSeal; }, cut_off),
      cut(
          "CutWithinTheSuperblock", [](std::size_t) { return kSeal + 20; }, cut_off),
      cut(
          "CutInTheMiddle", [](std::size_t size) { return size / 2; }, cut_off),
      cut(
          "CutBeforeThePadding", [](std::size_t size) { return size - 2000; }, cut_off),
      cut(
          "CutByOneByte", [](std::size_t size) { return size - 1; }, cut_off),
      {"OneByteMore", [](const std::string& bytes) { return bytes + '\0'; }, {cut_off}},
      {"TwiceInARow", [](const std::string& bytes) { return bytes + bytes; }, {cut_off}},
      {"OneByteInserted",
       [](std::string bytes) { return bytes.insert(bytes.size() / 2, 1, '\0'); },
       {cut_off}},
      {"WithoutItsSeal",
       [](const std::string& bytes) { return unsealed(bytes); },
       {"without a seal", "an earlier version"}},
      {"SealOfZeros",
       [](const std::string& bytes) { return std::string(kSeal, '\0') + unsealed(bytes); },
       {"without a seal", "its first bytes are damaged"}},
      {"SealAlone", [](const std::string&) { return sealed(""); }, {no_hdf5}},
      {"SealOfAnotherFile",
       [](const std::string& bytes) {
         return sealed(std::string(bytes.size() - kSeal, 'x')).substr(0, kSeal) + unsealed(bytes);
       },
       {"does not have the checksum"}},
      {"SealOverAText",
       [](const std::string&) { return sealed("epoch,loss\n1,2.5\n"); },
       {no_hdf5}},
      {"ZerosOnly",
       [](const std::string& bytes) { return std::string(bytes.size(), '\0'); },
       {no_hdf5}},
      {"APageOfZeros",
       [](std::string bytes) { return bytes.replace(4096, 4096, 4096, '\0'); },
       {"checksum of its seal"}},
      {"TwoPagesExchanged",
       [](const std::string& bytes) {
         return bytes.substr(0, kSeal) + bytes.substr(4096 + kSeal, 4096) +
                bytes.substr(kSeal, 4096) + bytes.substr(8192 + kSeal);
       },
       {"checksum of its seal"}},
      {"LineEndsOfAnotherSystem",
       [](std::string bytes) {
         for (std::size_t n = 0; (n = bytes.find('\n', n)) != std::string::npos; n += 2) {
           bytes.insert(n, 1, '\r');
         }
         return bytes;
       },
       {no_hdf5}},
      flip("BitOfTheFirstByte", at(0), "without a seal"),
      flip("BitOfTheSealsVersion", at(18), "without a seal"),
      flip("BitOfTheSealsLength", at(26), cut_off),
      flip("BitOfTheSealsChecksum", [](const auto& bytes) { return bytes.find("crc32") + 7; }),
      flip("BitOfTheSealsLastByte", at(kSeal - 1)),
      flip("BitOfTheHdf5Signature", at(kSeal + 1)),
      flip("BitOfTheSuperblock", at(kSeal + 13)),
      flip("BitOfAnObjectHeader", found("OHDR", 6)),
      flip("BitOfALinkName", found("head.bias")),
      flip("BitOfTheConfiguration", found("hopfield")),
      flip("BitOfTheStep", found("step", 40)),
      flip("BitOfTheFirstWeight", in("/model/tokens.weight")),
      flip("BitOfAWeightInTheMiddle", in("/model/blocks.0.up.weight")),
      flip("BitOfTheLastWeight", in("/model/head.bias")),
      flip("BitOfTheOptimizer", in("/optimizer/v/head.bias")),
      flip("BitOfAMetric", in("/metrics/values")),
      flip("BitOfTheLastByte", [](const std::string& bytes) { return bytes.size() - 1; }),
  };
}

std::string byte_damage_name(const testing::TestParamInfo<ByteDamage>& info) {
  return info.param.name;
}

class CheckpointBytes : public testing::TestWithParam<ByteDamage> {};
INSTANTIATE_TEST_SUITE_P(Kinds, CheckpointBytes, testing::ValuesIn(damage_to_bytes()),
                         byte_damage_name);

TEST_P(CheckpointBytes, AreRefused) {
  const std::string damaged = GetParam().apply(checkpoint_bytes());
  ASSERT_NE(damaged, checkpoint_bytes());
  test::MemoryFile file;
  file.set(damaged);
  expect_refused(file.path(), GetParam().message);
  EXPECT_TRUE(refuses<FileError>([&] { read_training_state(file.path()); }, GetParam().message));
}

TEST(CheckpointBytes, BeginWithAWholeFile) {
  test::MemoryFile file;
  file.set(checkpoint_bytes());
  Trainee trainee(tiny_backbone(), 5);
  EXPECT_EQ(load_checkpoint(file.path(), trainee.model, &trainee.optimizer).step, 2);
  file.set(sealed(unsealed(checkpoint_bytes())));
  EXPECT_EQ(load_checkpoint(file.path(), trainee.model, &trainee.optimizer).step, 2);
}

// One bit of every byte, another one from byte to byte.
TEST(CheckpointBytes, NoFlippedBitPasses) {
  std::string bytes = checkpoint_bytes();
  test::MemoryFile file;
  Trainee trainee(tiny_backbone(), 5);
  const std::vector<Tensor> before = trainee.everything();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const char whole = bytes[n];
    bytes[n] = static_cast<char>(whole ^ (1 << (n % 8)));
    file.set(bytes);
    ASSERT_THROW(load_checkpoint(file.path(), trainee.model, &trainee.optimizer), FileError)
        << "byte " << n;
    bytes[n] = whole;
  }
  EXPECT_TRUE(same_bits(trainee.everything(), before));
}

// What is left to HDF5 and to the comparison with the model if a seal fits by chance.
TEST(CheckpointBytes, FlippedBitsUnderASealThatFitsAreSurvived) {
  std::string content = unsealed(checkpoint_bytes());
  test::MemoryFile file;
  Trainee trainee(tiny_backbone(), 5);
  int refused = 0;
  for (std::size_t n = 0; n < content.size(); n += 41) {
    const char whole = content[n];
    content[n] = static_cast<char>(whole ^ (1 << (n % 8)));
    file.set(sealed(content));
    try {
      (void)load_checkpoint(file.path(), trainee.model, &trainee.optimizer);
    } catch (const FileError&) {
      ++refused;
    }
    content[n] = whole;
  }
  EXPECT_GT(refused, 50);
}

TEST(CheckpointFiles, OtherKindsOfFilesAreRefused) {
  const TemporaryFolder folder;
  expect_refused(folder / "missing", {"No such file"});
  expect_refused(folder.path(), {"is a folder"});
  expect_refused("/dev/null", {"is a device"});
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  expect_refused(pipe, {"is a device, not a file"});
  const Tensor x = Tensor::zeros({3}, DType::f32);
  write_npy(folder / "x.npy", x);
  expect_refused(folder / "x.npy", {"is no HDF5 file"});
  write_safetensors(folder / "x.safetensors", {{"x", x}});
  expect_refused(folder / "x.safetensors", {"is no HDF5 file"});
  std::filesystem::create_symlink(folder / "loop", folder / "loop");
  expect_refused(folder / "loop", {"Too many levels of symbolic links"});
}

}  // namespace
}  // namespace basin::nn
