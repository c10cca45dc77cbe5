#include <fmt/format.h>

#include <iterator>

#include "tools/prepare_data/commands.h"
#include "tools/prepare_data/files.h"
#include "tools/prepare_data/tokenizer_options.h"

namespace basin::prepare_data {

namespace {

constexpr std::size_t kIdsPerLine = 20;

Syntax encode_syntax() {
  return {"prepare_data tokenizer encode",
          "Turns a text into the ids of its tokens, decimal numbers with 20 on a line.",
          use_options("the text", "where the ids go")};
}

}  // namespace

void tokenizer_encode_command(const std::vector<std::string>& words) {
  const Options options(encode_syntax(), words);
  if (options.has("help")) {
    fmt::print("{}", help_text(encode_syntax()));
    return;
  }
  const std::unique_ptr<tasks::Tokenizer> tokenizer = tokenizer_of(options);
  const std::string input = options.value_or("input", "-");
  Output output(options.value_or("out", "-"));
  std::vector<std::int32_t> ids;
  fmt::memory_buffer line;
  std::size_t on_line = 0;
  read_in_pieces(input, [&](std::string_view text, bool at_end) {
    ids.clear();
    line.clear();
    const std::size_t done = tokenizer->encode_piece(text, at_end, ids);
    for (const std::int32_t id : ids) {
      const char* parted = on_line == 0 ? "" : on_line == kIdsPerLine ? "\n" : " ";
      on_line = on_line == kIdsPerLine ? 1 : on_line + 1;
      fmt::format_to(std::back_inserter(line), "{}{}", parted, id);
    }
    output.write({line.data(), line.size()});
    return done;
  });
  output.write(on_line == 0 ? "" : "\n");
  output.commit();
}

}  // namespace basin::prepare_data
