#include "tasks/tokenizers/write_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "tensor/error.h"

namespace basin::tasks {

void write_file(const std::string& path, std::string_view bytes) {
  const std::string partial = path + ".partial";
  errno = 0;
  std::FILE* file = std::fopen(partial.c_str(), "wb");
  bool good = file != nullptr;
  good = good && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  int reason = errno;
  // Closing writes what is still in memory; it happens whatever went wrong before.
  if (file != nullptr && std::fclose(file) != 0 && good) {
    good = false;
    reason = errno;
  }
  if (good && std::rename(partial.c_str(), path.c_str()) != 0) {
    good = false;
    reason = errno;
  }
  if (!good) {
    std::remove(partial.c_str());
    throw FileError(fmt::format("{} cannot be written: {}", path, std::strerror(reason)));
  }
}

}  // namespace basin::tasks
