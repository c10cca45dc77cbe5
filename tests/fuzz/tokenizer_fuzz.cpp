// The files of tokenizers, any text, and training on it. The first byte of an input says which.
#include <algorithm>
#include <string_view>

#include "tasks/tokenizers/bpe_merger.h"
#include "tasks/tokenizers/bpe_trainer.h"
#include "tasks/tokenizers/byte_tokenizer.h"
#include "tasks/tokenizers/character_tokenizer.h"
#include "tasks/tokenizers/gpt2_pattern.h"
#include "tasks/tokenizers/gpt2_tokenizer.h"
#include "tensor/error.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/bpe_reference.h"

namespace {

using namespace basin::tasks;
using basin::fuzz::require;

// Between vocab.json, merges.txt and a text in one input.
constexpr char kParted = '\0';

const std::string& some_text() {
  static const std::string text =
      "It's the 1st text, isn't it?\n\n  The text's end:\tna\xC3\xAFve caf\xC3\xA9 \xE4\xB8\xAD\xE6"
      "\x96\x87 \xF0\x9F\x98\x80\xE2\x80\x8D \xC2\xA0\xFF\xE3\x80 the the there then them";
  return text;
}

const BpeTables& small_tables() {
  static const BpeTables tables = [] {
    BpeTrainer trainer({.vocabulary = 300, .min_frequency = 1});
    trainer.add_piece(some_text(), true);
    return trainer.train();
  }();
  return tables;
}

void comes_back(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<std::int32_t> ids = tokenizer.encode(text);
  require(tokenizer.decode(ids) == text, "decoding gives the text back");

  // The same text cut at a place that depends on it.
  const std::size_t cut = text.empty() ? 0 : text.size() * 7 / 11;
  std::vector<std::int32_t> in_pieces;
  const std::size_t done = tokenizer.encode_piece(text.substr(0, cut), false, in_pieces);
  require(done <= cut, "no more is done than was shown");
  require(tokenizer.encode_piece(text.substr(done), true, in_pieces) == text.size() - done,
          "at the end all is done");
  require(in_pieces == ids, "cutting the text does not change its ids");
}

void try_bpe_files(std::string_view input) {
  const std::size_t first = std::min(input.find(kParted), input.size());
  const std::string_view rest = input.substr(std::min(first + 1, input.size()));
  const std::size_t second = std::min(rest.find(kParted), rest.size());
  BpeTables tables;
  try {
    tables = parse_bpe_tables(input.substr(0, first), "vocab.json", rest.substr(0, second),
                              "merges.txt");
  } catch (const basin::FileError&) {
    return;
  }
  // What was read must do.
  const Gpt2Tokenizer tokenizer(std::move(tables));
  comes_back(tokenizer, rest.substr(std::min(second + 1, rest.size())));
}

void try_character_file(std::string_view input) {
  try {
    const CharacterTokenizer tokenizer(parse_characters(input, "characters.txt"));
    require(tokenizer.encode(input).size() <= input.size(), "no more characters than bytes");
  } catch (const basin::FileError&) {
  }
}

void try_text(std::string_view text) {
  static const Gpt2Tokenizer gpt2(small_tables());
  static const BpeMerger merger(small_tables());
  comes_back(gpt2, text);
  comes_back(ByteTokenizer(), text);
  CharacterTrainer trainer;
  trainer.add_piece(text, true);
  comes_back(trainer.train(), text);

  BpeMerger::Scratch scratch;
  std::vector<std::int32_t> ids;
  for_each_piece(text.substr(0, 200), true, [&](std::string_view piece) {
    ids.clear();
    merger.merge(piece, scratch, ids);
    require(ids == basin::test::reference_merge(small_tables(), piece), "merges as defined");
  });
}

void try_training(std::string_view text) {
  BpeTrainer trainer({.vocabulary = 280, .min_frequency = 1});
  trainer.add_piece(text, true);
  BpeTables tables = trainer.train();
  require(tables.tokens.size() <= 280, "no more tokens than asked for");
  comes_back(Gpt2Tokenizer(std::move(tables)), text);
}

std::string spelt_files(const BpeTables& tables) {
  std::string vocabulary = "{";
  for (std::size_t id = 0; id < tables.tokens.size(); ++id) {
    const std::string token = spelt(tables.tokens[id]);
    const std::string escaped = token == "\"" || token == "\\" ? "\\" + token : token;
    vocabulary += (id == 0 ? "\"" : ",\n\"") + escaped + "\": " + std::to_string(id);
  }
  std::string merges = "#version: 0.2\n";
  for (const BpeMerge& merge : tables.merges) {
    merges += spelt(tables.tokens[static_cast<std::size_t>(merge.left)]) + " " +
              spelt(tables.tokens[static_cast<std::size_t>(merge.right)]) + "\n";
  }
  return vocabulary + "}" + kParted + merges + kParted + some_text();
}

}  // namespace

std::vector<std::string> basin::fuzz::seeds() {
  BpeTables tables = test::byte_tables();
  for (std::int32_t n = 0; n < 4; ++n) {
    test::add_merge(tables, 64 + n, 65 + n);
  }
  const std::string files = spelt_files(tables);
  require(parse_bpe_tables(files.substr(0, files.find(kParted)), "", "#version: 0.2\n", "")
                  .tokens.size() == tables.tokens.size(),
          "the seed is valid");
  return {"\x01" + files,
          "\x02#version: basin characters 1, 4 characters\nU+0041\nbyte FF\nU+E000\nU+1F600\n",
          "\x03" + some_text(), "\x04" + some_text(), "\x03" + std::string(300, 'a')};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 8) {
    case 1: try_bpe_files(input); break;
    case 2: try_character_file(input); break;
    case 3: try_text(input); break;
    case 4: try_training(input); break;
    default: break;
  }
  return 0;
}
