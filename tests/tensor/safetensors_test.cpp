// Reading and writing of safetensors files, compared with files of the Python library.
#include "tensor/io/safetensors.h"

#include <gtest/gtest.h>

#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/temporary_folder.h"
#include "tests/tensor/sample_tensors.h"

namespace basin::test {
namespace {

using Tensors = std::map<std::string, Tensor>;

// What data/make_fixtures.py writes.
Tensors every_dtype() {
  return {{"f64", ramp({2, 3}, DType::f64)},
          {"f32", ramp({2, 3}, DType::f32)},
          {"f16", ramp({3, 2}, DType::f16)},
          {"bf16", ramp({6}, DType::bf16)},
          {"i64", ramp({2, 1, 3}, DType::i64)},
          {"i32", ramp({5}, DType::i32)},
          {"u8", ramp({3}, DType::u8)},
          {"bool", ramp({4}, DType::boolean)},
          {"scalar", ramp({}, DType::f32)},
          {"empty", ramp({0, 4}, DType::f32)},
          {"also empty", ramp({3, 0}, DType::i64)},
          {"blocks.0.mix.query.weight", ramp({1, 1, 2}, DType::f32)},
          {"blocks.10.norm", ramp({2}, DType::f32)},
          {"blocks.9.norm", ramp({2}, DType::f32)},
          {"Gr\u00f6\u00dfe \"\U0001f600\"\n\\/\x01\x7f", ramp({1}, DType::u8)}};
}
const std::map<std::string, std::string> kMetadata = {
    {"format", "a \"text\" \u2014\tof any\nkind"}};

void expect_holds(const SafetensorsReader& file, const Tensors& expected) {
  ASSERT_EQ(file.names().size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(file.has(name)) << name;
    EXPECT_TRUE(file.info(name).shape == tensor.shape()) << name;
    EXPECT_EQ(file.info(name).dtype, tensor.dtype()) << name;
    EXPECT_TRUE(same_bits(file.read(name), tensor)) << name;
  }
}

TEST(Safetensors, ReadsWhatPythonWrote) {
  const SafetensorsReader file(data_file("every_dtype.safetensors"));
  expect_holds(file, every_dtype());
  EXPECT_EQ(file.metadata(), kMetadata);
  EXPECT_EQ(file.path(), data_file("every_dtype.safetensors"));
}

TEST(Safetensors, WritesTheBytesThatPythonWrites) {
  const TemporaryFolder folder;
  const std::string path = folder / "ours.safetensors";
  write_safetensors(path, every_dtype(), kMetadata);
  EXPECT_EQ(read_bytes(path), read_bytes(data_file("every_dtype.safetensors")));
  write_safetensors(path, {});
  EXPECT_EQ(read_bytes(path), read_bytes(data_file("none.safetensors")));
  write_safetensors(path, {{"abcdefghijk", ramp({1}, DType::f32)}});
  EXPECT_EQ(read_bytes(path), read_bytes(data_file("unpadded.safetensors")));
}

TEST(Safetensors, ReadsAFileWithoutTensors) {
  const SafetensorsReader file(data_file("none.safetensors"));
  EXPECT_TRUE(file.names().empty());
  EXPECT_TRUE(file.metadata().empty());
  EXPECT_FALSE(file.has("x"));
}

class SafetensorsDType : public testing::TestWithParam<DType> {};

TEST_P(SafetensorsDType, RoundTripsToTheBit) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.safetensors";
  for (const Shape& shape :
       {Shape{}, Shape{0}, Shape{7}, Shape{2, 0, 3}, Shape{3, 5}, Shape{1, 2, 1, 2, 1, 2, 1, 2}}) {
    const Tensors tensors = {{"x", ramp(shape, GetParam())}, {"y", ramp({1}, DType::u8)}};
    write_safetensors(path, tensors);
    expect_holds(SafetensorsReader(path), tensors);
  }
}

INSTANTIATE_TEST_SUITE_P(All, SafetensorsDType, testing::ValuesIn(kAllDTypes),
                         [](const auto& instance) { return std::string(name_of(instance.param)); });

// Conversion goes through no arithmetic: signalling NaN, infinities and subnormals are kept.
TEST(Safetensors, KeepsEveryBitPatternOfTheHalfFormats) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.safetensors";
  for (const DType dtype : {DType::bf16, DType::f16}) {
    Tensor patterns = Tensor::empty({65536}, dtype);
    auto* bits = static_cast<std::uint16_t*>(patterns.mutable_raw());
    for (unsigned n = 0; n < 65536; ++n) {
      bits[n] = static_cast<std::uint16_t>(n);
    }
    write_safetensors(path, {{"x", patterns}});
    EXPECT_TRUE(same_bits(SafetensorsReader(path).read("x"), patterns)) << name_of(dtype);
  }
}

