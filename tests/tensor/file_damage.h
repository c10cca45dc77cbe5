// Damaged files: each must be refused with a message that names the path and the damage.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "tensor/allocator.h"
#include "tensor/error.h"
#include "tensor/rng.h"
#include "tests/support/expect_error.h"
#include "tests/support/memory_file.h"

namespace basin::test {

/// A kind of damage, named, with what the error has to say about it.
struct Damage {
  const char* name;
  std::string bytes;
  std::string message;
};
inline void PrintTo(const Damage& damage, std::ostream* stream) { *stream << damage.name; }

inline std::string damage_name(const testing::TestParamInfo<Damage>& info) {
  return info.param.name;
}

/// `count` bytes of a number, the lowest first.
inline std::string little_endian(std::uint64_t number, int count) {
  std::string bytes;
  for (int n = 0; n < count; ++n) {
    bytes += static_cast<char>((number >> (8 * n)) & 0xFF);
  }
  return bytes;
}

/// Reads a file to the last element; throws what the reader throws.
using ReadAll = std::function<void(const std::string& path)>;

// Nothing in these tests is larger: who asks for more has believed a damaged length.
inline constexpr std::size_t kTensorMemory = 1 << 16;

/// Passes if reading throws FileError with the path and `message`.
inline testing::AssertionResult refuses_file(const std::string& bytes, const ReadAll& read,
                                             const std::string& message) {
  const ScopedAllocator limited(std::make_shared<CachingAllocator>(Device::cpu, kTensorMemory));
  MemoryFile file;
  file.set(bytes);
  return refuses<FileError>([&] { read(file.path()); }, {file.path() + ": ", message});
}

/// Passes if reading works or throws FileError: all that can be asked where damage may hit
/// elements, which carry no checksum.
inline testing::AssertionResult survives_file(MemoryFile& file, const std::string& bytes,
                                              const ReadAll& read) {
  const ScopedAllocator limited(std::make_shared<CachingAllocator>(Device::cpu, kTensorMemory));
  file.set(bytes);
  try {
    read(file.path());
  } catch (const FileError&) {
  } catch (const std::exception& error) {
    return testing::AssertionFailure() << "another exception came: " << error.what();
  }
  return testing::AssertionSuccess();
}

/// The whole file cut off at every length.
inline void expect_every_truncation_refused(const std::string& bytes, const ReadAll& read) {
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    ASSERT_TRUE(refuses_file(bytes.substr(0, length), read, "")) << length << " bytes left";
  }
}

/// Each bit of the file the other way round, then `rounds` files with several bytes replaced,
/// removed or repeated.
inline void expect_damage_survived(const std::string& bytes, const ReadAll& read, int rounds) {
  MemoryFile file;
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_TRUE(survives_file(file, flipped, read)) << "bit " << bit;
  }
  std::uint64_t drawn = 0;
  const auto draw = [&](std::size_t below) {
    return static_cast<std::size_t>(uniform_index(7, 0, drawn++, below));
  };
  for (int round = 0; round < rounds; ++round) {
    std::string damaged = bytes;
    for (std::size_t change = draw(4) + 1; change > 0; --change) {
      const std::size_t at = draw(damaged.size());
      const std::size_t length = draw(std::min<std::size_t>(16, damaged.size() - at)) + 1;
      switch (draw(3)) {
        case 0: damaged[at] = static_cast<char>(draw(256)); break;
        case 1: damaged.insert(at, damaged.substr(at, length)); break;
        default: damaged.erase(at, damaged.size() > length ? length : 0); break;
      }
    }
    ASSERT_TRUE(survives_file(file, damaged, read)) << "round " << round;
  }
}

}  // namespace basin::test
