// The subcommands. Each takes the words after its name, prints its results on standard output and
// throws for everything that goes wrong: UsageError for wrong usage, other exceptions for failures.
#pragma once

#include <string>
#include <vector>

namespace basin::trainer {

struct Command {
  std::string name;
  std::string summary;  ///< one line
  void (*run)(const std::vector<std::string>& words);
};

/// To add a subcommand, write <name>_command.cpp and add it to the table in main.cpp.
void train_command(const std::vector<std::string>& words);
void evaluate_command(const std::vector<std::string>& words);
void generate_command(const std::vector<std::string>& words);
void export_command(const std::vector<std::string>& words);
void compare_command(const std::vector<std::string>& words);
void sweep_command(const std::vector<std::string>& words);
void reproduce_command(const std::vector<std::string>& words);
void list_command(const std::vector<std::string>& words);

}  // namespace basin::trainer
