// HDF5 files of other programs: the types and layouts they use, and claims that must not be
// believed. They are made here with the library itself.
#include <gtest/gtest.h>
#include <hdf5.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tensor/io/hdf5.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace basin::test {
namespace {

constexpr hsize_t kHuge = hsize_t{1} << 40;

// A file under construction in the oldest format, as other programs write it by default.
class ForeignFile {
 public:
  ForeignFile() : path_(folder_ / "x.h5") {
    // The project asks for this at its own first use, which is too late if this one comes before.
    static const herr_t closes_itself = H5dont_atexit();
    (void)closes_itself;
    id_ = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  }
  ~ForeignFile() { close(); }
  ForeignFile(const ForeignFile&) = delete;
  ForeignFile& operator=(const ForeignFile&) = delete;

  // A dataset; `data` may be null: nothing is written then.
  void dataset(const char* name, hid_t file_type, hid_t memory, const std::vector<hsize_t>& extents,
               const void* data, hid_t properties = H5P_DEFAULT) {
    const hid_t space = H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr);
    const hid_t set = H5Dcreate2(id_, name, file_type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    ASSERT_GE(set, 0) << name;
    if (data != nullptr) {
      ASSERT_GE(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), 0) << name;
    }
    H5Dclose(set);
    H5Sclose(space);
  }

  // An attribute of the file with `count` elements.
  void attribute(const char* name, hid_t type, hid_t memory, const void* data, hsize_t count = 1) {
    const hid_t space = count == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &count, nullptr);
    const hid_t id = H5Acreate2(id_, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    ASSERT_GE(H5Awrite(id, memory, data), 0) << name;
    H5Aclose(id);
    H5Sclose(space);
  }

  hid_t id() const { return id_; }

  // Ends the construction.
  const std::string& close() {
    if (id_ >= 0) {
      H5Fclose(id_);
      id_ = -1;
    }
    return path_;
  }

 private:
  TemporaryFolder folder_;
  std::string path_;
  hid_t id_ = -1;
};

// The enum by which booleans are stored.
hid_t boolean_type() {
  const hid_t type = H5Tenum_create(H5T_NATIVE_INT8);
  const std::int8_t no = 0;
  const std::int8_t yes = 1;
  H5Tenum_insert(type, "FALSE", &no);
  H5Tenum_insert(type, "TRUE", &yes);
  return type;
}

TEST(Hdf5Foreign, ReadsEitherByteOrder) {
  ForeignFile file;
  const std::array<double, 3> numbers = {1.5, -2.25, 1e10};
  const std::array<std::int64_t, 3> integers = {1, -2, std::int64_t{1} << 40};
  file.dataset("f32", H5T_IEEE_F32BE, H5T_NATIVE_DOUBLE, {3}, numbers.data());
  file.dataset("f64", H5T_IEEE_F64BE, H5T_NATIVE_DOUBLE, {3}, numbers.data());
  file.dataset("i64", H5T_STD_I64BE, H5T_NATIVE_INT64, {3}, integers.data());
  const Hdf5Reader reader(file.close());
  EXPECT_EQ(reader.read("f32").to_vector<float>(), (std::vector<float>{1.5f, -2.25f, 1e10f}));
  EXPECT_EQ(reader.read("f64").to_vector<double>(),
            std::vector<double>(numbers.begin(), numbers.end()));
  EXPECT_EQ(reader.read("i64").to_vector<std::int64_t>(),
            std::vector<std::int64_t>(integers.begin(), integers.end()));
}

TEST(Hdf5Foreign, ReadsBooleansAsBytes) {
  ForeignFile file;
  const std::array<std::int8_t, 4> values = {1, 0, 0, 1};
  const hid_t type = boolean_type();
  file.dataset("mask", type, type, {2, 2}, values.data());
  file.attribute("causal", type, type, values.data());
  H5Tclose(type);
  const Hdf5Reader reader(file.close());
  EXPECT_EQ(reader.info("mask").dtype, DType::u8);
  EXPECT_EQ(reader.read("mask").to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{1, 0, 0, 1}));
  EXPECT_EQ(reader.number("/", "causal"), 1.0);
  EXPECT_EQ(reader.integer("/", "causal"), 1);
}

