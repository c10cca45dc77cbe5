// Any bytes as an HDF5 file: groups, tensors, attributes. Without a seal, which would let nothing
// through.
#include "tensor/io/hdf5.h"

#include "tensor/error.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/memory_file.h"
#include "tests/support/sealed_file.h"
#include "tests/support/temporary_folder.h"

namespace {

using namespace basin;

// What one call promises: a result or a FileError.
template <class Call>
void attempt(Call&& call) {
  try {
    call();
  } catch (const FileError&) {
  }
}

void read_attributes(const Hdf5Reader& file, const std::string& object) {
  for (const char* name : {"text", "number", "integer"}) {
    attempt([&] { (void)file.has_attribute(object, name); });
    attempt([&] { (void)file.text(object, name); });
    attempt([&] { (void)file.number(object, name); });
    attempt([&] { (void)file.integer(object, name); });
  }
}

// Groups may contain themselves.
constexpr int kDeepest = 4;

void read_group(const Hdf5Reader& file, const std::string& group, int depth) {
  read_attributes(file, group);
  attempt([&] {
    for (const std::string& member : file.members(group)) {
      const std::string name = group + (group == "/" ? "" : "/") + member;
      attempt([&] {
        const TensorInfo info = file.info(name);
        const Tensor tensor = file.read(name);
        fuzz::require(tensor.shape() == info.shape && tensor.dtype() == info.dtype,
                      "a tensor is what info() says");
      });
      if (depth < kDeepest) {
        read_group(file, name, depth + 1);
      }
    }
  });
}

}  // namespace

std::vector<std::string> basin::fuzz::seeds() {
  const test::TemporaryFolder folder;
  Hdf5Writer file(folder / "seed");
  for (const DType dtype :
       {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32, DType::u8}) {
    file.write(std::string("/group/") + name_of(dtype), Tensor::full({2, 3}, 1, dtype));
  }
  file.write("/scalar", Tensor::full({}, 1, DType::f32));
  file.write("/empty", Tensor::full({0, 2}, 1, DType::f32));
  for (const char* object : {"/", "/group", "/scalar"}) {
    file.set_text(object, "text", "task = copying\n");
    file.set_number(object, "number", 2.5);
    file.set_integer(object, "integer", 42);
  }
  file.commit();
  Hdf5Writer small(folder / "small");
  small.write("/x", Tensor::full({2}, 1, DType::u8));
  small.commit();
  std::vector<std::string> seeds;
  for (const char* name : {"seed", "small"}) {
    seeds.push_back(test::unsealed(test::read_bytes(folder / name)));
    test::write_bytes(folder / "unsealed", seeds.back());
    require(!Hdf5Reader(folder / "unsealed").members("/").empty(), "the seed is valid");
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static test::MemoryFile memory;
  memory.set({reinterpret_cast<const char*>(data), size});
  attempt([] {
    const Hdf5Reader file(memory.path());
    read_group(file, "/", 0);
  });
  return 0;
}
