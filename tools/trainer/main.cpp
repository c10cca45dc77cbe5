// trainer: trains, evaluates and compares models of memory. Exit status: 0 done, 1 failed, 2 wrong
// usage; the reason is one line on standard error.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "tensor/allocator.h"
#include "tools/trainer/commands.h"
#include "tools/trainer/memory.h"
#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"

namespace {

using basin::trainer::Command;

const std::vector<Command>& commands() {
  using namespace basin::trainer;
  static const std::vector<Command> all = {
      {"train", "train a backbone on a task and evaluate it", train_command},
      {"evaluate", "evaluate a checkpoint", evaluate_command},
      {"generate", "go on from a prompt with a model of text", generate_command},
      {"export", "write the weights of a checkpoint for other programs", export_command},
      {"compare", "put several runs of one task into a table and a plot", compare_command},
      {"sweep", "train many configurations, each with several seeds, and compare them",
       sweep_command},
      {"reproduce", "compute experiments of published work anew and judge what they claim",
       reproduce_command},
      {"list", "show tasks, backbones, tokenizers, devices and experiments", list_command},
  };
  return all;
}

std::string help() {
  std::string text =
      "usage: trainer COMMAND [options]\n\nTrains and compares neural networks that differ in "
      "their "
      "memory.\n\nCommands:\n";
  for (const Command& command : commands()) {
    text += fmt::format("  {:<10} {}\n", command.name, command.summary);
  }
  return text +
         "\n'trainer COMMAND --help' lists the options of a command; 'trainer --version' tells the "
         "version.\n\nExample:\n  trainer train --task copying --backbone hopfield --out "
         "runs/hopfield\n";
}

void run(const std::vector<std::string>& words) {
  if (words.empty()) {
    basin::trainer::wrong_usage("a command is missing; 'trainer --help' lists them");
  }
  const std::string& name = words.front();
  if (name == "--help" || name == "-h" || name == "help") {
    fmt::print("{}", help());
    return;
  }
  if (name == "--version") {
    fmt::print("trainer of basin {}\n", BASIN_VERSION);
    return;
  }
  const auto command = std::find_if(commands().begin(), commands().end(),
                                    [&](const Command& known) { return known.name == name; });
  if (command == commands().end()) {
    std::vector<std::string> names = {"--help", "--version"};
    for (const Command& known : commands()) {
      names.push_back(known.name);
    }
    basin::trainer::wrong_usage("there is no command '{}'{}", name,
                                basin::trainer::suggestion(name, names));
  }
  command->run({words.begin() + 1, words.end()});
}

// One line, whatever names and messages of libraries contain.
void complain(const std::string& message) {
  std::string line = "trainer: " + message;
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
    const basin::ScopedAllocator limited(std::make_shared<basin::CachingAllocator>(
        basin::Device::cpu, basin::trainer::available_memory()));
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
    complain(std::ferror(stdout) != 0 ? "standard output cannot be written" : error.what());
  }
  return 1;
}
