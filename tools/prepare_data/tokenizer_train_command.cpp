#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <system_error>

#include "tasks/tokenizers/bpe_trainer.h"
#include "tasks/tokenizers/character_tokenizer.h"
#include "tasks/tokenizers/gpt2_tokenizer.h"
#include "tensor/error.h"
#include "tools/prepare_data/commands.h"
#include "tools/prepare_data/files.h"
#include "tools/prepare_data/tokenizer_options.h"
#include "tools/trainer/usage_error.h"

namespace basin::prepare_data {

namespace {

using Clock = std::chrono::steady_clock;

Syntax train_syntax() {
  return {"prepare_data tokenizer train",
          "Learns a tokenizer from text files and writes its files: vocab.json and merges.txt for\n"
          "gpt2, characters.txt for characters.",
          {{"input", "FILE...", "the text, plain or .gz; - is standard input", true},
           {"out", "DIR", "the folder for the files; made if it is not there"},
           kind_option(),
           {"vocabulary", "N", "gpt2: tokens, the 256 bytes among them [8192]"},
           {"min-frequency", "N", "gpt2: a pair of tokens that is rarer is not merged [2]"},
           {"quiet", "", "print nothing"}}};
}

// Made before the text is read, so that a mistake in the name does not cost the work.
void make_folder(const std::string& folder) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code || !std::filesystem::is_directory(folder, code)) {
    throw FileError(fmt::format("--out {}: the folder cannot be made{}", folder,
                                code ? ": " + code.message() : ""));
  }
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    throw FileError(fmt::format("--out {}: the folder cannot be written to", folder));
  }
}

// A line that is drawn over and over, on a terminal only.
class MergeCounter {
 public:
  explicit MergeCounter(bool quiet) : shown_(!quiet && isatty(STDOUT_FILENO) != 0) {}
  ~MergeCounter() {
    if (shown_) {
      print("");
    }
  }
  MergeCounter(const MergeCounter&) = delete;
  MergeCounter& operator=(const MergeCounter&) = delete;

  bool operator()(std::int64_t done, std::int64_t total) {
    const Clock::time_point now = Clock::now();
    if (shown_ && now - last_ >= std::chrono::milliseconds(100)) {
      last_ = now;
      print(fmt::format("vocabulary {}/{}", done, total));
    }
    return true;
  }

 private:
  static void print(const std::string& text) {
    fmt::print("\r{}\x1b[K", text);
    std::fflush(stdout);
  }
  bool shown_;
  Clock::time_point last_{};
};

template <class Trainer>
std::int64_t show_all(const std::vector<std::string>& paths, Trainer& trainer) {
  std::int64_t bytes = 0;
  for (const std::string& path : paths) {
    bytes += read_in_pieces(
        path, [&](std::string_view text, bool at_end) { return trainer.add_piece(text, at_end); });
  }
  if (bytes == 0) {
    throw FileError(fmt::format("--input {}: there is no text in it", paths.front()));
  }
  return bytes;
}

}  // namespace

void tokenizer_train_command(const std::vector<std::string>& words) {
  const Options options(train_syntax(), words);
  if (options.has("help")) {
    fmt::print("{}", help_text(train_syntax()));
    return;
  }
  const tasks::TokenizerKind& kind = kind_of(options);
  const std::vector<std::string>& inputs = options.values("input");
  const std::string& out = options.value("out");
  const bool quiet = options.has("quiet");
  const Clock::time_point start = Clock::now();
  std::int64_t bytes = 0;
  std::string description;
  std::string remark;

  if (kind.name == "gpt2") {
    tasks::BpeTrainerOptions bpe;
    bpe.vocabulary = options.number_or("vocabulary", bpe.vocabulary, 256,
                                       std::numeric_limits<std::int32_t>::max());
    bpe.min_frequency = options.number_or("min-frequency", bpe.min_frequency, 1,
                                          std::numeric_limits<std::int64_t>::max());
    make_folder(out);
    tasks::BpeTrainer trainer(bpe);
    bytes = show_all(inputs, trainer);
    MergeCounter counter(quiet);
    const tasks::Gpt2Tokenizer tokenizer(trainer.train(std::ref(counter)));
    tokenizer.save(out);
    description = tokenizer.description();
    if (tokenizer.vocabulary() < bpe.vocabulary) {
      remark = fmt::format("; no pair is there {} times any more, so {} tokens are all there are",
                           bpe.min_frequency, tokenizer.vocabulary());
    }
  } else if (kind.name == "characters") {
    for (const char* option : {"vocabulary", "min-frequency"}) {
      if (options.has(option)) {
        trainer::wrong_usage("--{} has no effect on the tokenizer 'characters'", option);
      }
    }
    make_folder(out);
    tasks::CharacterTrainer trainer;
    bytes = show_all(inputs, trainer);
    const tasks::CharacterTokenizer tokenizer = trainer.train();
    tokenizer.save(out);
    description = tokenizer.description();
  } else {
    trainer::wrong_usage("--kind: the tokenizer '{}' has nothing to learn", kind.name);
  }
  if (!quiet) {
    fmt::print("{}, from {} bytes in {:.1f} s{}\n{} written to {}\n", description, bytes,
               std::chrono::duration<double>(Clock::now() - start).count(), remark,
               fmt::join(kind.files, " and "), out);
  }
}

}  // namespace basin::prepare_data
