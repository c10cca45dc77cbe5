// Named tensors and attributes through a file and back, and what the file is when writing fails.
#include "tensor/io/hdf5.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "tensor/error.h"
#include "tensor/rng.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/temporary_folder.h"

namespace basin::test {
namespace {

constexpr DType kStored[] = {DType::f32, DType::f64, DType::i32, DType::i64, DType::u8};

bool exists(const std::string& path) { return std::filesystem::exists(path); }

// A file with one tensor and one attribute.
void write_small(const std::string& path, double value) {
  Hdf5Writer file(path);
  file.write("/x", Tensor::full({2}, value, DType::f64));
  file.set_number("/", "value", value);
  file.commit();
}

TEST(Hdf5, BringsTensorsBackToTheBit) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  std::vector<std::pair<std::string, Tensor>> written;
  Rng rng(1);
  for (const DType dtype : kStored) {
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{2, 3, 4}, Shape{0, 3},
                               Shape{1, 2, 1, 2, 1, 2, 1, 2}, Shape{300, 200}}) {
      const Tensor x = rng.uniform(shape, 0, 200, DType::f64).to(dtype);
      written.emplace_back(
          std::string("/") + name_of(dtype) + "/layer." + std::to_string(written.size()), x);
    }
  }
  written.emplace_back("/turned", rng.normal({3, 4}, 1, DType::f32).transpose(0, 1));
  written.emplace_back("/repeated", rng.normal({1, 4}, 1, DType::f64).expand({3, 4}));
  const float special[] = {std::nanf("3"), -0.0f, std::numeric_limits<float>::denorm_min(),
                           -std::numeric_limits<float>::infinity()};
  written.emplace_back("/special", Tensor::from<float>({4}, std::span<const float>(special)));
  {
    Hdf5Writer file(path);
    EXPECT_EQ(file.path(), path);
    for (const auto& [name, tensor] : written) {
      file.write(name, tensor);
    }
    file.commit();
  }
  const Hdf5Reader file(path);
  EXPECT_EQ(file.path(), path);
  for (const auto& [name, tensor] : written) {
    EXPECT_TRUE(same_bits(file.read(name), tensor)) << name;
    EXPECT_TRUE(file.read(name).is_contiguous()) << name;
    EXPECT_TRUE(file.info(name).shape == tensor.shape()) << name;
    EXPECT_EQ(file.info(name).dtype, tensor.dtype()) << name;
  }
}

TEST(Hdf5, ListsAndFindsObjects) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  {
    Hdf5Writer file(path);
    for (const char* name : {"model/blocks.1.up.weight", "/model/blocks.0.up.weight", "/model/norm",
                             "a/b/c/d", "empty.but.attributes"}) {
      if (std::string(name).starts_with("empty")) {
        file.set_integer(name, "n", 1);
      } else {
        file.write(name, Tensor::zeros({1}, DType::f32));
      }
    }
    file.commit();
  }
  const Hdf5Reader file(path);
  using Names = std::vector<std::string>;
  EXPECT_EQ(file.members("/"), (Names{"a", "empty.but.attributes", "model"}));
  EXPECT_EQ(file.members("/model"), (Names{"blocks.0.up.weight", "blocks.1.up.weight", "norm"}));
  EXPECT_EQ(file.members("model"), file.members("/model"));
  EXPECT_EQ(file.members("empty.but.attributes"), Names{});
  for (const char* name : {"/", "/model", "model/norm", "/a/b", "/a/b/c/d"}) {
    EXPECT_TRUE(file.has(name)) << name;
  }
  for (const char* name : {"/nothing", "/model/norm/weight", "/a/b/d", "/nothing/at/all"}) {
    EXPECT_FALSE(file.has(name)) << name;
  }
}

