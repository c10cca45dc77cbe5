#include "tools/prepare_data/tokenizer_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"

namespace basin::prepare_data {

Option kind_option() {
  std::string help;
  for (const tasks::TokenizerKind& kind : tasks::tokenizer_kinds()) {
    help += fmt::format("{}{} ({})", help.empty() ? "" : ", ", kind.name, kind.description);
  }
  return {"kind", "NAME", help + " [gpt2]"};
}

const tasks::TokenizerKind& kind_of(const Options& options) {
  const std::string name = options.value_or("kind", "gpt2");
  std::vector<std::string> names;
  for (const tasks::TokenizerKind& kind : tasks::tokenizer_kinds()) {
    names.push_back(kind.name);
  }
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    trainer::wrong_usage("--kind: there is no tokenizer '{}'{}", name,
                         trainer::suggestion(name, names));
  }
  return tasks::tokenizer_kind(name);
}

std::vector<Option> use_options(const std::string& input, const std::string& out) {
  return {kind_option(),
          {"tokenizer", "DIR", "the folder with the files of the tokenizer; none for 'bytes'"},
          {"input", "FILE", input + ", plain or .gz; - is standard input [-]"},
          {"out", "FILE", out + "; - is standard output [-]"}};
}

std::unique_ptr<tasks::Tokenizer> tokenizer_of(const Options& options) {
  const tasks::TokenizerKind& kind = kind_of(options);
  if (kind.files.empty() && options.has("tokenizer")) {
    trainer::wrong_usage("--tokenizer: the tokenizer '{}' reads no files", kind.name);
  }
  return kind.make(kind.files.empty() ? "" : options.value("tokenizer"));
}

}  // namespace basin::prepare_data
