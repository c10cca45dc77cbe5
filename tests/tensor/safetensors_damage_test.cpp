// Damaged safetensors files.
#include <gtest/gtest.h>

#include "tensor/io/safetensors.h"
#include "tests/support/temporary_folder.h"
#include "tests/tensor/file_damage.h"
#include "tests/tensor/sample_tensors.h"

namespace basin::test {
namespace {

void read_all(const std::string& path) {
  const SafetensorsReader file(path);
  for (const std::string& name : file.names()) {
    (void)file.read(name);
  }
}

std::string file_of(const std::string& header, const std::string& data) {
  return little_endian(header.size(), 8) + header + data;
}

// A tensor "x" and 8 bytes of data.
std::string one(const std::string& fields) {
  return file_of("{\"x\":{" + fields + "}}", std::string(8, '\1'));
}

// Two tensors with these offsets, each of one f32, and 8 bytes of data.
std::string two(const std::string& first, const std::string& second) {
  return file_of(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":)" + first +
                     R"(},"y":{"dtype":"F32","shape":[1],"data_offsets":)" + second + "}}",
                 std::string(8, '\1'));
}

const std::string kWhole = one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])");

std::vector<Damage> kinds_of_damage() {
  const std::string end = R"(,"data_offsets":[0,8])";
  const std::string fields = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  return {
      {"EmptyFile", "", "has 0 bytes"},
      {"LengthCutOff", kWhole.substr(0, 5), "has 5 bytes"},
      {"HeaderCutOff", kWhole.substr(0, 20), "claims a header"},
      {"DataCutOff", kWhole.substr(0, kWhole.size() - 1), "cut off"},
      {"DataMissing", kWhole.substr(0, kWhole.size() - 8), "cut off"},
      {"DataTooLong", kWhole + "!", "the file holds 9"},
      {"HeaderLengthZero", little_endian(0, 8) + "{}", "begins with ''"},
      {"HeaderLengthOneBeyondTheFile", little_endian(3, 8) + "{}", "claims a header of 3 bytes"},
      {"HeaderLengthNegative", little_endian(~std::uint64_t{0}, 8) + "{}",
       "claims a header of 18446744073709551615 bytes"},
      {"HeaderLengthThatWrapsAround", little_endian(~std::uint64_t{0} - 7, 8) + "{}",
       "claims a header"},
      {"HeaderLengthBigEndian", std::string(7, '\0') + "\x02{}", "claims a header"},
      {"AnotherFormat", std::string("\x89HDF\r\n\x1a\n") + std::string(512, '\0'),
       "claims a header"},
      {"NoObject", file_of("[]", ""), "begins with '['"},
      {"SpaceBeforeTheObject", file_of(" {}", ""), "begins with ' '"},
      {"ByteOrderMark", file_of("\xEF\xBB\xBF{}", ""), "begins with"},
      {"ZeroBytesAsPadding", file_of(std::string("{}\0\0", 4), ""), "zero byte at byte 3"},
      {"TextAfterTheObject", file_of("{} {}", ""), "at byte 4 of the header"},
      {"ObjectWithoutEnd", file_of("{\"x\":{", ""), "of the header"},
      {"TextWithoutEnd", file_of("{\"x", ""), "missing closing quote"},
      {"TrailingComma", file_of("{\"__metadata__\":{},}", ""), "of the header"},
      {"Comment", file_of("{/* */}", ""), "of the header"},
      {"SingleQuotes", file_of("{'x':{}}", ""), "of the header"},
      {"InvalidUtf8", file_of("{\"\xC3\x28\":{}}", ""), "ill-formed UTF-8"},
      {"SurrogateInUtf8", file_of("{\"\xED\xA0\x80\":{}}", ""), "ill-formed UTF-8"},
      {"LoneSurrogateEscape", file_of(R"({"\ud800":{}})", ""), "surrogate"},
      {"ControlCharacterInAText", file_of("{\"\n\":{}}", ""), "control character"},
      {"NameTwice",
       file_of("{\"x\":{" + fields + "},\"x\":{" + fields + "}}", std::string(8, '\1')),
       "tensor 'x' appears twice"},
      {"NameTwiceByEscapes",
       file_of("{\"x\":{" + fields + "},\"\\u0078\":{" + fields + "}}", std::string(8, '\1')),
       "tensor 'x' appears twice"},
      {"MetadataTwice", file_of(R"({"__metadata__":{},"__metadata__":{}})", ""), "appears twice"},
      {"MetadataKeyTwice", file_of(R"({"__metadata__":{"a":"","a":""}})", ""),
       "'a' of __metadata__ appears twice"},
      {"MetadataThatIsANumber", file_of(R"({"__metadata__":{"a":1}})", ""), "the number 1 where"},
      {"MetadataThatIsAList", file_of(R"({"__metadata__":[]})", ""), "a list where"},
      {"MetadataThatIsATensor",
       file_of("{\"__metadata__\":{" + fields + "}}", std::string(8, '\1')), "a list where a text"},
      {"TensorThatIsNull", file_of(R"({"x":null})", ""), "of 'x' has null"},
      {"TensorThatIsAText", file_of(R"({"x":"F32"})", ""), "has the text 'F32'"},
      {"TensorThatIsTrue", file_of(R"({"x":true})", ""), "true or false"},
      {"NoFields", one(""), "'x' has no dtype"},
      {"NoDtype", one(R"("shape":[2],"data_offsets":[0,8])"), "'x' has no dtype"},
      {"NoShape", one(R"("dtype":"F32","data_offsets":[0,8])"), "'x' has no shape"},
      {"NoOffsets", one(R"("dtype":"F32","shape":[2])"), "'x' has no data_offsets"},
      {"DtypeTwice", one("\"dtype\":\"F32\"," + fields), "'x' has dtype twice"},
      {"ShapeTwice", one("\"shape\":[2]," + fields), "'x' has shape twice"},
      {"OffsetsTwice", one("\"data_offsets\":[0,8]," + fields), "'x' has data_offsets twice"},
      {"UnknownField", one("\"scale\":2," + fields), "the field 'scale'"},
      {"UnknownDtype", one(R"("dtype":"F8_E4M3","shape":[8])" + end), "dtype 'F8_E4M3'"},
      {"DtypeOfLowerCase", one(R"("dtype":"f32","shape":[2])" + end), "dtype 'f32'"},
      {"DtypeThatIsANumber", one(R"("dtype":32,"shape":[2])" + end), "the number 32 where"},
      {"NegativeExtent", one(R"("dtype":"F32","shape":[-2])" + end), "the negative number -2"},
      {"FractionalExtent", one(R"("dtype":"F32","shape":[2.0])" + end), "the number '2.0'"},
      {"ExtentThatIsAText", one(R"("dtype":"F32","shape":["2"])" + end), "the text '2'"},
      {"ExtentBeyond63Bits", one(R"("dtype":"U8","shape":[9223372036854775808,0])" + end),
       "does not fit in 63 bits"},
      {"ExtentBeyond64Bits", one(R"("dtype":"U8","shape":[18446744073709551616])" + end),
       "the number '18446744073709551616'"},
      {"ExtentBeyondAllNumbers", one(R"("dtype":"U8","shape":[1e999])" + end), "of the header"},
      {"ShapeThatOverflows", one(R"("dtype":"F32","shape":[4294967296,4294967296])" + end),
       "does not fit in 63 bits"},
      {"ShapeWhoseBytesWrapToTheRightSize",  // 4 * (2^62 + 2) = 8 modulo 2^64
       one(R"("dtype":"F32","shape":[4611686018427387906])" + end), "does not fit in 63 bits"},
      {"EmptyShapeWhoseOtherExtentsOverflow",
       file_of(R"({"x":{"dtype":"F16","shape":[2,0,8000000000400009,93236],"data_offsets":[0,0]}})",
               ""),
       "does not fit in 63 bits"},
      {"ShapeOfHugeSize", one(R"("dtype":"F32","shape":[1000000000000])" + end),
       "needs 4000000000000 bytes"},
      {"NineDimensions", one(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,2])" + end),
       "more than 8 dimensions"},
      {"ShapeThatIsANumber", one(R"("dtype":"F32","shape":2)" + end), "the number 2 where"},
      {"ShapeInAShape", one(R"("dtype":"F32","shape":[[2]])" + end), "a list where"},
      {"ShapeTooSmall", one(R"("dtype":"F32","shape":[1])" + end), "needs 4 bytes"},
      {"DtypeTooLarge", one(R"("dtype":"F64","shape":[2])" + end), "needs 16 bytes"},
      {"ScalarWithManyBytes", one(R"("dtype":"F32","shape":[])" + end), "needs 4 bytes"},
      {"EmptyTensorWithBytes", one(R"("dtype":"F32","shape":[0,2])" + end), "needs 0 bytes"},
      {"OneOffset", one(R"("dtype":"F32","shape":[2],"data_offsets":[8])"), "has 1 data_offsets"},
      {"ThreeOffsets", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])"),
       "more than two data_offsets"},
      {"NegativeOffset", one(R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])"),
       "the negative number -8"},
      {"OffsetsBackwards", one(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"),
       "before it begins"},
      {"OffsetsBeyondTheFile", one(R"("dtype":"F32","shape":[2],"data_offsets":[8,16])"),
       "ends at byte 16 of the data, but the file holds 8"},
      {"OffsetsAtTheEndOfAllNumbers",
       one(R"("dtype":"F32","shape":[2],"data_offsets":[18446744073709551607,18446744073709551615])"),
       "cut off or damaged"},
      {"GapBeforeTheFirst", one(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), "gaps"},
      {"GapAfterTheLast", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"),
       "end at byte 4 of the data, but the file holds 8"},
      {"GapBetween",
       file_of(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
               R"("y":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
               "abc"),
       "'y' begins at byte 2"},
      {"Overlap", two("[0,4]", "[2,6]"), "neither overlap"},
      {"SameBytesTwice", two("[0,4]", "[0,4]"), "neither overlap"},
      {"EmptyTensorInsideAnother",
       file_of(R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
               R"("y":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
               "abcd"),
       "'y' begins at byte 2"},
      {"EmptyTensorBeyondTheData",
       file_of(R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[9,9]}})", ""), "ends at byte 9"},
      {"BoolThatIsNeither",
       file_of(R"({"x":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})",
               std::string("\0\1\2", 3)),
       "element 2 of tensor 'x' is the byte 2"},
      {"DeepNestingOfLists", file_of("{\"x\":" + std::string(100000, '['), ""), "a list where"},
      {"DeepNestingOfObjects",
       [] {
         std::string header;
         for (int n = 0; n < 100000; ++n) {
           header += "{\"x\":";
         }
         return file_of(header, "");
       }(),
       "the field 'x'"},
      {"ObjectInAText", one(R"("dtype":{"F32":1})"), "an object where"},
      {"LongNameInTheMessage", file_of("{\"" + std::string(5000, 'n') + "\":1}", ""), "nnn...'"},
      {"LineBreakInTheMessage", file_of(R"({"a\nb":1})", ""), "'a\\nb'"},
  };
}

