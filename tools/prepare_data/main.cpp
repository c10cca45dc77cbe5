// prepare_data: makes data ready for training. Exit status: 0 done, 1 failed, 2 wrong usage; the
// reason is one line on standard error.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "tools/prepare_data/commands.h"
#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"

namespace {

using basin::prepare_data::Command;
using basin::trainer::wrong_usage;

const std::vector<Command>& commands() {
  using namespace basin::prepare_data;
  static const std::vector<Command> all = {
      {"tokenizer train", "learn a tokenizer from text", tokenizer_train_command},
      {"tokenizer encode", "turn text into the ids of its tokens", tokenizer_encode_command},
      {"tokenizer decode", "turn ids back into text", tokenizer_decode_command},
  };
  return all;
}

std::string help() {
  std::string text =
      "usage: prepare_data COMMAND [options]\n\nMakes data ready for training.\n\n"
      "Commands:\n";
  for (const Command& command : commands()) {
    text += fmt::format("  {:<17} {}\n", command.name, command.summary);
  }
  return text +
         "\n'prepare_data COMMAND --help' lists the options of a command; 'prepare_data --version' "
         "tells\nthe version.\n\nExample:\n  prepare_data tokenizer train --input corpus.txt "
         "--vocabulary 8192 --out tokenizer\n";
}

bool asks_for_help(const std::string& word) {
  return word == "--help" || word == "-h" || word == "help";
}

void run(const std::vector<std::string>& words) {
  if (words.empty()) {
    wrong_usage("a command is missing; 'prepare_data --help' lists them");
  }
  const std::string& group = words.front();
  if (asks_for_help(group) ||
      (group == "tokenizer" && words.size() > 1 && asks_for_help(words[1]))) {
    fmt::print("{}", help());
    return;
  }
  if (group == "--version") {
    fmt::print("prepare_data of basin {}\n", BASIN_VERSION);
    return;
  }
  if (group != "tokenizer") {
    wrong_usage("there is no command '{}'{}", group,
                basin::trainer::suggestion(group, {"tokenizer", "--help", "--version"}));
  }
  if (words.size() < 2) {
    wrong_usage(
        "'tokenizer' needs one of train, encode and decode; 'prepare_data --help' explains them");
  }
  const std::string name = group + " " + words[1];
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (command.name == name) {
      command.run({words.begin() + 2, words.end()});
      return;
    }
    names.push_back(command.name);
  }
  wrong_usage("there is no command '{}'{}", name, basin::trainer::suggestion(name, names));
}

// One line, whatever names and messages of libraries contain.
void complain(const std::string& message) {
  std::string line = "prepare_data: " + message;
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
