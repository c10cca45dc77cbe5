// The 16-bit floats in HDF5 files: ours, and those of other programs.
#include <gtest/gtest.h>
#include <hdf5.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/common/half.h"
#include "tensor/io/hdf5.h"
#include "tests/support/same_bits.h"
#include "tests/support/temporary_folder.h"
#include "tests/tensor/sample_tensors.h"

namespace basin::test {
namespace {

struct Layout {
  DType dtype;
  std::size_t exponent_bits;
  std::size_t bias;
};

class Hdf5Half : public testing::TestWithParam<Layout> {
 protected:
  // The type by its definition.
  hid_t type(H5T_order_t order) const {
    const std::size_t fraction_bits = 15 - GetParam().exponent_bits;
    const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    EXPECT_GE(H5Tset_fields(type, 15, fraction_bits, GetParam().exponent_bits, 0, fraction_bits),
              0);
    EXPECT_GE(H5Tset_precision(type, 16), 0);
    EXPECT_GE(H5Tset_size(type, 2), 0);
    EXPECT_GE(H5Tset_ebias(type, GetParam().bias), 0);
    EXPECT_GE(H5Tset_order(type, order), 0);
    return type;
  }

  float to_f32(std::uint16_t bits) const {
    return GetParam().dtype == DType::bf16 ? kernels::to_float(kernels::BFloat16{bits})
                                           : kernels::to_float(kernels::Float16{bits});
  }
};

// Also as a check of the exponent and fraction widths: the library converts each pattern to f32 by
// the description in the file, and must come to what our own conversion says.
TEST_P(Hdf5Half, StoresEveryBitPatternAsAFloatOfItsLayout) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  Tensor patterns = Tensor::empty({256, 256}, GetParam().dtype);
  auto* bits = static_cast<std::uint16_t*>(patterns.mutable_raw());
  for (unsigned n = 0; n < 65536; ++n) {
    bits[n] = static_cast<std::uint16_t>(n);
  }
  {
    Hdf5Writer file(path);
    file.write("/x", patterns);
    file.commit();
  }
  const Hdf5Reader reader(path);
  EXPECT_EQ(reader.info("/x").dtype, GetParam().dtype);
  EXPECT_TRUE(same_bits(reader.read("/x"), patterns));

  std::vector<float> converted(65536);
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t dataset = H5Dopen2(file, "/x", H5P_DEFAULT);
  const hid_t stored = H5Dget_type(dataset);
  const hid_t defined = type(H5T_ORDER_LE);
  EXPECT_GT(H5Tequal(stored, defined), 0);
  EXPECT_GE(H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, converted.data()), 0);
  H5Tclose(defined);
  H5Tclose(stored);
  H5Dclose(dataset);
  H5Fclose(file);
  for (unsigned n = 0; n < 65536; ++n) {
    const float expected = to_f32(static_cast<std::uint16_t>(n));
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(converted[n])) << n;
    } else {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(converted[n]), std::bit_cast<std::uint32_t>(expected))
          << n;
    }
  }
}

TEST_P(Hdf5Half, RoundTripsShapesAndViews) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  const Tensor x = ramp({3, 4}, GetParam().dtype);
  {
    Hdf5Writer file(path);
    file.write("/scalar", ramp({}, GetParam().dtype));
    file.write("/empty", ramp({0, 3}, GetParam().dtype));
    file.write("/turned", x.transpose(0, 1));
    file.commit();
  }
  const Hdf5Reader file(path);
  EXPECT_TRUE(same_bits(file.read("/scalar"), ramp({}, GetParam().dtype)));
  EXPECT_TRUE(same_bits(file.read("/empty"), ramp({0, 3}, GetParam().dtype)));
  EXPECT_TRUE(same_bits(file.read("/turned"), x.transpose(0, 1)));
}

TEST_P(Hdf5Half, ReadsTheOtherByteOrder) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  const Tensor x = ramp({7}, GetParam().dtype);
  std::vector<std::uint16_t> swapped(7);
  std::memcpy(swapped.data(), x.raw(), 14);
  for (std::uint16_t& element : swapped) {
    element = static_cast<std::uint16_t>((element << 8) | (element >> 8));
  }
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hsize_t extent = 7;
  const hid_t space = H5Screate_simple(1, &extent, nullptr);
  const hid_t big_endian = type(H5T_ORDER_BE);
  const hid_t dataset =
      H5Dcreate2(file, "/x", big_endian, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  EXPECT_GE(H5Dwrite(dataset, big_endian, H5S_ALL, H5S_ALL, H5P_DEFAULT, swapped.data()), 0);
  H5Dclose(dataset);
  H5Tclose(big_endian);
  H5Sclose(space);
  H5Fclose(file);
  EXPECT_TRUE(same_bits(Hdf5Reader(path).read("/x"), x));
}

INSTANTIATE_TEST_SUITE_P(Formats, Hdf5Half,
                         testing::Values(Layout{DType::bf16, 8, 127}, Layout{DType::f16, 5, 15}),
                         [](const auto& instance) {
                           return std::string(name_of(instance.param.dtype));
                         });

}  // namespace
}  // namespace basin::test
