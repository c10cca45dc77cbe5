// The weights of a checkpoint as safetensors and npy files.
#include "nn/export.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "nn/checkpoint.h"
#include "tensor/error.h"
#include "tensor/io/hdf5.h"
#include "tensor/io/npy.h"
#include "tensor/io/safetensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"
#include "tests/support/temporary_folder.h"

namespace basin::test {
namespace {

using nn::ExistingExport;
using nn::export_weights;
using nn::WeightFormat;

// A checkpoint of a small model in a folder of its own.
class Export : public testing::Test {
 protected:
  Export() : model_(small_backbone("attention"), 3), checkpoint_(folder_ / "model.h5") {
    const auto optimizer = nn::make_optimizer(model_.parameters(), {});
    nn::TrainingState state;
    state.configuration = "task = copying\n";
    state.step = 42;
    nn::save_checkpoint(checkpoint_, model_, *optimizer, state);
  }

  // Fails unless `read` gives every weight of the model, converted to `dtype`.
  void expect_weights(DType dtype, const std::function<Tensor(const std::string&)>& read) const {
    for (const nn::Parameter& parameter : model_.parameters()) {
      EXPECT_TRUE(same_bits(read(parameter.name), parameter.variable.value().to(dtype)))
          << parameter.name;
    }
  }

  TemporaryFolder folder_;
  nn::LanguageModel model_;
  std::string checkpoint_;
};

TEST_F(Export, WritesSafetensorsOfEveryFloat) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    const std::string path = folder_ / (std::string(name_of(dtype)) + ".safetensors");
    const nn::ExportSummary summary =
        export_weights(checkpoint_, WeightFormat::safetensors, path, dtype);
    const SafetensorsReader file(path);
    expect_weights(dtype, [&](const std::string& name) { return file.read(name); });
    EXPECT_EQ(file.names().size(), model_.parameters().size());
    EXPECT_EQ(summary.tensors, static_cast<std::int64_t>(file.names().size()));
    EXPECT_EQ(summary.elements, model_.parameter_count());
    EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{
                                   {"configuration", "task = copying\n"}, {"step", "42"}}));
  }
}

TEST_F(Export, KeepsTheDTypeUnlessAskedAndReplacesAFileIfAsked) {
  const std::string path = folder_ / "x.safetensors";
  write_bytes(path, "before");
  EXPECT_TRUE(
      refuses<FileError>([&] { export_weights(checkpoint_, WeightFormat::safetensors, path); },
                         {path, "is there already"}));
  EXPECT_EQ(read_bytes(path), "before");
  export_weights(checkpoint_, WeightFormat::safetensors, path, {}, ExistingExport::replace);
  const SafetensorsReader file(path);
  expect_weights(DType::f32, [&](const std::string& name) { return file.read(name); });
}

TEST_F(Export, WritesAFolderOfNpyFiles) {
  for (const DType dtype : {DType::f32, DType::f16}) {
    const std::string output = folder_ / name_of(dtype);
    const nn::ExportSummary summary = export_weights(checkpoint_, WeightFormat::npy, output, dtype);
    expect_weights(dtype,
                   [&](const std::string& name) { return read_npy(output + "/" + name + ".npy"); });
    std::int64_t files = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(output)) {
      ++files;
    }
    EXPECT_EQ(files, summary.tensors);
    EXPECT_FALSE(std::filesystem::exists(output + ".partial"));
  }
  // An empty folder is as good as none.
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_NO_THROW(export_weights(checkpoint_, WeightFormat::npy, folder_ / "empty"));
  EXPECT_FALSE(std::filesystem::is_empty(folder_ / "empty"));
}

