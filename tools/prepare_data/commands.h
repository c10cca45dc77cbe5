// The commands. Each takes the words after its name and throws for everything that goes wrong:
// UsageError for wrong usage, other exceptions for failures.
#pragma once

#include <string>
#include <vector>

namespace basin::prepare_data {

struct Command {
  std::string name;     ///< one or two words
  std::string summary;  ///< one line
  void (*run)(const std::vector<std::string>& words);
};

/// To add a command, write a file of its own and add it to the table in main.cpp.
void tokenizer_train_command(const std::vector<std::string>& words);
void tokenizer_encode_command(const std::vector<std::string>& words);
void tokenizer_decode_command(const std::vector<std::string>& words);

}  // namespace basin::prepare_data
