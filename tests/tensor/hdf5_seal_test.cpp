// The seal in front of the HDF5 files we write, and what is not followed out of a file.
#include <gtest/gtest.h>
#include <hdf5.h>
#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tensor/io/hdf5.h"
#include "tests/support/expect_error.h"
#include "tests/support/memory_file.h"
#include "tests/support/sealed_file.h"
#include "tests/support/temporary_folder.h"

namespace basin::test {
namespace {

std::string written() {
  const TemporaryFolder folder;
  Hdf5Writer file(folder / "x.h5");
  file.write("/x", Tensor::full({3}, 2, DType::f32));
  file.commit();
  return read_bytes(folder / "x.h5");
}

std::uint32_t checksum(const std::string& bytes) {
  return static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()),
                                            static_cast<z_size_t>(bytes.size())));
}

// Files on disks depend on this layout; docs/formats.md describes it.
TEST(Hdf5Seal, IsTheTextThatIsDocumented) {
  const std::string bytes = written();
  std::string expected = fmt::format("basin sealed file 1\nbytes {}\ncrc32 {:08x}\n", bytes.size(),
                                     checksum(bytes.substr(512)));
  expected.resize(512, '\0');
  EXPECT_EQ(bytes.substr(0, 512), expected);
  EXPECT_EQ(bytes.substr(512, 8), "\x89HDF\r\n\x1A\n");
}

TEST(Hdf5Seal, FindsEveryFlippedBit) {
  std::string bytes = written();
  MemoryFile file;
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    const char flip = static_cast<char>(1 << (bit % 8));
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ flip);
    file.set(bytes);
    ASSERT_TRUE(refuses<FileError>([&] { Hdf5Reader(file.path(), Hdf5Seal::required); },
                                   {file.path() + ": "}))
        << "bit " << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ flip);
  }
  file.set(bytes);
  EXPECT_EQ(Hdf5Reader(file.path(), Hdf5Seal::required).read("/x").to_vector<float>(),
            std::vector<float>(3, 2));
}

TEST(Hdf5Seal, FindsEveryCut) {
  const std::string bytes = written();
  MemoryFile file;
  for (std::size_t length = 0; length < bytes.size(); length += length < 600 ? 1 : 7) {
    file.set(bytes.substr(0, length));
    ASSERT_TRUE(
        refuses<FileError>([&] { const Hdf5Reader reader(file.path()); }, {file.path() + ": "}))
        << length << " bytes left";
  }
}

TEST(Hdf5Seal, IsMissingFromFilesOfOtherPrograms) {
  MemoryFile file;
  file.set(unsealed(written()));
  EXPECT_EQ(Hdf5Reader(file.path()).read("/x").numel(), 3);
  EXPECT_TRUE(refuses<FileError>([&] { Hdf5Reader(file.path(), Hdf5Seal::required); },
                                 {file.path(), "without a seal"}));
  // Room left by another program for something else.
  file.set(std::string(512, '#') + unsealed(written()));
  EXPECT_EQ(Hdf5Reader(file.path()).read("/x").numel(), 3);
}

// A seal says nothing about what lies elsewhere, and a file from a stranger should not make us read
// others.
TEST(Hdf5Seal, CoversAllThatIsRead) {
  const TemporaryFolder folder;
  write_bytes(folder / "other.h5", written());
  const std::string path = folder / "x.h5";
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_external("other.h5", "/x", file, "outside", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_external("other.h5", "/", file, "group outside", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_soft("/outside", file, "by a detour", H5P_DEFAULT, H5P_DEFAULT);
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_external(properties, (folder / "other.h5").c_str(), 0, 16);
  const hsize_t extent = 4;
  const hid_t space = H5Screate_simple(1, &extent, nullptr);
  H5Dclose(H5Dcreate2(file, "elements outside", H5T_IEEE_F32LE, space, H5P_DEFAULT, properties,
                      H5P_DEFAULT));
  H5Pclose(properties);
  H5Sclose(space);
  H5Fclose(file);
  const Hdf5Reader reader(path);
  for (const char* name : {"outside", "by a detour"}) {
    EXPECT_FALSE(reader.has(name));
    EXPECT_TRUE(refuses<FileError>([&] { (void)reader.read(name); },
                                   {path, std::string("'/") + name, "no other file is read"}));
  }
  EXPECT_FALSE(reader.has("group outside/x"));
  EXPECT_THROW((void)reader.members("group outside"), FileError);
  EXPECT_TRUE(refuses<FileError>([&] { (void)reader.read("elements outside"); },
                                 {path, "'elements outside'", "from other files"}));
}

}  // namespace
}  // namespace basin::test