TEST(Hdf5, BringsAttributesBack) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  // Beyond the 64 KiB that an attribute of the first file versions could have.
  std::string long_text;
  while (long_text.size() < 1000000) {
    long_text += "line " + std::to_string(long_text.size()) + "\n";
  }
  constexpr std::int64_t smallest = std::numeric_limits<std::int64_t>::min();
  {
    Hdf5Writer file(path);
    file.write("/x", Tensor::zeros({1}, DType::f32));
    file.set_text("/", "long", long_text);
    file.set_text("/", "empty", "");
    file.set_text("/", "spaces", "  two at each end  ");
    file.set_text("/x", "utf-8", "β = ½ √2, 記憶");
    file.set_number("/x", "number", -1.0 / 3);
    file.set_number("/x", "nan", std::nan(""));
    file.set_integer("/made/on/demand", "smallest", smallest);
    file.set_integer("/x", "replaced", 1);
    file.set_text("/x", "replaced", "by another type");
    file.commit();
  }
  const Hdf5Reader file(path);
  EXPECT_EQ(file.text("/", "long"), long_text);
  EXPECT_EQ(file.text("/", "empty"), "");
  EXPECT_EQ(file.text("/", "spaces"), "  two at each end  ");
  EXPECT_EQ(file.text("/x", "utf-8"), "β = ½ √2, 記憶");
  EXPECT_EQ(file.number("x", "number"), -1.0 / 3);
  EXPECT_TRUE(std::isnan(file.number("/x", "nan")));
  EXPECT_EQ(file.integer("/made/on/demand", "smallest"), smallest);
  EXPECT_EQ(file.number("/made/on/demand", "smallest"), static_cast<double>(smallest));
  EXPECT_EQ(file.text("/x", "replaced"), "by another type");
  EXPECT_TRUE(file.has_attribute("/", "long"));
  EXPECT_FALSE(file.has_attribute("/", "short"));
}

TEST(Hdf5, GivesTheSameBytesForTheSameCalls) {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name) {
    Hdf5Writer file(folder / name);
    file.write("/model/x", Rng(1).normal({40, 50}, 1, DType::f32));
    file.set_text("/state/rng", "kind", "philox");
    file.commit();
    return read_bytes(folder / name);
  };
  const std::string first = write("a");
  // The files would differ if they held the time in seconds.
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_TRUE(first == write("b"));
}

TEST(Hdf5, ReplacesTheFileOnlyByCommit) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  write_small(path, 1.0);
  {
    Hdf5Writer abandoned(path);
    abandoned.write("/x", Tensor::full({2}, 2.0, DType::f64));
    EXPECT_EQ(Hdf5Reader(path).number("/", "value"), 1.0);
  }
  EXPECT_EQ(Hdf5Reader(path).number("/", "value"), 1.0);
  {
    // A reader that is open keeps the old file.
    const Hdf5Reader old(path);
    write_small(path, 3.0);
    EXPECT_EQ(old.number("/", "value"), 1.0);
    EXPECT_EQ(old.read("/x").to_vector<double>(), (std::vector<double>{1, 1}));
  }
  EXPECT_EQ(Hdf5Reader(path).number("/", "value"), 3.0);
  EXPECT_FALSE(exists(path + ".partial"));
  {
    Hdf5Writer never(folder / "never.h5");
    never.write("/x", Tensor::zeros({1}, DType::f32));
  }
  EXPECT_FALSE(exists(folder / "never.h5"));
  EXPECT_FALSE(exists(folder / "never.h5.partial"));
}

TEST(Hdf5, IsWrittenByOneWriterAtATime) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  Hdf5Writer first(path);
  EXPECT_TRUE(refuses<FileError>([&] { Hdf5Writer second(path); }, {path, "another program"}));
  first.write("/x", Tensor::zeros({1}, DType::f32));
  first.commit();
  write_small(path, 4.0);
  EXPECT_EQ(Hdf5Reader(path).number("/", "value"), 4.0);
}

