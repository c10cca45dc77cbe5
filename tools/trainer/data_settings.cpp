#include "tools/trainer/data_settings.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <system_error>
#include <vector>

#include "tasks/tokenizers/tokenizer.h"
#include "tensor/error.h"
#include "tools/trainer/suggest.h"

namespace basin::trainer {

namespace {

namespace fs = std::filesystem;

constexpr const char* kGpt2Folder = "gpt2-bpe";

std::string data_folder() {
  const char* folder = std::getenv("BASIN_DATA");
  return folder == nullptr ? "" : folder;
}

std::string gpt2_folder() {
  const std::string folder = data_folder();
  if (folder.empty()) {
    throw FileError(
        "--tokenizer gpt2 needs the variable BASIN_DATA, which names no folder; give the folder of "
        "vocab.json and merges.txt in place of 'gpt2'");
  }
  const std::string path = (fs::path(folder) / kGpt2Folder).string();
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    throw FileError(
        fmt::format("--tokenizer gpt2: there is no folder {} ($BASIN_DATA); give the folder of "
                    "vocab.json and merges.txt in place of 'gpt2'",
                    path));
  }
  return path;
}

bool is_name(const std::string& tokenizer) {
  return tokenizer.empty() || tokenizer == "characters" || tokenizer == "gpt2";
}

DataPath find_tokenizer(const std::string& tokenizer) {
  if (is_name(tokenizer)) {
    return {tokenizer, tokenizer == "gpt2" ? gpt2_folder() : tokenizer};
  }
  try {
    return find_data(tokenizer);
  } catch (const FileError&) {
    throw FileError(fmt::format(
        "--tokenizer: '{}' is none of bytes, characters and gpt2, nor a folder, as it stands or "
        "below $BASIN_DATA{}",
        tokenizer, suggestion(tokenizer, {"bytes", "characters", "gpt2"})));
  }
}

std::string opened(const std::string& path) { return path.empty() ? "" : find_data(path).opened; }

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, at);) {
    parts.push_back(part);
  }
  return parts;
}

// "1115394 bytes as 250000 tokens (their hash)", or "50257 tokens (the hash)".
std::string in_words(const std::string& part) {
  const std::vector<std::string> numbers = split(part, '-');
  if (numbers.size() == 2) {
    return fmt::format("{} tokens ({})", numbers[0], numbers[1]);
  }
  return numbers.size() == 3
             ? fmt::format("{} bytes as {} tokens ({})", numbers[0], numbers[1], numbers[2])
             : fmt::format("'{}'", part);
}

}  // namespace

DataPath find_data(const std::string& path) {
  std::error_code ignored;
  if (fs::exists(path, ignored)) {
    return {fs::absolute(path).lexically_normal().string(), path};
  }
  const std::string folder = data_folder();
  const bool is_absolute = fs::path(path).is_absolute();
  if (is_absolute || folder.empty()) {
    throw FileError(fmt::format("there is no data file {}{}", path,
                                is_absolute || !folder.empty()
                                    ? ""
                                    : " (and the variable BASIN_DATA names no folder to look in)"));
  }
  const std::string below = (fs::path(folder) / path).string();
  if (!fs::exists(below, ignored)) {
    throw FileError(fmt::format("there is no data file {}, nor {} ($BASIN_DATA)", path, below));
  }
  // Kept as it was written, so that the configuration goes where the data folder is another one.
  return {path, below};
}

void keep_path(Configuration& c, const std::string& name) {
  static const std::map<std::string, std::string Configuration::*> paths = {
      {"data", &Configuration::data},
      {"validation-data", &Configuration::validation_data},
      {"test-data", &Configuration::test_data}};
  if (name == "tokenizer") {
    c.tokenizer = find_tokenizer(c.tokenizer).kept;
  }
  const auto found = paths.find(name);
  if (found != paths.end() && !(c.*found->second).empty()) {
    c.*found->second = find_data(c.*found->second).kept;
  }
}

tasks::TaskOptions task_options(const Configuration& c) {
  tasks::TaskOptions options;
  options.name = c.task;
  options.length = c.length;
  options.vocabulary = c.vocabulary;
  options.pairs = c.pairs;
  options.seed = c.seed;
  const tasks::TaskKind& kind = tasks::task_kind(c.task);
  if (kind.needs_data) {
    options.data = opened(c.data);
  }
  if (kind.is_text) {
    options.tokenizer = find_tokenizer(c.tokenizer).opened;
    options.validation_data = opened(c.validation_data);
    options.test_data = opened(c.test_data);
    options.stride = c.stride;
    options.eval_stride = c.eval_stride;
  }
  return options;
}

void keep_digest(Configuration& c, const tasks::Task& task) {
  const std::string found = task.data_digest();
  const std::vector<std::string> now = split(found, ',');
  const std::vector<std::string> then = split(c.data_digest, ',');
  const char* help =
      "the data must be those that the configuration was written for (--data-digest any: a new run "
      "takes them as they are)";
  for (std::size_t n = 0; n < then.size(); ++n) {
    const std::string is = n < now.size() ? now[n] : "";
    if (is == then[n]) {
      continue;
    }
    if (n == 0) {
      throw FileError(fmt::format(
          "the tokenizer gives another vocabulary than that of the run: {} and not {}; {}",
          in_words(is), in_words(then[n]),
          c.tokenizer == "characters"
              ? "the characters are those of --data, so evaluate another text as --validation-data"
              : help));
    }
    const std::string path = n == 1                                 ? c.data
                             : n == 2 && !c.validation_data.empty() ? c.validation_data
                                                                    : c.test_data;
    throw FileError(fmt::format("{} has changed: it is {} and was {}; {}", path, in_words(is),
                                in_words(then[n]), help));
  }
  c.data_digest = found;
}

std::string vocabulary_digest(const std::string& digest) {
  return digest.substr(0, digest.find(','));
}

std::string training_digest(const std::string& digest) {
  const std::size_t first = digest.find(',');
  return first == std::string::npos ? digest : digest.substr(0, digest.find(',', first + 1));
}

std::string text_digest(const std::string& digest) {
  std::string texts;
  const std::vector<std::string> parts = split(digest, ',');
  for (std::size_t n = 1; n < parts.size(); ++n) {
    const std::vector<std::string> numbers = split(parts[n], '-');
    texts += fmt::format("{}-{},", numbers.front(), numbers.back());
  }
  return texts;
}

}  // namespace basin::trainer
