// What the commands on tokenizers have in common.
#pragma once

#include <memory>
#include <string>

#include "tasks/tokenizers/tokenizer.h"
#include "tools/command_line/options.h"

namespace basin::prepare_data {

using command_line::help_text;
using command_line::Option;
using command_line::Options;
using command_line::Syntax;

/// --kind.
Option kind_option();
/// The value of --kind, "gpt2" if it is not given. Throws UsageError if there is none of this name.
const tasks::TokenizerKind& kind_of(const Options& options);

/// --tokenizer, --input and --out of the commands that use a tokenizer, --kind among them.
std::vector<Option> use_options(const std::string& input, const std::string& out);
/// Reads the tokenizer of --kind and --tokenizer.
std::unique_ptr<tasks::Tokenizer> tokenizer_of(const Options& options);

}  // namespace basin::prepare_data
