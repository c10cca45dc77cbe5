#include <filesystem>
#include <optional>
#include <system_error>

#include "nn/export.h"
#include "tensor/error.h"
#include "tools/trainer/chosen_checkpoint.h"
#include "tools/trainer/commands.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::trainer {

namespace {

const Syntax kExportSyntax = {
    "export",
    "Writes the weights of a checkpoint for other programs: as one safetensors file, or as a\n"
    "folder with one npy file for each weight. What is there already is replaced by the whole\n"
    "export or not at all.",
    "",
    {kCheckpointOption,
     kWhichOption,
     {"format", "NAME", "safetensors or npy"},
     {"out", "PATH", "the file (safetensors) or folder (npy) to write"},
     {"dtype", "NAME", "f32, f64, bf16 (not npy) or f16 [as in the checkpoint]"},
     {"overwrite", "", "replace the file, or the npy files of the folder, that is there"}},
    false};

std::optional<DType> chosen_dtype(const Arguments& arguments, nn::WeightFormat format) {
  if (!arguments.has("dtype")) {
    return std::nullopt;
  }
  constexpr DType kDTypes[] = {DType::f32, DType::f64, DType::bf16, DType::f16};
  const DType dtype =
      kDTypes[read_choice(arguments.value("dtype"), {"f32", "f64", "bf16", "f16"}, "--dtype")];
  if (dtype == DType::bf16 && format == nn::WeightFormat::npy) {
    wrong_usage(
        "--dtype bf16 does not go with --format npy, which has no such type; take f32, or "
        "--format safetensors");
  }
  return dtype;
}

}  // namespace

void export_command(const std::vector<std::string>& words) {
  namespace fs = std::filesystem;
  const Arguments arguments(kExportSyntax, words);
  if (arguments.has("help")) {
    fmt::print("{}", help_text(kExportSyntax));
    return;
  }
  constexpr nn::WeightFormat kFormats[] = {nn::WeightFormat::safetensors, nn::WeightFormat::npy};
  const nn::WeightFormat format =
      kFormats[read_choice(arguments.value("format"), {"safetensors", "npy"}, "--format")];
  const std::optional<DType> dtype = chosen_dtype(arguments, format);
  const std::string& out = arguments.value("out");
  const std::string checkpoint = chosen_checkpoint(arguments);
  const bool overwrite = arguments.has("overwrite");
  std::error_code ignored;
  // An empty folder is as good as none.
  const bool is_empty = fs::is_directory(out, ignored) && fs::is_empty(out, ignored);
  if (!overwrite && fs::exists(out, ignored) && !is_empty) {
    throw FileError(fmt::format("{} is there already; --overwrite replaces it", out));
  }
  if (fs::equivalent(out, checkpoint, ignored)) {
    throw FileError(fmt::format("--out {} is the checkpoint itself", out));
  }
  const nn::ExportSummary summary =
      nn::export_weights(checkpoint, format, out, dtype,
                         overwrite ? nn::ExistingExport::replace : nn::ExistingExport::keep);
  fmt::print("{} weights, {} numbers, from {} to {}\n", summary.tensors, summary.elements,
             checkpoint, out);
}

}  // namespace basin::trainer
