#include "tensor/io/file_seal.h"

#include <zlib.h>

#include <algorithm>
#include <vector>

namespace basin::io {

namespace {

// The version is that of the seal, not of what is sealed.
const std::string kFirstLine = "basin sealed file 1\n";

std::string seal_text(std::uint64_t bytes, std::uint32_t checksum) {
  std::string text = fmt::format("{}bytes {}\ncrc32 {:08x}\n", kFirstLine, bytes, checksum);
  text.resize(kSealBytes, '\0');
  return text;
}

std::uint32_t extend(std::uint32_t checksum, std::span<const std::byte> bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(checksum, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

std::uint32_t checksum_from(const InputFile& file, std::uint64_t offset) {
  constexpr std::uint64_t kPiece = 1 << 20;
  std::vector<std::byte> piece(std::min(kPiece, file.size() - offset));
  std::uint32_t checksum = 0;
  while (offset < file.size()) {
    const std::span<std::byte> part(piece.data(),
                                    std::min<std::uint64_t>(piece.size(), file.size() - offset));
    file.read(offset, part);
    checksum = extend(checksum, part);
    offset += part.size();
  }
  return checksum;
}

}  // namespace

std::string seal_of(std::span<const std::byte> rest) {
  return seal_text(kSealBytes + rest.size(), extend(0, rest));
}

bool check_seal(const InputFile& file) {
  std::string found(std::min<std::uint64_t>(kSealBytes, file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(found)));
  if (!found.starts_with(kFirstLine)) {
    return false;
  }
  if (file.size() < kSealBytes) {
    file.refuse("is cut off: {} bytes are there, and its seal alone has {}", file.size(),
                kSealBytes);
  }
  const std::string expected = seal_text(file.size(), checksum_from(file, kSealBytes));
  if (found == expected) {
    return true;
  }
  // The line that tells the length, as the file should be and as the seal has it.
  const auto second_line = [](const std::string& seal) {
    return seal.substr(kFirstLine.size(), seal.find('\n', kFirstLine.size()) - kFirstLine.size());
  };
  if (second_line(found) != second_line(expected)) {
    file.refuse("is cut off or damaged: it has {} bytes, its seal says {}", file.size(),
                in_quotes(second_line(found)));
  }
  file.refuse("is damaged: its content does not have the checksum of its seal");
}

}  // namespace basin::io
