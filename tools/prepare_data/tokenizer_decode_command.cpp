#include <fmt/format.h>

#include <charconv>

#include "tasks/tokenizers/in_quotes.h"
#include "tensor/error.h"
#include "tools/prepare_data/commands.h"
#include "tools/prepare_data/files.h"
#include "tools/prepare_data/tokenizer_options.h"

namespace basin::prepare_data {

namespace {

Syntax decode_syntax() {
  return {"prepare_data tokenizer decode",
          "Turns ids, decimal numbers with blanks or line ends between them, back into text.",
          use_options("the ids", "where the text goes")};
}

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// No id has more digits than this by far; what is longer need not be kept to see that it is wrong.
constexpr std::size_t kMostDigits = 64;

// Takes ids apart that come bit by bit.
class IdReader {
 public:
  IdReader(const tasks::Tokenizer& tokenizer, const std::string& path)
      : tokenizer_(tokenizer), path_(path) {}

  // The bytes of the ids in `text` are appended; a last one that may go on waits.
  std::size_t read(std::string_view text, bool at_end, std::string& bytes) {
    std::size_t at = 0;
    while (at < text.size()) {
      if (is_blank(text[at])) {
        line_ += text[at] == '\n' ? 1 : 0;
        ++at;
        continue;
      }
      std::size_t end = at;
      while (end < text.size() && end - at < kMostDigits && !is_blank(text[end])) {
        ++end;
      }
      if (end == text.size() && !at_end) {
        break;
      }
      bytes += tokenizer_.bytes_of(id_of(text.substr(at, end - at)));
      at = end;
    }
    return at;
  }

 private:
  std::int32_t id_of(std::string_view word) const {
    std::int32_t id = 0;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), id);
    if (parsed.ec != std::errc() || parsed.ptr != word.data() + word.size() || id < 0 ||
        id >= tokenizer_.vocabulary()) {
      throw FileError(fmt::format("{}:{}: expected an id from 0 to {}, found {}", path_, line_,
                                  tokenizer_.vocabulary() - 1, tasks::in_quotes(word)));
    }
    return id;
  }

  const tasks::Tokenizer& tokenizer_;
  std::string path_;
  std::size_t line_ = 1;
};

}  // namespace

void tokenizer_decode_command(const std::vector<std::string>& words) {
  const Options options(decode_syntax(), words);
  if (options.has("help")) {
    fmt::print("{}", help_text(decode_syntax()));
    return;
  }
  const std::unique_ptr<tasks::Tokenizer> tokenizer = tokenizer_of(options);
  const std::string input = options.value_or("input", "-");
  Output output(options.value_or("out", "-"));
  IdReader reader(*tokenizer, input == "-" ? "standard input" : input);
  std::string bytes;
  read_in_pieces(input, [&](std::string_view text, bool at_end) {
    bytes.clear();
    const std::size_t done = reader.read(text, at_end, bytes);
    output.write(bytes);
    return done;
  });
  output.commit();
}

}  // namespace basin::prepare_data