TEST(Safetensors, WritesViewsAsTheyLook) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.safetensors";
  const Tensor x = ramp({3, 4}, DType::bf16);
  write_safetensors(path, {{"transposed", x.transpose(0, 1)},
                           {"column", x.select(1, 2)},
                           {"broadcast", x.slice(0, 1, 2).expand({2, 4})}});
  const SafetensorsReader file(path);
  EXPECT_TRUE(same_bits(file.read("transposed"), x.transpose(0, 1)));
  EXPECT_TRUE(same_bits(file.read("column"), x.select(1, 2)));
  EXPECT_TRUE(same_bits(file.read("broadcast"), x.slice(0, 1, 2).expand({2, 4})));
}

TEST(Safetensors, SortsMetadataByKey) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.safetensors";
  const std::map<std::string, std::string> metadata = {{"z", "1"}, {"", ""}, {"a", "{}"}};
  write_safetensors(path, {{"x", ramp({1}, DType::u8)}}, metadata);
  EXPECT_NE(read_bytes(path).find(R"({"__metadata__":{"":"","a":"{}","z":"1"},"x":{"dtype")"),
            std::string::npos);
  EXPECT_EQ(SafetensorsReader(path).metadata(), metadata);
}

TEST(Safetensors, ReadsHeadersThatOtherProgramsWrite) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.safetensors";
  // No padding, another order of fields and tensors, spaces, escapes, elements off their alignment.
  const std::string header =
      "{ \"\\u0062\" : {\"data_offsets\":[1, 9],\n\"shape\":[2],\"dtype\":\"F32\"},"
      "\"__metadata__\":{},\"a\":{\"shape\":[],\"dtype\":\"U8\",\"data_offsets\":[0,1]}}";
  const float elements[] = {1.5F, -2.0F};
  std::string bytes(1, static_cast<char>(header.size()));
  bytes += std::string(7, '\0') + header + '\x05';
  bytes.append(reinterpret_cast<const char*>(elements), sizeof elements);
  write_bytes(path, bytes);
  expect_holds(SafetensorsReader(path), {{"a", Tensor::from<std::uint8_t>({}, {5})},
                                         {"b", Tensor::from<float>({2}, {1.5F, -2.0F})}});
}

TEST(Safetensors, NamesWhatIsThereWhenATensorIsMissing) {
  const SafetensorsReader file(data_file("every_dtype.safetensors"));
  for (const auto& ask : {std::function<void()>([&] { (void)file.read("weight"); }),
                          std::function<void()>([&] { (void)file.info("weight"); })}) {
    EXPECT_TRUE(refuses<FileError>(
        ask, {file.path(), "no tensor 'weight'", "'also empty', 'bf16'", "..."}));
  }
  EXPECT_TRUE(refuses<FileError>(
      [] { (void)SafetensorsReader(data_file("none.safetensors")).read("x"); }, {"holds none"}));
}

TEST(Safetensors, RefusesPathsThatAreNoFile) {
  const TemporaryFolder folder;
  EXPECT_TRUE(refuses<FileError>([&] { SafetensorsReader file(folder / "none"); },
                                 {folder / "none", "No such file"}));
  EXPECT_TRUE(refuses<FileError>([&] { SafetensorsReader file(folder.path()); },
                                 {folder.path(), "is a folder"}));
  EXPECT_TRUE(
      refuses<FileError>([&] { SafetensorsReader file("/dev/zero"); }, {"/dev/zero", "a device"}));
}

TEST(Safetensors, RefusesWhatTheFormatCannotHold) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.safetensors";
  write_bytes(path, "before");
  const Tensor x = ramp({1}, DType::f32);
  EXPECT_TRUE(refuses<FileError>(
      [&] {
        write_safetensors(path, {{"__metadata__", x}});
      },
      {path, "__metadata__"}));
  EXPECT_TRUE(refuses<FileError>([&] { write_safetensors(path, {{"\xff", x}}); }, {path, "UTF-8"}));
  EXPECT_TRUE(refuses<FileError>(
      [&] {
        write_safetensors(path, {{"x", x}}, {{"k", "\xc3"}});
      },
      {path, "UTF-8"}));
  EXPECT_TRUE(refuses<FileError>(
      [&] {
        write_safetensors(path, {{"x", Tensor()}});
      },
      {path, "'x' is undefined"}));
  EXPECT_EQ(read_bytes(path), "before");
  EXPECT_EQ(read_bytes(path + ".partial"), "");
}

}  // namespace
}  // namespace basin::test
