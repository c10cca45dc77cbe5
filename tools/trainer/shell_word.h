// Words for command lines that a user may copy.
#pragma once

#include <string>
#include <vector>

namespace basin::trainer {

/// The word as a shell reads it: in quotes where it needs them.
std::string shell_word(const std::string& word);

/// "trainer" and the words.
std::string shell_command(const std::vector<std::string>& words);

}  // namespace basin::trainer