TEST_F(Export, ReplacesAFolderOfNpyFilesIfAsked) {
  const std::string output = folder_ / "weights";
  std::filesystem::create_directory(output);
  write_bytes(output + "/of_another_model.npy", "before");
  export_weights(checkpoint_, WeightFormat::npy, output + "/", {}, ExistingExport::replace);
  expect_weights(DType::f32,
                 [&](const std::string& name) { return read_npy(output + "/" + name + ".npy"); });
  EXPECT_FALSE(std::filesystem::exists(output + "/of_another_model.npy"));
  EXPECT_FALSE(std::filesystem::exists(output + ".partial"));

  write_bytes(output + "/notes.txt", "kept");
  EXPECT_TRUE(refuses<FileError>(
      [&] { export_weights(checkpoint_, WeightFormat::npy, output, {}, ExistingExport::replace); },
      {output, "nothing but npy files"}));
  EXPECT_EQ(read_bytes(output + "/notes.txt"), "kept");
}

TEST_F(Export, TouchesNoFolderThatHoldsSomething) {
  std::filesystem::create_directory(folder_ / "full");
  write_bytes(folder_ / "full/kept", "kept");
  EXPECT_TRUE(
      refuses<FileError>([&] { export_weights(checkpoint_, WeightFormat::npy, folder_ / "full"); },
                         {folder_ / "full", "an empty folder"}));
  EXPECT_TRUE(refuses<FileError>(
      [&] { export_weights(checkpoint_, WeightFormat::npy, folder_ / "full/kept"); },
      {folder_ / "full/kept", "is there already"}));
  EXPECT_EQ(read_bytes(folder_ / "full/kept"), "kept");
  std::filesystem::create_directory(folder_ / "other.partial");
  EXPECT_TRUE(
      refuses<FileError>([&] { export_weights(checkpoint_, WeightFormat::npy, folder_ / "other"); },
                         {folder_ / "other.partial", "remove it"}));
  EXPECT_TRUE(refuses<FileError>(
      [&] { export_weights(checkpoint_, WeightFormat::npy, folder_ / "none/x"); },
      {folder_ / "none/x", "No such file"}));
  EXPECT_TRUE(refuses<FileError>(
      [&] { export_weights(checkpoint_, WeightFormat::safetensors, folder_.path()); },
      {folder_.path(), "is a folder"}));
}

TEST_F(Export, RefusesTypesThatDoNotFit) {
  const auto export_as = [&](WeightFormat format, DType dtype) {
    return [=, this] { export_weights(checkpoint_, format, folder_ / "out", dtype); };
  };
  EXPECT_TRUE(refuses<Error>(export_as(WeightFormat::npy, DType::bf16), {"bf16", "safetensors"}));
  EXPECT_TRUE(refuses<Error>(export_as(WeightFormat::safetensors, DType::i32), {"as i32"}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));

  nn::Parameter weight = model_.parameters().front();
  weight.variable.mutable_value().fill(70000);
  const auto optimizer = nn::make_optimizer(model_.parameters(), {});
  nn::save_checkpoint(checkpoint_, model_, *optimizer, {});
  for (const WeightFormat format : {WeightFormat::npy, WeightFormat::safetensors}) {
    EXPECT_TRUE(refuses<Error>(export_as(format, DType::f16),
                               {"'" + weight.name + "' is 70000", "f16", "export it as f32"}));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
  }
  EXPECT_NO_THROW(export_as(WeightFormat::safetensors, DType::bf16)());
}

TEST_F(Export, PassesOnWhatIsWrongWithTheCheckpoint) {
  EXPECT_TRUE(refuses<FileError>(
      [&] { export_weights(folder_ / "none", WeightFormat::npy, folder_ / "out"); },
      {folder_ / "none", "No such file"}));
  {
    Hdf5Writer other(folder_ / "other.h5");
    other.write("/model/x", Tensor::zeros({1}, DType::f32));
    other.commit();
  }
  EXPECT_TRUE(refuses<FileError>(
      [&] { export_weights(folder_ / "other.h5", WeightFormat::npy, folder_ / "out"); },
      {folder_ / "other.h5", "no basin checkpoint"}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
}

TEST(WeightFormat, IsFoundByName) {
  EXPECT_EQ(nn::weight_format("safetensors"), WeightFormat::safetensors);
  EXPECT_EQ(nn::weight_format("npy"), WeightFormat::npy);
  EXPECT_TRUE(
      refuses<Error>([] { (void)nn::weight_format("onnx"); }, {"'onnx'", "safetensors and npy"}));
}

}  // namespace
}  // namespace basin::test
