#include "tools/trainer/chosen_checkpoint.h"

#include <filesystem>
#include <system_error>

#include "tensor/error.h"
#include "tools/trainer/run_folder.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::trainer {

std::string chosen_checkpoint(const Arguments& arguments) {
  namespace fs = std::filesystem;
  const std::string& path = arguments.value("checkpoint");
  const bool best =
      read_choice(arguments.value_or("which", "last"), {"last", "best"}, "--which") == 1;
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    if (arguments.has("which") && fs::exists(path, ignored)) {
      wrong_usage("--which chooses in the folder of a run; --checkpoint {} is a file", path);
    }
    return path;
  }
  const char* name = best ? run_files::kBest : run_files::kCheckpoint;
  const char* other = best ? run_files::kCheckpoint : run_files::kBest;
  const std::string file = (fs::path(path) / name).string();
  if (!fs::exists(file, ignored) && fs::exists(fs::path(path) / other, ignored)) {
    throw FileError(fmt::format("there is no {}, but a {}: --which {} takes it", file, other,
                                best ? "last" : "best"));
  }
  return file;
}

}  // namespace basin::trainer