TEST(Hdf5Foreign, ReadsChunkedAndCompressedDatasets) {
  ForeignFile file;
  std::vector<float> values(1000, 0.5f);
  values[999] = 7.0f;
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk = 64;
  H5Pset_chunk(properties, 1, &chunk);
  H5Pset_deflate(properties, 6);
  H5Pset_fletcher32(properties);
  file.dataset("x", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {1000}, values.data(), properties);
  H5Pclose(properties);
  EXPECT_EQ(Hdf5Reader(file.close()).read("x").to_vector<float>(), values);
}

TEST(Hdf5Foreign, ReadsTextsOfEveryKind) {
  ForeignFile file;
  const hid_t variable = H5Tcopy(H5T_C_S1);
  H5Tset_size(variable, H5T_VARIABLE);
  const char* text = "variable";
  file.attribute("variable", variable, variable, &text);
  const char* none = nullptr;
  file.attribute("null", variable, variable, &none);
  H5Tset_cset(variable, H5T_CSET_UTF8);
  const char* greek = "β";
  file.attribute("utf-8", variable, variable, &greek);
  const hid_t fixed = H5Tcopy(H5T_C_S1);
  H5Tset_size(fixed, 8);
  file.attribute("terminated", fixed, fixed, "abc\0def");
  H5Tset_strpad(fixed, H5T_STR_NULLPAD);
  file.attribute("full", fixed, fixed, "abcdefgh");
  H5Tset_strpad(fixed, H5T_STR_SPACEPAD);
  file.attribute("spaces", fixed, fixed, " abc    ");
  file.attribute("only spaces", fixed, fixed, "        ");
  H5Tclose(fixed);
  H5Tclose(variable);
  const Hdf5Reader reader(file.close());
  EXPECT_EQ(reader.text("/", "variable"), "variable");
  EXPECT_EQ(reader.text("/", "null"), "");
  EXPECT_EQ(reader.text("/", "utf-8"), "β");
  EXPECT_EQ(reader.text("/", "terminated"), "abc");
  EXPECT_EQ(reader.text("/", "full"), "abcdefgh");
  EXPECT_EQ(reader.text("/", "spaces"), " abc");
  EXPECT_EQ(reader.text("/", "only spaces"), "");
}

TEST(Hdf5Foreign, ReadsNumbersOfEveryWidth) {
  ForeignFile file;
  const double value = 3.0;
  file.attribute("i8", H5T_STD_I8LE, H5T_NATIVE_DOUBLE, &value);
  file.attribute("u16", H5T_STD_U16BE, H5T_NATIVE_DOUBLE, &value);
  file.attribute("i32", H5T_STD_I32LE, H5T_NATIVE_DOUBLE, &value);
  file.attribute("f32", H5T_IEEE_F32LE, H5T_NATIVE_DOUBLE, &value);
  const std::uint64_t largest = std::numeric_limits<std::uint64_t>::max();
  file.attribute("u64", H5T_STD_U64LE, H5T_NATIVE_UINT64, &largest);
  const std::array<double, 2> two = {1, 2};
  file.attribute("two", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, two.data(), 2);
  const Hdf5Reader reader(file.close());
  for (const char* name : {"i8", "u16", "i32", "f32"}) {
    EXPECT_EQ(reader.number("/", name), 3.0) << name;
  }
  EXPECT_EQ(reader.integer("/", "u16"), 3);
  EXPECT_EQ(reader.number("/", "u64"), 0x1p64);
  EXPECT_TRUE(refuses<FileError>([&] { (void)reader.integer("/", "u64"); },
                                 {"'u64'", "18446744073709551615", "does not fit"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)reader.number("/", "two"); },
                                 {"'two'", "2 elements; one is needed"}));
}

