// Reading and writing of npy files, compared with files of NumPy.
#include "tensor/io/npy.h"

#include <gtest/gtest.h>

#include <functional>

#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/temporary_folder.h"
#include "tests/tensor/sample_tensors.h"

namespace basin::test {
namespace {

struct Fixture {
  const char* name;
  Shape shape;
  DType dtype;
  bool ours;  // whether we write the same bytes: row-major, little-endian, version 1.0
};
void PrintTo(const Fixture& fixture, std::ostream* stream) { *stream << fixture.name; }

class NpyFixture : public testing::TestWithParam<Fixture> {};

TEST_P(NpyFixture, ReadsWhatNumpyWrote) {
  const Fixture& fixture = GetParam();
  const std::string path = data_file(std::string(fixture.name) + ".npy");
  const TensorInfo info = npy_info(path);
  EXPECT_TRUE(info.shape == fixture.shape) << to_string(info.shape);
  EXPECT_EQ(info.dtype, fixture.dtype);
  const Tensor tensor = read_npy(path);
  EXPECT_TRUE(same_bits(tensor, ramp(fixture.shape, fixture.dtype)));
  EXPECT_TRUE(tensor.is_contiguous());
}

TEST_P(NpyFixture, WritesTheBytesThatNumpyWrites) {
  const Fixture& fixture = GetParam();
  if (!fixture.ours) {
    return;
  }
  const TemporaryFolder folder;
  write_npy(folder / "ours.npy", ramp(fixture.shape, fixture.dtype));
  EXPECT_EQ(read_bytes(folder / "ours.npy"),
            read_bytes(data_file(std::string(fixture.name) + ".npy")));
}

INSTANTIATE_TEST_SUITE_P(
    All, NpyFixture,
    testing::Values(
        Fixture{"f64", {2, 3}, DType::f64, true}, Fixture{"f32", {2, 3}, DType::f32, true},
        Fixture{"f16", {2, 3}, DType::f16, true}, Fixture{"i64", {2, 3}, DType::i64, true},
        Fixture{"i32", {2, 3}, DType::i32, true}, Fixture{"u8", {2, 3}, DType::u8, true},
        Fixture{"bool", {2, 3}, DType::boolean, true}, Fixture{"scalar", {}, DType::f64, true},
        Fixture{"one", {5}, DType::f32, true}, Fixture{"empty", {0, 4}, DType::f32, true},
        Fixture{"eight_dimensions", {1, 2, 1, 1, 2, 1, 1, 3}, DType::i32, true},
        Fixture{"wide", {1000000000000, 0}, DType::u8, true},
        Fixture{"fortran_f32", {2, 3, 4}, DType::f32, false},
        Fixture{"fortran_bool", {2, 3, 4}, DType::boolean, false},
        Fixture{"big_endian_f64", {2, 3}, DType::f64, false},
        Fixture{"big_endian_f16", {2, 3}, DType::f16, false},
        Fixture{"big_endian_i32", {2, 3}, DType::i32, false},
        Fixture{"big_endian_fortran_f32", {2, 3}, DType::f32, false},
        Fixture{"version_2", {2, 3}, DType::f32, false},
        Fixture{"version_3", {2, 3}, DType::f32, false}),
    [](const auto& instance) { return instance.param.name; });

class NpyDType : public testing::TestWithParam<DType> {};

TEST_P(NpyDType, RoundTripsToTheBit) {
  if (GetParam() == DType::bf16) {
    return;  // refused: see RefusesBfloat16
  }
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  for (const Shape& shape :
       {Shape{}, Shape{0}, Shape{7}, Shape{2, 0, 3}, Shape{3, 5}, Shape{1, 2, 1, 2, 1, 2, 1, 2}}) {
    const Tensor x = ramp(shape, GetParam());
    write_npy(path, x);
    EXPECT_TRUE(same_bits(read_npy(path), x)) << to_string(shape);
    EXPECT_EQ(
        (read_bytes(path).size() - static_cast<std::size_t>(x.numel()) * size_of(x.dtype())) % 64,
        0u)
        << to_string(shape);
  }
}

INSTANTIATE_TEST_SUITE_P(All, NpyDType, testing::ValuesIn(kAllDTypes),
                         [](const auto& instance) { return std::string(name_of(instance.param)); });

TEST(Npy, WritesViewsAsTheyLook) {
  const TemporaryFolder folder;
  const Tensor x = ramp({3, 4}, DType::f16);
  write_npy(folder / "x.npy", x.transpose(0, 1));
  EXPECT_TRUE(same_bits(read_npy(folder / "x.npy"), x.transpose(0, 1)));
  write_npy(folder / "x.npy", x.select(1, 2).expand({2, 3}));
  EXPECT_TRUE(same_bits(read_npy(folder / "x.npy"), x.select(1, 2).expand({2, 3})));
}

TEST(Npy, RefusesBfloat16AndSaysWhatToDo) {
  const TemporaryFolder folder;
  EXPECT_TRUE(refuses<FileError>(
      [&] {
        write_npy(folder / "x.npy", ramp({2, 3}, DType::bf16));
      },
      {folder / "x.npy", "(2, 3) bf16", "to(DType::f32)", "safetensors"}));
  EXPECT_TRUE(refuses<FileError>([] { (void)read_npy(data_file("bf16.npy")); },
                                 {"bf16.npy", "'<V2'", "save it as f4", "safetensors"}));
}

TEST(Npy, RefusesOtherTypesOfNumpy) {
  for (const auto& [name, message] : {std::pair("complex", "the dtype '<c8' is not read"),
                                      std::pair("text", "the dtype '<U2' is not read"),
                                      std::pair("objects", "the dtype '|O' is not read"),
                                      std::pair("records", "a structured dtype")}) {
    const std::string path = data_file(std::string(name) + ".npy");
    EXPECT_TRUE(refuses<FileError>([&] { (void)read_npy(path); }, {path, message, "'f4'"}));
  }
}

TEST(Npy, RefusesPathsThatAreNoFile) {
  const TemporaryFolder folder;
  for (const auto& read : {std::function<void(const std::string&)>(npy_info),
                           std::function<void(const std::string&)>(read_npy)}) {
    EXPECT_TRUE(refuses<FileError>([&] { read(folder / "none"); }, {folder / "none", "No such"}));
    EXPECT_TRUE(refuses<FileError>([&] { read(folder.path()); }, {folder.path(), "is a folder"}));
    EXPECT_TRUE(refuses<FileError>([&] { read("/dev/null"); }, {"/dev/null", "a device"}));
  }
  EXPECT_TRUE(refuses<FileError>([&] { write_npy(folder / "x", Tensor()); }, {"undefined"}));
}

}  // namespace
}  // namespace basin::test
