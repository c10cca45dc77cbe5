// Any bytes as an idx file.
#include "tasks/images/idx.h"

#include "tensor/error.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/idx_files.h"
#include "tests/support/memory_file.h"
#include "tests/support/temporary_folder.h"

namespace {

using namespace basin;

std::string packed(const std::string& bytes) {
  const test::TemporaryFolder folder;
  test::write_gzip(folder / "seed.gz", bytes);
  return test::read_bytes(folder / "seed.gz");
}

}  // namespace

std::vector<std::string> basin::fuzz::seeds() {
  const std::string images = test::idx_bytes({2, 3, 4}, std::string(24, '\x05'));
  const std::string labels = test::idx_bytes({5}, std::string("\x00\x01\x02\x09\x0a", 5));
  return {
      images,         labels,         test::idx_bytes({0, 28, 28}, ""),
      packed(images), packed(labels), test::idx_bytes({0x7fffffff, 0x7fffffff, 4}, "much less")};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static test::MemoryFile memory;
  memory.set({reinterpret_cast<const char*>(data), size});
  for (const int rank : {1, 3}) {
    try {
      const Tensor tensor = tasks::read_idx(memory.path(), rank);
      fuzz::require(tensor.rank() == rank && tensor.dtype() == DType::u8,
                    "the tensor is what was asked for");
      fuzz::require(static_cast<std::size_t>(tensor.numel()) <= 1032 * size,
                    "the tensor takes no more bytes than the file can hold");
    } catch (const FileError&) {
    }
  }
  return 0;
}
