#include "tasks/text/text_files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "tensor/error.h"

namespace basin::tasks {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void cannot_list(const std::string& path, const std::error_code& code) {
  throw FileError(fmt::format("the folder {} cannot be read: {}", path, code.message()));
}

}  // namespace

std::vector<std::string> text_files(const std::string& path) {
  std::error_code code;
  if (!fs::is_directory(path, code)) {
    return {path};
  }
  std::vector<std::string> names;
  fs::recursive_directory_iterator entry(path, code);
  while (!code && entry != fs::recursive_directory_iterator()) {
    const bool hidden = entry->path().filename().string().front() == '.';
    std::error_code ignored;
    if (hidden) {
      entry.disable_recursion_pending();
    } else if (entry->is_regular_file(ignored)) {
      names.push_back(entry->path().lexically_relative(path).generic_string());
    }
    entry.increment(code);
  }
  if (code) {
    cannot_list(path, code);
  }
  if (names.empty()) {
    throw FileError(
        fmt::format("the folder {} holds no text: there is no file in it or below it whose name "
                    "does not begin with a dot",
                    path));
  }
  std::sort(names.begin(), names.end());
  for (std::string& name : names) {
    name = (fs::path(path) / name).string();
  }
  return names;
}

std::int64_t size_on_disk(const std::string& path) {
  std::error_code code;
  const std::uintmax_t size = fs::file_size(path, code);
  return code ? 0 : static_cast<std::int64_t>(size);
}

}  // namespace basin::tasks
