// The printable spelling of bytes in GPT-2's files.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace basin::tasks {

/// The 256 bytes in the order of their ids in GPT-2: the printable ones of Latin-1 (0x21-0x7E,
/// 0xA1-0xAC, 0xAE-0xFF), which stand for themselves, then the others in order, which are spelt
/// U+0100, U+0101, ... (A. Radford et al. 2019, encoder.py, bytes_to_unicode).
std::array<std::uint8_t, 256> bytes_in_gpt2_order();

/// Bytes as UTF-8 text without blanks and control characters.
std::string spelt(std::string_view bytes);

/// The bytes of a text that spelt() may have given; nothing if a character of it stands for no
/// byte.
std::optional<std::string> unspelt(std::string_view text);

}  // namespace basin::tasks
