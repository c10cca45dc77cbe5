#include "tools/trainer/shell_word.h"

namespace basin::trainer {

std::string shell_word(const std::string& word) {
  const char* plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./+,:@%=";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) {
    return word;
  }
  std::string safe = "'";
  for (const char c : word) {
    safe += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return safe + "'";
}

std::string shell_command(const std::vector<std::string>& words) {
  std::string command = "trainer";
  for (const std::string& word : words) {
    command += " " + shell_word(word);
  }
  return command;
}

}  // namespace basin::trainer
