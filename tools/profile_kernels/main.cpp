// profile_kernels: lists, checks, times and runs the kernels of the table. Exit status: 0 done,
// 1 failed, 2 wrong usage; the reason is one line on standard error.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "tools/profile_kernels/commands.h"
#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"

namespace {

using basin::profile_kernels::Command;
using basin::trainer::wrong_usage;

const std::vector<Command>& commands() {
  using namespace basin::profile_kernels;
  static const std::vector<Command> all = {
      {"list", "show kernels, variants, sizes and cases", list_command},
      {"check", "compare kernels with their references", check_command},
      {"time", "measure speed, against what this machine can do", time_command},
      {"count", "count what the CUDA kernels read and write, without a GPU", count_command},
      {"compare", "put two results of 'time' side by side", compare_command},
      {"run", "run a kernel on arrays from a file", run_command},
      {"operation", "measure a differentiable operation, forward and backward", operation_command},
      {"step", "measure a whole training step of a language model", step_command},
  };
  return all;
}

std::string help() {
  std::string text =
      "usage: profile_kernels COMMAND [options]\n\n"
      "Lists, checks, times and runs the kernels of basin, and times what is made of "
      "them.\n\nCommands:\n";
  for (const Command& command : commands()) {
    text += fmt::format("  {:<9} {}\n", command.name, command.summary);
  }
  return text +
         "\n'profile_kernels COMMAND --help' lists the options of a command; 'profile_kernels "
         "--version' tells\nthe version.\n\nExample:\n  profile_kernels time attention_forward "
         "--shape B=1,H=4,L=2048,D=64,causal=1\n";
}

void run(const std::vector<std::string>& words) {
  if (words.empty()) {
    wrong_usage("a command is missing; 'profile_kernels --help' lists them");
  }
  const std::string& name = words.front();
  if (name == "--help" || name == "-h" || name == "help") {
    fmt::print("{}", help());
    return;
  }
  if (name == "--version") {
    fmt::print("profile_kernels of basin {}\n", BASIN_VERSION);
    return;
  }
  std::vector<std::string> names = {"--help", "--version"};
  for (const Command& command : commands()) {
    if (command.name == name) {
      command.run({words.begin() + 1, words.end()});
      return;
    }
    names.push_back(command.name);
  }
  wrong_usage("there is no command '{}'{}", name, basin::trainer::suggestion(name, names));
}

// One line, whatever names and messages of libraries contain.
void complain(const std::string& message) {
  std::string line = "profile_kernels: " + message;
  for (char& c : line) {
    c = static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
  }
  line += '\n';
  std::fflush(stdout);
  std::fputs(line.c_str(), stderr);
}

}  // namespace

int main(int argc, char** argv) {
  // A file beyond the size limit is then an error of write() like any other.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    run({argv + std::min(argc, 1), argv + argc});
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      complain("standard output cannot be written");
      return 1;
    }
    return 0;
  } catch (const basin::trainer::UsageError& error) {
    complain(error.what());
    return 2;
  } catch (const std::bad_alloc&) {
    complain("out of memory");
  } catch (const std::exception& error) {
    complain(error.what());
  }
  return 1;
}
