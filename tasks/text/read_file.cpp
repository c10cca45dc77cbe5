#include "tasks/text/read_file.h"

#include "tasks/text/text_file.h"
#include "tensor/error.h"

namespace basin::tasks {

std::vector<std::uint8_t> read_file(const std::string& path) {
  TextFile file(path);
  std::vector<std::uint8_t> bytes;
  constexpr std::size_t piece = 1 << 20;
  for (std::size_t got = piece; got > 0;) {
    const std::size_t have = bytes.size();
    bytes.resize(have + piece);
    got = file.read(reinterpret_cast<char*>(bytes.data()) + have, piece);
    bytes.resize(have + got);
  }
  if (bytes.empty()) {
    throw FileError(fmt::format("{} is empty", path));
  }
  return bytes;
}

}  // namespace basin::tasks
