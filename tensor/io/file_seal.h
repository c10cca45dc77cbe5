// Private to tensor/io: a checksum over a whole file, in front of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tensor/io/input_file.h"

namespace basin::io {

/// HDF5 leaves this much room to other programs at the beginning of a file, its "user block", where
/// it is asked to; readers of HDF5 skip it.
inline constexpr std::size_t kSealBytes = 512;

/// The seal of a file whose part after the seal is `rest`: kSealBytes of text that follow from the
/// length and the CRC-32 of `rest` alone, so that no bit of the seal itself can change unnoticed.
/// CRC-32 finds every change of up to 32 neighbouring bits, wherever they are, and misses one of
/// 2^32 others.
std::string seal_of(std::span<const std::byte> rest);

/// Whether the file begins with a seal. Then all of it is read, in pieces, and compared with the
/// seal: throws FileError if the file is cut off, too long or changed in any place.
bool check_seal(const InputFile& file);

}  // namespace basin::io
