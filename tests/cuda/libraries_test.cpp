// Looking for NVIDIA's libraries. Needs no GPU, and none of the libraries.
#include "kernels/cuda/libraries.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "kernels/cuda/architectures.h"
#include "kernels/cuda/runtime.h"

namespace basin::kernels {
namespace {

namespace fs = std::filesystem;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Of this build, as CUDA writes it: 13000.
int cuda_version() {
  CudaDevice device;
  (void)cuda_device(device);
  return device.runtime;
}

// A virtual environment of Python with a wheel in it.
class Libraries : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(BASIN_FAKE_CUDNN)) {
      GTEST_SKIP() << "the library to look for is only where the tests were built";
    }
    // A name that no other test has: the loader keeps what it has opened.
    file_ = "libfake_" +
            std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".so.9";
    root_ = fs::temp_directory_path() / ("basin-libraries-" + std::to_string(getpid()));
    fs::create_directories(root_);
    root_ = fs::canonical(root_);
    folder_ = root_ / "lib/python3.11/site-packages/nvidia/fake/lib";
    fs::create_directories(folder_);
    setenv("VIRTUAL_ENV", root_.c_str(), 1);
  }
  void TearDown() override {
    unsetenv("VIRTUAL_ENV");
    unsetenv("FAKE_CUDA");
    fs::remove_all(root_);
  }
  void install() { fs::copy_file(BASIN_FAKE_CUDNN, folder_ / file_); }

  std::string file_;
  fs::path root_, folder_;
};

TEST_F(Libraries, AreFoundInAWheelOfTheVirtualEnvironment) {
  install();
  SharedLibrary library(file_, {"other/lib", "fake/lib"});
  ASSERT_TRUE(library.loaded()) << library.problem();
  EXPECT_EQ(library.path(), (folder_ / file_).string());
  EXPECT_EQ(library.problem(), "");
}

TEST_F(Libraries, AreFoundInTheEnvironmentOfAPythonThatIsLinkedTo) {
  install();
  unsetenv("VIRTUAL_ENV");
  fs::create_directories(root_ / "bin");
  fs::create_directories(root_ / "elsewhere/bin");
  fs::create_symlink("/bin/sh", root_ / "bin/python3");  // as in an environment: to another folder
  fs::create_symlink("../../bin/python3", root_ / "elsewhere/bin/python3");
  const std::string path = std::getenv("PATH");
  setenv("PATH", ((root_ / "elsewhere/bin").string() + ":" + path).c_str(), 1);
  SharedLibrary library(file_, {"fake/lib"});
  setenv("PATH", path.c_str(), 1);
  ASSERT_TRUE(library.loaded()) << library.problem();
  EXPECT_EQ(library.path(), (folder_ / file_).string());
}

TEST_F(Libraries, ThatAreMissingAreToldWithThePlaces) {
  SharedLibrary library(file_, {"fake/lib"});
  EXPECT_FALSE(library.loaded());
  for (const std::string& part : {"no " + file_, std::string("/usr/lib/x86_64-linux-gnu"),
                                  folder_.string(), std::string("set LD_LIBRARY_PATH")}) {
    EXPECT_TRUE(contains(library.problem(), part)) << part << " in: " << library.problem();
  }
  const CudaLibrary cudnn = describe_cudnn(library);
  EXPECT_EQ(cudnn.path + cudnn.version, "");
  EXPECT_EQ(cudnn.problem, library.problem());
}

TEST_F(Libraries, ThatAreNoLibraryAreNamed) {
  install();
  fs::resize_file(folder_ / file_, 100);
  SharedLibrary library(file_, {"fake/lib"});
  EXPECT_FALSE(library.loaded());
  EXPECT_TRUE(contains(library.problem(), folder_.string() + " (")) << library.problem();
}

TEST_F(Libraries, ThatTheLoaderFindsAreToldWithTheirPath) {
  SharedLibrary library("libm.so.6", {});
  ASSERT_TRUE(library.loaded()) << library.problem();
  EXPECT_EQ(library.path().front(), '/') << library.path();
}

TEST_F(Libraries, CudnnIsToldWithItsVersion) {
  install();
  setenv("FAKE_CUDA", std::to_string(cuda_version()).c_str(), 1);
  SharedLibrary library(file_, {"fake/lib"});
  const CudaLibrary cudnn = describe_cudnn(library);
  EXPECT_EQ(cudnn.version, "9.13.0");
  EXPECT_EQ(cudnn.path, (folder_ / file_).string());
  EXPECT_EQ(cudnn.problem, "");
}

TEST_F(Libraries, CudnnForAnotherCudaIsRefused) {
  install();
  setenv("FAKE_CUDA", std::to_string(cuda_version() + 1000).c_str(), 1);
  SharedLibrary library(file_, {"fake/lib"});
  const CudaLibrary cudnn = describe_cudnn(library);
  EXPECT_TRUE(contains(cudnn.problem, "is made for CUDA ") && contains(cudnn.problem, "this build"))
      << cudnn.problem;
}

TEST_F(Libraries, ALibraryWithoutTheFunctionsIsNoCudnn) {
  SharedLibrary library("libm.so.6", {});
  EXPECT_TRUE(contains(describe_cudnn(library).problem, "has no function cudnnGetVersion"));
}

TEST(CudaArchitectures, TellWhichCardsABuildIsFor) {
  struct Case {
    const char* architectures;
    bool on_80, on_86, on_90, on_100;
  };
  for (const Case& c :
       {Case{"80 90a-real", true, true, true, true},
        Case{"80-real 90a-real", true, true, true, false},
        Case{"80-real", true, true, false, false}, Case{"86-real", false, true, false, false},
        Case{"80-virtual", true, true, true, true}, Case{"90a", false, false, true, false},
        Case{"90", false, false, true, true}, Case{"unknown", true, true, true, true}}) {
    SCOPED_TRACE(c.architectures);
    EXPECT_EQ(has_code_for(c.architectures, 8, 0), c.on_80);
    EXPECT_EQ(has_code_for(c.architectures, 8, 6), c.on_86);
    EXPECT_EQ(has_code_for(c.architectures, 9, 0), c.on_90);
    EXPECT_EQ(has_code_for(c.architectures, 10, 0), c.on_100);
  }
}

TEST(CudaLibraries, AreToldWithAVersionOrAReason) {
  const std::vector<CudaLibrary> all = cuda_libraries();
  ASSERT_EQ(all.size(), 2U);
  for (const CudaLibrary& library : all) {
    EXPECT_TRUE(!library.problem.empty() || (!library.path.empty() && !library.version.empty()))
        << library.name;
  }
}

}  // namespace
}  // namespace basin::kernels
