// The C++ side of interchange_test.py.
//
//   interchange write FOLDER    writes files of every format for Python to read
//   interchange read FOLDER     reads the files that Python wrote; exit status 1 if one is not the
//                               same to the bit as what was agreed on
//   interchange read-safetensors FILE     the same for a file without bf16
//   interchange check FILE      whether a checkpoint can be read
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>

#include "nn/checkpoint.h"
#include "nn/export.h"
#include "tensor/io/hdf5.h"
#include "tensor/io/npy.h"
#include "tensor/io/safetensors.h"
#include "tests/support/same_bits.h"
#include "tests/tensor/sample_tensors.h"

namespace {

using namespace basin;
using test::kAllDTypes;
using test::ramp;

// What both sides exchange of every dtype.
const Shape kShape = {2, 3, 5};

void write_checkpoint(const std::string& folder) {
  nn::BackboneOptions options;
  options.kind = "attention";
  options.vocabulary = 11;
  options.width = 16;
  options.layers = 2;
  options.heads = 2;
  options.max_length = 12;
  options.dtype = DType::f32;
  const nn::LanguageModel model(options, 5);
  const auto optimizer = nn::make_optimizer(model.parameters(), {});
  nn::TrainingState state;
  state.configuration = "task = copying\n# na\u00efve \u4e2d\n";
  state.step = 42;
  state.metrics = {{"loss", 2.5}, {"accuracy", 0.25}};
  const std::string checkpoint = folder + "/checkpoint.h5";
  nn::save_checkpoint(checkpoint, model, *optimizer, state);
  nn::export_weights(checkpoint, nn::WeightFormat::npy, folder + "/weights");
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    nn::export_weights(checkpoint, nn::WeightFormat::safetensors,
                       fmt::format("{}/weights_{}.safetensors", folder, name_of(dtype)), dtype);
  }
}

void write_all(const std::string& folder) {
  write_checkpoint(folder);
  std::map<std::string, Tensor> tensors = {{"scalar", ramp({}, DType::f64)},
                                           {"empty", ramp({0, 4}, DType::f32)}};
  for (const DType dtype : kAllDTypes) {
    tensors[name_of(dtype)] = ramp(kShape, dtype);
  }
  write_safetensors(folder + "/ours.safetensors", tensors, {{"made by", "basin"}});
  Hdf5Writer hdf5(folder + "/ours.h5");
  for (const auto& [name, tensor] : tensors) {
    if (tensor.dtype() != DType::bf16) {
      write_npy(folder + "/ours_" + name + ".npy", tensor);
    }
    if (tensor.dtype() != DType::boolean) {
      hdf5.write("/group/" + name, tensor);
    }
  }
  hdf5.commit();
}

int failures = 0;

void compare(const std::string& what, const Tensor& found, const Tensor& expected) {
  if (!test::same_bits(found, expected)) {
    std::fprintf(stderr, "%s is %s and not the %s agreed on\n", what.c_str(),
                 describe(found).c_str(), describe(expected).c_str());
    ++failures;
  }
}

void read_safetensors(const std::string& path) {
  const SafetensorsReader file(path);
  for (const DType dtype : kAllDTypes) {
    if (dtype != DType::bf16) {
      compare(std::string("safetensors ") + name_of(dtype), file.read(name_of(dtype)),
              ramp(kShape, dtype));
    }
  }
}

void read_all(const std::string& folder) {
  const SafetensorsReader safetensors(folder + "/theirs.safetensors");
  const Hdf5Reader hdf5(folder + "/theirs.h5");
  for (const DType dtype : kAllDTypes) {
    const std::string name = name_of(dtype);
    const Tensor expected = ramp(kShape, dtype);
    compare("safetensors " + name, safetensors.read(name), expected);
    if (dtype == DType::bf16) {
      continue;  // of these, only safetensors has it in Python
    }
    // HDF5 files hold booleans as an enum, which is read as bytes.
    compare("hdf5 " + name, hdf5.read("group/" + name),
            dtype == DType::boolean ? expected.to(DType::u8) : expected);
    compare("npy " + name, read_npy(folder + "/theirs_" + name + ".npy"), expected);
    compare("npy " + name + " by columns", read_npy(folder + "/theirs_fortran_" + name + ".npy"),
            expected);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc == 3 ? argv[1] : "";
  try {
    if (command == "write") {
      write_all(argv[2]);
    } else if (command == "read") {
      read_all(argv[2]);
    } else if (command == "read-safetensors") {
      read_safetensors(argv[2]);
    } else if (command == "check") {
      (void)nn::read_training_state(argv[2]);
    } else {
      std::fprintf(stderr, "usage: %s write|read FOLDER | read-safetensors|check FILE\n", argv[0]);
      return 2;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return failures == 0 ? 0 : 1;
}
