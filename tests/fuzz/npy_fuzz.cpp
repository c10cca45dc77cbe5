// Any bytes as a npy file.
#include "tensor/io/npy.h"

#include "tensor/error.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/memory_file.h"
#include "tests/support/temporary_folder.h"

namespace {

using namespace basin;

std::string written(const Shape& shape, DType dtype) {
  const test::TemporaryFolder folder;
  write_npy(folder / "seed", Tensor::full(shape, 1, dtype));
  return test::read_bytes(folder / "seed");
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  fuzz::require(at != std::string::npos, "the seed has the text to replace");
  return text.replace(at, from.size(), to);
}

}  // namespace

std::vector<std::string> basin::fuzz::seeds() {
  std::vector<std::string> seeds = {written({}, DType::f64), written({0, 5}, DType::i32),
                                    written({1, 2, 1, 2, 1, 2, 1, 3}, DType::u8)};
  for (const DType dtype :
       {DType::f64, DType::f32, DType::f16, DType::i64, DType::i32, DType::boolean}) {
    seeds.push_back(written({2, 3}, dtype));
  }
  const std::string fortran = replaced(written({2, 3, 4}, DType::f32), "False", "True ");
  seeds.push_back(fortran);
  seeds.push_back(replaced(fortran, "<f4", ">f4"));
  // Version 2.0 has two more bytes of length.
  seeds.push_back(replaced(replaced(fortran, "\x01", "\x02"), "{", std::string("\0\0{", 3)));
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static test::MemoryFile memory;
  memory.set({reinterpret_cast<const char*>(data), size});
  try {
    const TensorInfo info = npy_info(memory.path());
    const Tensor tensor = read_npy(memory.path());
    fuzz::require(tensor.shape() == info.shape && tensor.dtype() == info.dtype,
                  "the tensor is what its header says");
    fuzz::require(tensor.is_contiguous(), "the tensor is contiguous");
    fuzz::require(static_cast<std::size_t>(tensor.numel()) * size_of(tensor.dtype()) < size,
                  "the tensor takes no more bytes than the file has");
  } catch (const FileError&) {
  }
  return 0;
}