class SafetensorsDamage : public testing::TestWithParam<Damage> {};

TEST_P(SafetensorsDamage, IsRefusedByName) {
  EXPECT_TRUE(refuses_file(GetParam().bytes, read_all, GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(Kinds, SafetensorsDamage, testing::ValuesIn(kinds_of_damage()),
                         damage_name);

TEST(SafetensorsDamage, BeginsWithAWholeFile) {
  const TemporaryFolder folder;
  write_bytes(folder / "x", kWhole);
  EXPECT_NO_THROW(read_all(folder / "x"));
  write_bytes(folder / "x", two("[4,8]", "[0,4]"));
  EXPECT_NO_THROW(read_all(folder / "x"));
}

TEST(SafetensorsDamage, AnyTruncationIsRefused) {
  expect_every_truncation_refused(read_bytes(data_file("every_dtype.safetensors")), read_all);
}

TEST(SafetensorsDamage, AnyOtherLengthOfTheHeaderIsRefused) {
  const std::string bytes = read_bytes(data_file("every_dtype.safetensors"));
  for (int bit = 0; bit < 64; ++bit) {
    std::string flipped = bytes;
    flipped[static_cast<std::size_t>(bit / 8)] =
        static_cast<char>(flipped[static_cast<std::size_t>(bit / 8)] ^ (1 << (bit % 8)));
    EXPECT_TRUE(refuses_file(flipped, read_all, "header")) << "bit " << bit;
  }
}

TEST(SafetensorsDamage, FlippedAndRandomBytesAreSurvived) {
  expect_damage_survived(read_bytes(data_file("every_dtype.safetensors")), read_all, 3000);
}

// A file that says it is large without being so costs neither memory nor time.
TEST(SafetensorsDamage, AHugeSparseFileIsRefused) {
  const TemporaryFolder folder;
  const std::string path = folder / "sparse";
  write_bytes(path, little_endian(std::uint64_t{1} << 39, 8));
  std::filesystem::resize_file(path, std::uintmax_t{1} << 40);
  EXPECT_TRUE(refuses<FileError>([&] { read_all(path); }, {path, "at most 100000000 are read"}));
}

}  // namespace
}  // namespace basin::test
