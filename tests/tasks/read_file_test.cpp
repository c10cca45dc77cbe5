#include "tasks/text/read_file.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace basin::tasks {
namespace {

using test::read_bytes;
using test::refuses;
using test::TemporaryFolder;
using test::write_bytes;

std::string content(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

void write_gzip(const std::string& path, const std::string& bytes) {
  const gzFile file = gzopen(path.c_str(), "wb");
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())),
            static_cast<int>(bytes.size()));
  EXPECT_EQ(gzclose(file), Z_OK);
}

// Longer than the pieces the reader takes, and hard to compress.
std::string large() {
  std::string bytes;
  std::uint32_t x = 1;
  for (int n = 0; n < 3000000; ++n) {
    x = x * 1664525u + 1013904223u;
    bytes.push_back(static_cast<char>(x >> 24));
  }
  return bytes;
}

TEST(ReadFile, PlainAndPackedFilesGiveTheSameBytes) {
  const TemporaryFolder folder;
  for (const std::string& bytes :
       {std::string("a"), std::string("zero \0 and \xff, \r\n", 17), large()}) {
    write_bytes(folder / "plain", bytes);
    write_gzip(folder / "packed.gz", bytes);
    EXPECT_TRUE(content(folder / "plain") == bytes);
    EXPECT_TRUE(content(folder / "packed.gz") == bytes);
  }
}

TEST(ReadFile, TheContentSaysWhetherAFileIsPackedNotTheName) {
  const TemporaryFolder folder;
  write_gzip(folder / "packed.txt", "hello");
  write_bytes(folder / "plain.gz", "hello");
  EXPECT_EQ(content(folder / "packed.txt"), "hello");
  EXPECT_EQ(content(folder / "plain.gz"), "hello");
}

TEST(ReadFile, ReadsAllMembersOfAPackedFile) {
  const TemporaryFolder folder;
  write_gzip(folder / "first", "one ");
  write_gzip(folder / "second", "two");
  write_bytes(folder / "both.gz", read_bytes(folder / "first") + read_bytes(folder / "second"));
  EXPECT_EQ(content(folder / "both.gz"), "one two");
}

TEST(ReadFile, RefusesAPackedFileThatIsCutShort) {
  const TemporaryFolder folder;
  const std::string bytes = large().substr(0, 100000);
  write_gzip(folder / "whole.gz", bytes);
  const std::string whole = read_bytes(folder / "whole.gz");
  const std::string path = folder / "cut.gz";
  // Inside the header, just after it, in the middle, before and inside the checksum at the end.
  for (const std::size_t size : {std::size_t{5}, std::size_t{10}, std::size_t{11}, whole.size() / 2,
                                 whole.size() - 8, whole.size() - 1}) {
    write_bytes(path, whole.substr(0, size));
    EXPECT_TRUE(refuses<FileError>([&] { read_file(path); }, {path})) << size;
  }
}

TEST(ReadFile, RefusesAPackedFileThatIsDamaged) {
  const TemporaryFolder folder;
  write_gzip(folder / "whole.gz", large().substr(0, 100000));
  std::string damaged = read_bytes(folder / "whole.gz");
  const std::string path = folder / "damaged.gz";
  for (const std::size_t at : {damaged.size() / 2, damaged.size() - 6}) {
    std::string bytes = damaged;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
    write_bytes(path, bytes);
    EXPECT_TRUE(refuses<FileError>([&] { read_file(path); }, {path, "damaged"})) << at;
  }
}

TEST(ReadFile, RefusesWhatIsNoFileOrHoldsNothing) {
  const TemporaryFolder folder;
  EXPECT_TRUE(refuses<FileError>([&] { read_file(folder / "missing"); },
                                 {folder / "missing", "no such file"}));
  EXPECT_TRUE(refuses<FileError>([&] { read_file(folder.path()); }, {folder.path(), "folder"}));
  write_bytes(folder / "empty", "");
  EXPECT_TRUE(
      refuses<FileError>([&] { read_file(folder / "empty"); }, {folder / "empty", "empty"}));
  write_gzip(folder / "empty.gz", "");
  EXPECT_TRUE(
      refuses<FileError>([&] { read_file(folder / "empty.gz"); }, {folder / "empty.gz", "empty"}));
  EXPECT_TRUE(refuses<FileError>([&] { read_file(""); }, {}));
}

TEST(ReadFile, RefusesAFileItMayNotRead) {
  const TemporaryFolder folder;
  write_bytes(folder / "secret", "text");
  std::filesystem::permissions(folder / "secret", std::filesystem::perms::none);
  if (geteuid() == 0) {
    EXPECT_EQ(content(folder / "secret"), "text") << "the superuser reads everything";
  } else {
    EXPECT_TRUE(refuses<FileError>([&] { read_file(folder / "secret"); },
                                   {folder / "secret", "cannot be read"}));
  }
}

}  // namespace
}  // namespace basin::tasks
