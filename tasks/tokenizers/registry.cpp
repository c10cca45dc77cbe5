#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "tasks/tokenizers/byte_tokenizer.h"
#include "tasks/tokenizers/character_tokenizer.h"
#include "tasks/tokenizers/gpt2_tokenizer.h"
#include "tasks/tokenizers/tokenizer.h"
#include "tensor/error.h"

namespace basin::tasks {

namespace {

std::unique_ptr<Tokenizer> make_bytes(const std::string&) {
  return std::make_unique<ByteTokenizer>();
}

std::unique_ptr<Tokenizer> make_characters(const std::string& folder) {
  return std::make_unique<CharacterTokenizer>(read_characters(folder));
}

std::unique_ptr<Tokenizer> make_gpt2(const std::string& folder) {
  return std::make_unique<Gpt2Tokenizer>(read_bpe_tables(folder));
}

}  // namespace

const std::vector<TokenizerKind>& tokenizer_kinds() {
  static const std::vector<TokenizerKind> kinds = {
      {"bytes", "every byte is a token", {}, make_bytes},
      {"characters",
       "every character of a training text is a token",
       {"characters.txt"},
       make_characters},
      {"gpt2", "byte-pair encoding as in GPT-2", {"vocab.json", "merges.txt"}, make_gpt2},
  };
  return kinds;
}

const TokenizerKind& tokenizer_kind(const std::string& name) {
  std::vector<std::string> names;
  for (const TokenizerKind& kind : tokenizer_kinds()) {
    if (kind.name == name) {
      return kind;
    }
    names.push_back(kind.name);
  }
  fail("there is no tokenizer '{}'; there are {}", name, fmt::join(names, ", "));
}

std::unique_ptr<Tokenizer> make_tokenizer(const std::string& name, const std::string& folder) {
  const TokenizerKind& kind = tokenizer_kind(name);
  if (!kind.files.empty() && folder.empty()) {
    fail("the tokenizer '{}' needs a folder with {}", name, fmt::join(kind.files, " and "));
  }
  if (kind.files.empty() && !folder.empty()) {
    fail("the tokenizer '{}' reads no files; got the folder '{}'", name, folder);
  }
  return kind.make(folder);
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw FileError(fmt::format("{} is not the folder of a tokenizer", folder));
  }
  const TokenizerKind* found = nullptr;
  std::string wanted;
  for (const TokenizerKind& kind : tokenizer_kinds()) {
    if (kind.files.empty()) {
      continue;
    }
    wanted += fmt::format("{}{} ({})", wanted.empty() ? "" : " or ", fmt::join(kind.files, " and "),
                          kind.name);
    // One of several files is enough to tell the kind; reading then says what is missing.
    const bool is_here = std::any_of(
        kind.files.begin(), kind.files.end(),
        [&](const std::string& name) { return fs::exists(fs::path(folder) / name, ignored); });
    if (is_here && found != nullptr) {
      throw FileError(
          fmt::format("{} holds files of two tokenizers, '{}' and '{}'; keep them in "
                      "folders of their own",
                      folder, found->name, kind.name));
    }
    found = is_here ? &kind : found;
  }
  if (found == nullptr) {
    throw FileError(fmt::format("{} holds no tokenizer: there must be {}", folder, wanted));
  }
  return found->make(folder);
}

}  // namespace basin::tasks
