// The commands. Each takes the words after its name and throws for everything that goes wrong:
// UsageError for wrong usage, other exceptions for failures.
#pragma once

#include <string>
#include <vector>

namespace basin::profile_kernels {

struct Command {
  std::string name;
  std::string summary;  ///< one line
  void (*run)(const std::vector<std::string>& words);
};

/// To add a command, write a file of its own and add it to the table in main.cpp.
void list_command(const std::vector<std::string>& words);
void check_command(const std::vector<std::string>& words);
void time_command(const std::vector<std::string>& words);
void count_command(const std::vector<std::string>& words);
void compare_command(const std::vector<std::string>& words);
void run_command(const std::vector<std::string>& words);
void operation_command(const std::vector<std::string>& words);
void step_command(const std::vector<std::string>& words);

}  // namespace basin::profile_kernels
