// Damaged npy files.
#include <gtest/gtest.h>

#include "tensor/io/npy.h"
#include "tests/support/temporary_folder.h"
#include "tests/tensor/file_damage.h"
#include "tests/tensor/sample_tensors.h"

namespace basin::test {
namespace {

void read_all(const std::string& path) { (void)read_npy(path); }

const std::string kMagic = "\x93NUMPY";

std::string file_of(const std::string& header, const std::string& data) {
  return kMagic + std::string("\1\0", 2) + little_endian(header.size(), 2) + header + data;
}

// A header of these entries, and 8 bytes of data.
std::string one(const std::string& entries) {
  return file_of("{" + entries + "}\n", std::string(8, '\1'));
}

const std::string kEntries = "'descr': '<f4', 'fortran_order': False, 'shape': (2,), ";
const std::string kWhole = one(kEntries);

// The other entries right, and this shape.
std::string shaped(const std::string& shape) {
  return one("'descr': '<f4', 'fortran_order': False, 'shape': " + shape);
}

std::string typed(const std::string& descr) {
  return one("'fortran_order': False, 'shape': (2,), 'descr': " + descr);
}

std::string version(char major, char minor) {
  std::string bytes = kWhole;
  bytes[6] = major;
  bytes[7] = minor;
  return bytes;
}

std::string with_length(std::uint64_t length) {
  return kWhole.substr(0, 8) + little_endian(length, 2) + kWhole.substr(10);
}

std::vector<Damage> kinds_of_damage() {
  const std::string version_2 = kMagic + std::string("\2\0", 2);
  return {
      {"EmptyFile", "", "has 0 bytes"},
      {"MagicCutOff", kWhole.substr(0, 4), "has 4 bytes"},
      {"VersionCutOff", kWhole.substr(0, 7), "has 7 bytes"},
      {"LengthCutOff", kWhole.substr(0, 9), "within the length of its header"},
      {"LongLengthCutOff", version_2 + "\1\0", "within the length of its header"},
      {"HeaderCutOff", kWhole.substr(0, 30), "claims a header"},
      {"DataCutOff", kWhole.substr(0, kWhole.size() - 1), "holds 7; it is cut off"},
      {"DataMissing", kWhole.substr(0, kWhole.size() - 8), "holds 0; it is cut off"},
      {"DataTooLong", kWhole + "!", "holds 9"},
      {"TwoArrays", kWhole + kWhole, "more than one array"},
      {"WrongMagic", "\x94NUMPY" + kWhole.substr(6), "is no npy file"},
      {"MagicWithoutItsHighBit", "\x13NUMPY" + kWhole.substr(6), "is no npy file"},
      {"MagicOfLowerCase", "\x93numpy" + kWhole.substr(6), "is no npy file"},
      {"AZipFile", "PK\3\4" + std::string(60, '\0'), "is no npy file"},
      {"VersionZero", version('\0', '\0'), "version 0.0"},
      {"VersionFour", version('\4', '\0'), "version 4.0"},
      {"VersionOnePointOne", version('\1', '\1'), "version 1.1"},
      {"VersionTwoOverOne", version('\2', '\0'), "claims a header of"},
      {"HeaderLengthZero", with_length(0), "the end where '{' is needed"},
      {"HeaderLengthTooShort", with_length(30), "in its header"},
      {"HeaderLengthIntoTheData", with_length(kWhole.size() - 12), "text after the dictionary"},
      {"HeaderLengthOneBeyondTheFile", with_length(kWhole.size() - 9), "claims a header"},
      {"HeaderLengthLargest", with_length(65535), "claims a header of 65535 bytes"},
      {"LongHeaderLengthNegative", version_2 + little_endian(0xFFFFFFFF, 4) + std::string(64, ' '),
       "claims a header of 4294967295 bytes"},
      {"HeaderLongerThanIsRead",
       version_2 + little_endian(70000, 4) + "{" + kEntries + "}" + std::string(69999, ' '),
       "at most 65535 are read"},
      {"HeaderOfSpaces", file_of(std::string(60, ' '), ""), "the end where '{' is needed"},
      {"HeaderOfZeroBytes", file_of(std::string(60, '\0'), ""), "where '{' is needed"},
      {"HeaderThatIsAList", file_of("[]\n", ""), "'[' where '{' is needed"},
      {"NoEntries", one(""), "'descr' is missing"},
      {"NoDescr", one("'fortran_order': False, 'shape': (2,)"), "'descr' is missing"},
      {"NoOrder", one("'descr': '<f4', 'shape': (2,)"), "'fortran_order' is missing"},
      {"NoShape", one("'descr': '<f4', 'fortran_order': False"), "'shape' is missing"},
      {"DescrTwice", one("'descr': '<f4', " + kEntries), "'descr' appears twice"},
      {"OrderTwice", one("'fortran_order': True, " + kEntries), "'fortran_order' appears twice"},
      {"ShapeTwice", one("'shape': (2,), " + kEntries), "'shape' appears twice"},
      {"UnknownKey", one("'scale': 2, " + kEntries), "the key 'scale'"},
      {"KeyWithoutQuotes", one("descr: '<f4'"), "'d' where a text in quotes is needed"},
      {"KeyWithoutEnd", one("'descr: "), "a text without an end"},
      {"KeyWithoutColon", one("'descr' '<f4'"), "where ':' is needed"},
      {"EntriesWithoutComma", one("'descr': '<f4' 'shape': (2,)"), "where ',' is needed"},
      {"TwoCommas", one("'descr': '<f4',, 'shape': (2,)"), "',' where a text in quotes"},
      {"DictionaryWithoutEnd", file_of("{" + kEntries, ""), "the end where a text"},
      {"TextAfterTheDictionary", file_of("{" + kEntries + "} x", std::string(8, '\1')),
       "text after the dictionary"},
      {"ZeroByteAfterTheDictionary",
       file_of("{" + kEntries + "}" + std::string(1, '\0'), std::string(8, '\1')),
       "text after the dictionary"},
      {"UnknownDtype", typed("'<f3'"), "'<f3'"},
      {"DtypeWithoutOrder", typed("'f4'"), "'f4'"},
      {"DtypeOfNativeOrder", typed("'=f4'"), "'=f4'"},
      {"DtypeOfNoOrder", typed("'|f4'"), "'|f4'"},
      {"DtypeOfBfloat16", typed("'|V2'"), "save it as f4"},
      {"EmptyDtype", typed("''"), "''"},
      {"InvalidUtf8InTheDtype", typed("'\xFF\xFE'"), "is not read"},
      {"LineBreakInTheDtype", typed("'\n'"), "'\\n'"},
      {"LongDtype", typed("'" + std::string(5000, 'f') + "'"), "fff...'"},
      {"DtypeThatIsANumber", typed("4"), "'4' where a text in quotes is needed"},
      {"StructuredDtype", typed("[('a', '<f4')]"), "a structured dtype"},
      {"DtypeTooLarge", one("'descr': '<f8', 'fortran_order': False, 'shape': (2,)"),
       "needs 16 bytes, but holds 8"},
      {"OrderThatIsANumber", one("'fortran_order': 1"), "where True or False is needed"},
      {"OrderOfLowerCase", one("'fortran_order': true"), "where True or False is needed"},
      {"OrderWithMoreLetters", one("'fortran_order': Falsely"), "where ',' is needed"},
      {"ShapeThatIsANumber", shaped("2"), "'2' where '(' is needed"},
      {"ShapeThatIsAList", shaped("[2]"), "'[' where '(' is needed"},
      {"ShapeWithoutComma", shaped("(2)"), "lacks its comma"},
      {"ShapeWithoutEnd", shaped("(2,"), "where an extent is needed"},
      {"ShapeOfACommaOnly", shaped("(,)"), "',' where an extent is needed"},
      {"ShapeWithTwoCommas", shaped("(2,,)"), "',' where an extent is needed"},
      {"ShapeWithASpaceInside", shaped("(1 2)"), "'2' where ',' or ')' is needed"},
      {"NegativeExtent", shaped("(-2,)"), "a negative extent"},
      {"TwoNegativeExtents", shaped("(-2, -1)"), "a negative extent"},
      {"FractionalExtent", shaped("(2.0,)"), "'.' where ',' or ')' is needed"},
      {"ExtentThatIsAText", shaped("('2',)"), "where an extent is needed"},
      {"ExtentWithAPlus", shaped("(+2,)"), "'+' where an extent is needed"},
      {"ExtentBeyond63Bits", shaped("(9223372036854775808, 0)"), "does not fit in 63 bits"},
      {"ExtentOfManyDigits", shaped("(" + std::string(5000, '9') + ",)"), "63 bits"},
      {"ShapeThatOverflows", shaped("(4294967296, 4294967296)"), "does not fit in 63 bits"},
      {"ShapeWhoseBytesWrapToTheRightSize", shaped("(4611686018427387906,)"), "63 bits"},
      {"EmptyShapeWhoseOtherExtentsOverflow",
       file_of("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 8000000000400009, 0, 93236)}",
               ""),
       "does not fit in 63 bits"},
      {"ShapeOfHugeSize", shaped("(1000000000000,)"), "needs 4000000000000 bytes"},
      {"ShapeTooSmall", shaped("(1,)"), "needs 4 bytes, but holds 8"},
      {"EmptyShapeWithBytes", shaped("(0, 5)"), "needs 0 bytes"},
      {"ScalarWithManyBytes", shaped("()"), "needs 4 bytes"},
      {"NineDimensions", shaped("(1, 1, 1, 1, 1, 1, 1, 1, 2)"), "more than 8 dimensions"},
      {"DeepNesting", shaped(std::string(50000, '(')), "where an extent is needed"},
      {"BoolThatIsNeither",
       file_of("{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", std::string("\1\0\2", 3)),
       "element 2 of the array is the byte 2"},
  };
}

class NpyDamage : public testing::TestWithParam<Damage> {};

TEST_P(NpyDamage, IsRefusedByName) {
  EXPECT_TRUE(refuses_file(GetParam().bytes, read_all, GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(Kinds, NpyDamage, testing::ValuesIn(kinds_of_damage()), damage_name);

// What the table damages is whole, as are headers that only look unusual.
TEST(NpyDamage, BeginsWithAWholeFile) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  for (const std::string& bytes :
       {kWhole, shaped("(2L,)"), shaped("( 1 ,2 )"), shaped("(1, 2,)"),
        file_of("{\"shape\":(2,),\"fortran_order\":True,\"descr\":\"<f4\"}", std::string(8, '\1')),
        typed("'>f4'")}) {
    write_bytes(path, bytes);
    EXPECT_NO_THROW(read_all(path)) << bytes;
  }
}

TEST(NpyDamage, AnyTruncationIsRefused) {
  for (const char* name : {"f32.npy", "fortran_f32.npy", "version_2.npy"}) {
    expect_every_truncation_refused(read_bytes(data_file(name)), read_all);
  }
}

TEST(NpyDamage, FlippedAndRandomBytesAreSurvived) {
  for (const char* name : {"fortran_bool.npy", "big_endian_f16.npy", "version_3.npy"}) {
    expect_damage_survived(read_bytes(data_file(name)), read_all, 1000);
  }
}

}  // namespace
}  // namespace basin::test
