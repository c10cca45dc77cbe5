// Reading values that people write.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace basin::trainer {

/// All throw UsageError that begins with `origin` for text that is not wholly such a value.
std::int64_t read_whole(const std::string& text, std::int64_t least, std::int64_t most,
                        const std::string& origin);
std::uint64_t read_seed(const std::string& text, const std::string& origin);
/// Finite.
double read_real(const std::string& text, const std::string& origin);
/// One of these; names the nearest one otherwise.
std::size_t read_choice(const std::string& text, const std::vector<std::string>& choices,
                        const std::string& origin);

/// The shortest text that reads back to the same number.
std::string write_real(double value);

}  // namespace basin::trainer