TEST(Hdf5, RefusesToWriteWhatItCannot) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  Hdf5Writer file(path);
  const Tensor x = Tensor::zeros({2, 3}, DType::f32);
  file.write("/model/x", x);
  EXPECT_TRUE(refuses<FileError>([&] { file.write("model/x", x); },
                                 {path, "'/model/x'", "written already"}));
  EXPECT_TRUE(refuses<FileError>([&] { file.write("/model", x); }, {"'/model'", "already"}));
  EXPECT_TRUE(refuses<FileError>([&] { file.write("/model/x/y", x); }, {path, "'/model/x/y'"}));
  EXPECT_TRUE(refuses<FileError>([&] { file.write("/n", Tensor()); }, {"'/n'", "undefined"}));
  EXPECT_TRUE(refuses<FileError>([&] { file.write("/b", x.to(DType::boolean)); },
                                 {"'/b'", "(2, 3) bool", "f32, f64, bf16, f16, i32, i64 and u8"}));
  for (const std::string name : {"", "a//b", "a/", "//a", "./a", "a/./b", "/."}) {
    EXPECT_TRUE(
        refuses<FileError>([&] { file.write(name, x); }, {path, "'" + name + "'", "no name"}))
        << name;
  }
  EXPECT_TRUE(refuses<FileError>([&] { file.set_text("/", "t", std::string("a\0b", 3)); },
                                 {"'t'", "zero byte"}));
  EXPECT_TRUE(refuses<FileError>([&] { file.set_number("/", "", 1); }, {"needs a name"}));
  file.commit();
  EXPECT_TRUE(refuses<FileError>([&] { file.write("/y", x); }, {path, "since commit()"}));
  EXPECT_TRUE(refuses<FileError>([&] { file.set_integer("/", "n", 1); }, {"since commit()"}));
  EXPECT_TRUE(refuses<FileError>([&] { file.commit(); }, {"since commit()"}));
  EXPECT_TRUE(same_bits(Hdf5Reader(path).read("/model/x"), x)) << "refusals spoilt the file";
}

TEST(Hdf5, RefusesPathsItCannotWrite) {
  const TemporaryFolder folder;
  EXPECT_TRUE(
      refuses<FileError>([&] { Hdf5Writer file(folder.path()); }, {folder.path(), "folder"}));
  EXPECT_TRUE(refuses<FileError>([&] { Hdf5Writer file(folder / "no/such/x.h5"); },
                                 {"no/such/x.h5", "No such file or directory"}));
}

// The nearest thing to a full disk that needs no file system of its own.
TEST(Hdf5, LeavesThePreviousFileWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  write_small(path, 1.0);
  rlimit previous{};
  getrlimit(RLIMIT_FSIZE, &previous);
  for (const rlim_t limit : {rlim_t{0}, rlim_t{100}, rlim_t{5000}, rlim_t{100000}}) {
    const rlimit smaller{limit, previous.rlim_max};
    setrlimit(RLIMIT_FSIZE, &smaller);
    const testing::AssertionResult refused = refuses<FileError>(
        [&] {
          Hdf5Writer file(path);
          file.write("/x", Tensor::zeros({30000}, DType::f64));
          file.set_text("/", "configuration", std::string(100000, 'c'));
          file.commit();
        },
        {path, "File too large", "untouched"});
    setrlimit(RLIMIT_FSIZE, &previous);
    EXPECT_TRUE(refused) << limit;
    EXPECT_EQ(Hdf5Reader(path).number("/", "value"), 1.0);
    EXPECT_FALSE(exists(path + ".partial"));
  }
  write_small(path, 2.0);
  EXPECT_EQ(Hdf5Reader(path).number("/", "value"), 2.0) << "writing works again";
}

TEST(Hdf5, RefusesFilesThatAreNone) {
  const TemporaryFolder folder;
  testing::internal::CaptureStderr();
  const auto open = [](const std::string& path) { Hdf5Reader file(path); };
  EXPECT_TRUE(refuses<FileError>([&] { open(folder / "none.h5"); },
                                 {folder / "none.h5", "No such file or directory"}));
  EXPECT_TRUE(refuses<FileError>([&] { open(folder.path()); }, {folder.path(), "is a folder"}));
  EXPECT_TRUE(refuses<FileError>([&] { open("/dev/null"); }, {"/dev/null", "device"}));
  write_bytes(folder / "text.h5", "epoch,loss\n1,2.5\n");
  EXPECT_TRUE(refuses<FileError>([&] { open(folder / "text.h5"); },
                                 {folder / "text.h5", "no HDF5 file", "17 bytes"}));
  write_bytes(folder / "empty.h5", "");
  EXPECT_TRUE(refuses<FileError>([&] { open(folder / "empty.h5"); }, {"no HDF5 file", "0 bytes"}));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "the library's own messages";
}

