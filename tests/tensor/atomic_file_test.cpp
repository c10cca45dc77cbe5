// Files that appear when they are complete, and what is left when they cannot be completed.
#include "tensor/io/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <functional>

#include "tensor/io/npy.h"
#include "tensor/io/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/tensor/sample_tensors.h"

namespace basin::test {
namespace {

using io::AtomicFile;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

bool exists(const std::string& path) { return std::filesystem::exists(path); }

// No file of this process can grow beyond `bytes` for a scope: the nearest thing to a full disk
// that needs no file system of its own.
class ScopedFileLimit {
 public:
  explicit ScopedFileLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &previous_);
    const rlimit limit{bytes, previous_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~ScopedFileLimit() { setrlimit(RLIMIT_FSIZE, &previous_); }
  ScopedFileLimit(const ScopedFileLimit&) = delete;
  ScopedFileLimit& operator=(const ScopedFileLimit&) = delete;

 private:
  rlimit previous_{};
};

TEST(AtomicFile, AppearsOnCommit) {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  write_bytes(path, "before");
  {
    AtomicFile file(path);
    file.write(bytes_of("af"));
    file.write({});
    file.write(bytes_of("ter"));
    EXPECT_EQ(read_bytes(path), "before");
    file.commit();
    EXPECT_EQ(read_bytes(path), "after");
    EXPECT_EQ(file.path(), path);
  }
  EXPECT_EQ(read_bytes(path), "after");
  EXPECT_FALSE(exists(path + ".partial"));
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  {
    AtomicFile file(path);
    file.write(bytes_of("half"));
    EXPECT_TRUE(exists(path + ".partial"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(AtomicFile, TakesOverWhatAKilledWriterLeft) {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  write_bytes(path + ".partial", "longer than what comes now");
  AtomicFile file(path);
  file.write(bytes_of("new"));
  file.commit();
  EXPECT_EQ(read_bytes(path), "new");
}

TEST(AtomicFile, RefusesASecondWriter) {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  AtomicFile first(path);
  first.write(bytes_of("first"));
  EXPECT_TRUE(refuses<FileError>([&] { AtomicFile second(path); },
                                 {path, "another program is writing", ".partial"}));
  first.commit();
  AtomicFile third(path);
  third.write(bytes_of("third"));
  EXPECT_EQ(read_bytes(path), "first");
}

TEST(AtomicFile, RefusesPlacesThatTakeNoFile) {
  const TemporaryFolder folder;
  EXPECT_TRUE(
      refuses<FileError>([&] { AtomicFile file(folder.path()); }, {folder.path(), "is a folder"}));
  EXPECT_TRUE(refuses<FileError>([&] { AtomicFile file(folder / "none/x"); },
                                 {folder / "none/x", "cannot be written", "No such file"}));
  EXPECT_TRUE(refuses<FileError>([&] { AtomicFile file(""); }, {"the path is empty"}));
  // A link in the place of the partial file could lead anywhere.
  write_bytes(folder / "target", "kept");
  std::filesystem::create_symlink("target", folder / "x.partial");
  EXPECT_TRUE(refuses<FileError>([&] { AtomicFile file(folder / "x"); }, {folder / "x"}));
  EXPECT_EQ(read_bytes(folder / "target"), "kept");
}

TEST(AtomicFile, SaysWhenTheFolderDisappears) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "gone");
  AtomicFile file(folder / "gone/x");
  file.write(bytes_of("x"));
  std::filesystem::remove_all(folder / "gone");
  EXPECT_TRUE(refuses<FileError>([&] { file.commit(); }, {folder / "gone/x", "put in place"}));
}

class FullDisk
    : public testing::TestWithParam<std::pair<const char*, void (*)(const std::string&)>> {};

TEST_P(FullDisk, LeavesThePreviousFile) {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  write_bytes(path, "before");
  {
    const ScopedFileLimit limit(1000);
    EXPECT_TRUE(refuses<FileError>([&] { GetParam().second(path); },
                                   {path, "File too large", "before is untouched"}));
  }
  EXPECT_EQ(read_bytes(path), "before");
  EXPECT_FALSE(exists(path + ".partial"));
  // The signal that comes with it did not end the program, and does not wait to do so later.
  sigset_t waiting;
  sigpending(&waiting);
  EXPECT_EQ(sigismember(&waiting, SIGXFSZ), 0);
  EXPECT_NO_THROW(GetParam().second(path));
  EXPECT_GT(read_bytes(path).size(), 1000u);
}

INSTANTIATE_TEST_SUITE_P(
    Writers, FullDisk,
    testing::Values(
        std::pair(
            "AtomicFile",
            +[](const std::string& path) {
              AtomicFile file(path);
              file.write(bytes_of(std::string(600, 'a')));
              file.write(bytes_of(std::string(600, 'b')));
              file.commit();
            }),
        std::pair(
            "safetensors",
            +[](const std::string& path) {
              write_safetensors(path, {{"x", ramp({300}, DType::f32)}});
            }),
        std::pair(
            "npy", +[](const std::string& path) { write_npy(path, ramp({300}, DType::f32)); })),
    [](const auto& instance) { return std::string(instance.param.first); });

}  // namespace
}  // namespace basin::test
