// Any bytes as a safetensors file: the header, then every tensor.
#include "tensor/io/safetensors.h"

#include "tensor/error.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/memory_file.h"
#include "tests/support/temporary_folder.h"

namespace {

using namespace basin;

std::string written(const std::map<std::string, Tensor>& tensors,
                    const std::map<std::string, std::string>& metadata = {}) {
  const test::TemporaryFolder folder;
  write_safetensors(folder / "seed", tensors, metadata);
  return test::read_bytes(folder / "seed");
}

}  // namespace

std::vector<std::string> basin::fuzz::seeds() {
  std::map<std::string, Tensor> tensors = {{"empty", Tensor::zeros({0, 4}, DType::f32)},
                                           {"scalar", Tensor::zeros({}, DType::f64)},
                                           {"\u00e4 \"\n", Tensor::zeros({1, 2, 3}, DType::i32)}};
  for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32,
                            DType::u8, DType::boolean}) {
    tensors[name_of(dtype)] = Tensor::full({2, 3}, 1, dtype);
  }
  return {written(tensors, {{"format", "pt"}, {"\U0001f600", "\t"}}),
          written({{"x", Tensor::zeros({2}, DType::u8)}}), written({})};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static test::MemoryFile memory;
  memory.set({reinterpret_cast<const char*>(data), size});
  try {
    const SafetensorsReader file(memory.path());
    std::size_t bytes = 0;
    for (const std::string& name : file.names()) {
      const TensorInfo info = file.info(name);
      const Tensor tensor = file.read(name);
      fuzz::require(tensor.shape() == info.shape && tensor.dtype() == info.dtype,
                    "a tensor is what its header says");
      bytes += static_cast<std::size_t>(tensor.numel()) * size_of(tensor.dtype());
    }
    fuzz::require(bytes < size, "the tensors take no more bytes than the file has");
  } catch (const FileError&) {
  }
  return 0;
}
