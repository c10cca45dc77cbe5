#include "tasks/images/idx.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <vector>

#include "tasks/text/text_file.h"
#include "tensor/error.h"

namespace basin::tasks {

namespace {

constexpr std::int64_t kPiece = 1 << 20;
// A packed byte stands for at most this many: deflate writes a run of 258 in two bits.
constexpr std::int64_t kMostPacked = 1032;

const char* kind_of_number(unsigned code) {
  switch (code) {
    case 0x08: return "unsigned bytes";
    case 0x09: return "signed bytes";
    case 0x0B: return "16-bit whole numbers";
    case 0x0C: return "32-bit whole numbers";
    case 0x0D: return "32-bit floating numbers";
    case 0x0E: return "64-bit floating numbers";
    default: return nullptr;
  }
}

// Up to `count` bytes; fewer at the end of the file.
std::int64_t read_up_to(TextFile& file, std::uint8_t* bytes, std::int64_t count) {
  std::int64_t have = 0;
  while (have < count) {
    const std::size_t got = file.read(reinterpret_cast<char*>(bytes) + have,
                                      static_cast<std::size_t>(std::min(kPiece, count - have)));
    if (got == 0) {
      break;
    }
    have += static_cast<std::int64_t>(got);
  }
  return have;
}

void need(std::int64_t got, std::int64_t wanted, const std::string& path) {
  if (got < wanted) {
    throw FileError(
        fmt::format("{} ends after {} bytes, inside the header of an idx file", path, got));
  }
}

std::string extents_text(const Shape& shape) {
  std::string text;
  for (int d = 0; d < shape.rank(); ++d) {
    text += (d == 0 ? "" : " x ") + std::to_string(shape[d]);
  }
  return text;
}

Shape read_header(TextFile& file, const std::string& path, int rank) {
  std::array<std::uint8_t, 4> magic{};
  need(read_up_to(file, magic.data(), 4), 4, path);
  const char* const kind = kind_of_number(magic[2]);
  if (magic[0] != 0 || magic[1] != 0 || kind == nullptr) {
    throw FileError(
        fmt::format("{} is no idx file: it begins with {:02x} {:02x} {:02x} {:02x}, where 00 00, a "
                    "kind of number (08 for bytes) and the rank belong",
                    path, magic[0], magic[1], magic[2], magic[3]));
  }
  if (magic[2] != 0x08) {
    throw FileError(fmt::format("{} holds {} (kind {:02x}); unsigned bytes (08) are needed", path,
                                kind, magic[2]));
  }
  if (magic[3] != rank) {
    throw FileError(fmt::format("{} has {} dimension{}; {} are needed, as idx{} files have", path,
                                magic[3], magic[3] == 1 ? "" : "s", rank, rank));
  }
  Shape shape;
  std::int64_t count = 1;
  for (int d = 0; d < rank; ++d) {
    std::array<std::uint8_t, 4> e{};
    need(read_up_to(file, e.data(), 4), 4, path);
    const std::int64_t extent = (std::int64_t{e[0]} << 24) | (e[1] << 16) | (e[2] << 8) | e[3];
    shape.insert(d, extent);
    if (__builtin_mul_overflow(count, std::max<std::int64_t>(extent, 1), &count)) {
      throw FileError(fmt::format("{} would hold {} bytes by its header, more than any file can",
                                  path, extents_text(shape)));
    }
  }
  return shape;
}

[[noreturn]] void wrong_length(const std::string& path, const Shape& shape, std::int64_t found,
                               const char* more) {
  throw FileError(fmt::format("{} has {}{} bytes of numbers, its header says {} = {}", path, more,
                              found, extents_text(shape), shape.numel()));
}

}  // namespace

Tensor read_idx(const std::string& path, int rank) {
  TextFile file(path);
  const Shape shape = read_header(file, path, rank);
  const std::int64_t count = shape.numel();
  std::error_code code;
  const auto on_disk = static_cast<std::int64_t>(std::filesystem::file_size(path, code));
  if (code) {
    throw FileError(fmt::format("{} has no length: {}", path, code.message()));
  }
  if (!is_packed(path)) {
    const std::int64_t found = on_disk - 4 - 4 * rank;
    if (found != count) {
      wrong_length(path, shape, found, "");
    }
  } else if (count / kMostPacked > on_disk) {
    wrong_length(path, shape, on_disk * kMostPacked, "at most ");
  }
  // What is packed may still be far less: memory grows with what has come.
  std::vector<std::uint8_t> bytes;
  for (std::int64_t have = 0; have < count;) {
    bytes.resize(static_cast<std::size_t>(std::min(count, std::max(2 * have, 4 * kPiece))));
    const std::int64_t wanted = static_cast<std::int64_t>(bytes.size()) - have;
    const std::int64_t got = read_up_to(file, bytes.data() + have, wanted);
    have += got;
    if (got < wanted) {
      wrong_length(path, shape, have, "");
    }
  }
  std::uint8_t beyond = 0;
  if (read_up_to(file, &beyond, 1) > 0) {
    wrong_length(path, shape, count, "more than ");
  }
  return Tensor::from<std::uint8_t>(shape, bytes);
}

}  // namespace basin::tasks