TEST(Hdf5, SaysWhatIsMissingAndWhatThereIs) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  {
    Hdf5Writer file(path);
    file.write("/model/weight", Tensor::zeros({2}, DType::f32));
    file.write("/model/bias", Tensor::zeros({2}, DType::f32));
    file.set_text("/", "task", "copying");
    file.set_number("/", "loss", 2.5);
    for (int n = 0; n < 20; ++n) {
      file.write("/many/" + std::to_string(n), Tensor::zeros({1}, DType::u8));
    }
    file.commit();
  }
  testing::internal::CaptureStderr();
  const Hdf5Reader file(path);
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.read("/model/wieght"); },
                                 {path, "dataset '/model/wieght'", "'/model' holds bias, weight"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.read("/optimizer/m/weight"); },
                                 {"'/optimizer/m/weight'", "'/' holds many, model"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.info("/model/weight/x"); },
                                 {"'/model/weight' is no group"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.read("/many/x"); }, {"...", "'/many' holds 0"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.read("/model"); }, {"'/model' is a group"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.members("/model/bias"); },
                                 {"'/model/bias' is a dataset"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.members("/x"); }, {path, "group '/x'"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.has(""); }, {"no name"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.number("/", "lr"); },
                                 {path, "no attribute 'lr' of '/'"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.text("/x", "lr"); }, {"object '/x'"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.has_attribute("/x", "lr"); }, {"object '/x'"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.number("/", "task"); },
                                 {"'task'", "a text, not a number"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.integer("/", "loss"); },
                                 {"'loss'", "a 64-bit float, not an integer"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.text("/", "loss"); },
                                 {"'loss'", "a 64-bit float, not a text"}));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "the library's own messages";
}

TEST(Hdf5, SurvivesDamage) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  {
    Hdf5Writer file(path);
    file.write("/model/weight", Rng(1).normal({3, 4}, 1, DType::f32));
    file.write("/model/step", Tensor::full({}, 3, DType::i64));
    file.set_text("/", "configuration", std::string(500, 'c'));
    file.set_number("/model", "loss", 2.5);
    file.commit();
  }
  const std::string bytes = read_bytes(path);
  const auto read = [&] {
    const Hdf5Reader file(path);
    for (const std::string& member : file.members("/model")) {
      (void)file.read("/model/" + member);
    }
    (void)file.text("/", "configuration");
    (void)file.number("/model", "loss");
  };
  ASSERT_NO_THROW(read());
  // What HDF5 itself makes of damage: the seal, which would find all of it, is cut off.
  const std::string unsealed = bytes.substr(512);
  write_bytes(path, unsealed);
  ASSERT_NO_THROW(read());
  // A step without a common factor with 8 meets every bit of a byte.
  for (std::size_t bit = 0; bit < 8 * unsealed.size(); bit += 37) {
    std::string flipped = unsealed;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    write_bytes(path, flipped);
    try {
      read();  // elements carry no checksum: damage to them is not noticed
    } catch (const FileError&) {
    }
  }
  // What the file records as its end is up to a page before the end: only padding is behind it.
  for (std::size_t length = 0; length + 4096 < unsealed.size(); length += 97) {
    write_bytes(path, unsealed.substr(0, length));
    ASSERT_TRUE(refuses<FileError>(read, {path + ": "})) << length << " bytes left";
  }
}

TEST(Hdf5, ServesSeveralThreads) {
  const TemporaryFolder folder;
  std::atomic<int> mistakes{0};
  std::vector<std::thread> threads;
  for (int id = 0; id < 3; ++id) {
    threads.emplace_back([&, id] {
      const std::string path = folder / std::to_string(id);
      for (int n = 0; n < 10; ++n) {
        write_small(path, id + n);
        const Hdf5Reader file(path);
        mistakes += file.read("/x").to_vector<double>()[1] != id + n;
        try {
          (void)file.read("/missing");
          ++mistakes;
        } catch (const FileError&) {
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(mistakes, 0);
}

}  // namespace
}  // namespace basin::test