TEST(Hdf5Foreign, RefusesTypesItHasNoDTypeFor) {
  ForeignFile file;
  const double value = 3.0;
  file.dataset("i8", H5T_STD_I8LE, H5T_NATIVE_DOUBLE, {1}, &value);
  file.dataset("u32", H5T_STD_U32LE, H5T_NATIVE_DOUBLE, {1}, &value);
  file.dataset("u64", H5T_STD_U64LE, H5T_NATIVE_DOUBLE, {1}, &value);
  // Half precision with a bit of the fraction given to the exponent: neither IEEE nor bfloat16.
  const hid_t float16 = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(float16, 15, 9, 6, 0, 9);
  H5Tset_precision(float16, 16);
  H5Tset_size(float16, 2);
  H5Tset_ebias(float16, 31);
  file.dataset("float16", float16, H5T_NATIVE_DOUBLE, {1}, &value);
  H5Tclose(float16);
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, 3);
  file.dataset("text", text, text, {1}, "abc");
  H5Tclose(text);
  file.dataset("nine", H5T_IEEE_F32LE, H5T_NATIVE_DOUBLE, {1, 1, 1, 1, 1, 1, 1, 1, 1}, &value);
  const hid_t nothing = H5Screate(H5S_NULL);
  H5Dclose(H5Dcreate2(file.id(), "null", H5T_IEEE_F32LE, nothing, H5P_DEFAULT, H5P_DEFAULT,
                      H5P_DEFAULT));
  H5Sclose(nothing);
  const Hdf5Reader reader(file.close());
  const auto refused = [&](const char* name, const std::string& message) {
    EXPECT_TRUE(refuses<FileError>([&] { (void)reader.read(name); },
                                   {reader.path(), std::string("'") + name + "'", message}));
    EXPECT_TRUE(refuses<FileError>([&] { (void)reader.info(name); }, {message}));
  };
  refused("i8", "a signed 8-bit integer; only");
  refused("u32", "an unsigned 32-bit integer");
  refused("u64", "an unsigned 64-bit integer");
  refused("float16", "a 16-bit float; only");
  refused("text", "a text");
  refused("nine", "9 dimensions; at most 8");
  refused("null", "no type or no shape");
}

TEST(Hdf5Foreign, DoesNotBelieveSizesTheFileCannotHold) {
  ForeignFile file;
  // Never written: the file holds no byte of it, and reading would give zeros.
  file.dataset("claim", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {kHuge, 4}, nullptr);
  file.dataset("beyond 64 bits", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, {kHuge, kHuge / 1024}, nullptr);
  file.dataset("unwritten", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, {3}, nullptr);
  // One chunk is there, the rest is not; a compressed dataset may be larger than its file, but not
  // than the memory.
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t chunk = 64;
  H5Pset_chunk(properties, 1, &chunk);
  H5Pset_deflate(properties, 6);
  file.dataset("compressed", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, {kHuge * 64}, nullptr, properties);
  {
    const hid_t set = H5Dopen2(file.id(), "compressed", H5P_DEFAULT);
    const hid_t space = H5Dget_space(set);
    const hsize_t start = 0;
    H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, nullptr, &chunk, nullptr);
    const hid_t memory = H5Screate_simple(1, &chunk, nullptr);
    const std::vector<double> values(64, 1.0);
    ASSERT_GE(H5Dwrite(set, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, values.data()), 0);
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(set);
  }
  H5Pclose(properties);
  const Hdf5Reader reader(file.close());
  const auto refused = [&](const char* name, const std::string& message) {
    EXPECT_TRUE(refuses<FileError>([&] { (void)reader.read(name); },
                                   {reader.path(), std::string("'") + name + "'", message}));
  };
  refused("claim", "the file holds 0 for it");
  refused("beyond 64 bits", "no memory holds");
  refused("unwritten", "needs 24 bytes, but the file holds 0");
  refused("compressed", "this machine has");
}

TEST(Hdf5Foreign, DoesNotFollowLinksThatLeadNowhere) {
  ForeignFile file;
  ASSERT_GE(H5Lcreate_soft("/nowhere", file.id(), "dangling", H5P_DEFAULT, H5P_DEFAULT), 0);
  const Hdf5Reader reader(file.close());
  EXPECT_EQ(reader.members("/"), std::vector<std::string>{"dangling"});
  EXPECT_FALSE(reader.has("/dangling"));
  EXPECT_TRUE(refuses<FileError>([&] { (void)reader.read("/dangling"); }, {"no dataset"}));
}

}  // namespace
}  // namespace basin::test
