// Reading and writing vocab.json and merges.txt.
#include <fmt/format.h>

#include <exception>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "tasks/text/read_file.h"
#include "tasks/tokenizers/bpe_tables.h"
#include "tasks/tokenizers/byte_alphabet.h"
#include "tasks/tokenizers/in_quotes.h"
#include "tasks/tokenizers/place.h"
#include "tasks/tokenizers/write_file.h"
#include "tensor/error.h"

namespace basin::tasks {

namespace {

constexpr std::string_view kHeader = "#version: 0.2";

std::string vocabulary_path(const std::string& folder) { return folder + "/vocab.json"; }
std::string merges_path(const std::string& folder) { return folder + "/merges.txt"; }

// Counts lines while the parser reads. The parser looks one character ahead to see the end of a
// number, so the line of what it has just read is that of the last character it was given.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, std::size_t* line) : at_(at), line_(line) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    // The line grows when the parser is beyond the line end, not when it is at it.
    *line_ += after_line_end_ ? 1 : 0;
    after_line_end_ = *at_ == '\n';
    ++at_;
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  std::size_t* line_;
  bool after_line_end_ = false;
};

struct Entry {
  std::string bytes;
  std::uint64_t id = 0;
  std::size_t line = 0;
};

// Takes vocab.json apart; everything but one flat object of small numbers is refused at once.
class VocabularyReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  VocabularyReader(const std::string& path, const std::size_t* line) : place_(path), line_(line) {}

  std::vector<Entry> entries;

  bool start_object(std::size_t) override {
    if (inside_) {
      refuse_value("an object");
    }
    return inside_ = true;
  }
  bool key(string_t& name) override {
    name_ = name;
    return true;
  }
  bool number_unsigned(number_unsigned_t id) override {
    if (!inside_) {
      refuse_value("a number");
    }
    std::optional<std::string> bytes = unspelt(name_);
    if (!bytes.has_value()) {
      place_.fail(*line_, "the token {} has a character that stands for no byte", in_quotes(name_));
    }
    if (bytes->empty()) {
      place_.fail(*line_, "a token is empty");
    }
    entries.push_back({std::move(*bytes), id, *line_});
    return true;
  }
  bool number_integer(number_integer_t id) override { return refuse_value(fmt::format("{}", id)); }
  bool number_float(number_float_t, const string_t& text) override { return refuse_value(text); }
  bool string(string_t&) override { return refuse_value("a string"); }
  bool binary(binary_t&) override { return refuse_value("binary data"); }
  bool boolean(bool) override { return refuse_value("a boolean"); }
  bool null() override { return refuse_value("null"); }
  bool start_array(std::size_t) override { return refuse_value("a list"); }
  bool end_array() override { return true; }
  bool end_object() override { return true; }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: what is of interest"
    std::string_view reason = error.what();
    for (const std::string_view end_of_prefix : {"] ", ": "}) {
      const std::size_t found = reason.find(end_of_prefix);
      reason.remove_prefix(found == std::string_view::npos ? 0 : found + 2);
    }
    std::string line;
    for (const char c : reason) {
      line +=
          static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F ? '?' : c;
    }
    place_.fail(*line_, "no JSON: {}", line);
  }

 private:
  [[noreturn]] bool refuse_value(const std::string& found) const {
    if (!inside_) {
      place_.fail(*line_, "expected an object of tokens and their ids, found {}", found);
    }
    place_.fail(*line_, "the id of the token {} must be a whole number from 0 on; found {}",
                in_quotes(name_), found);
  }

  Place place_;
  const std::size_t* line_;
  bool inside_ = false;
  std::string name_;
};

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::size_t> lines;  // where each token is
};

Vocabulary parse_vocabulary(std::string_view text, const std::string& path) {
  std::size_t line = 1;
  VocabularyReader reader(path, &line);
  nlohmann::json::sax_parse(CountingIterator(text.data(), &line),
                            CountingIterator(text.data() + text.size(), &line), &reader);
  std::vector<Entry>& entries = reader.entries;
  const Place place(path);
  if (entries.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    place.fail(line, "{} tokens are too many", entries.size());
  }
  Vocabulary read = {std::vector<std::string>(entries.size()),
                     std::vector<std::size_t>(entries.size(), 0)};
  for (Entry& entry : entries) {
    if (entry.id >= entries.size()) {
      place.fail(entry.line,
                 "the token {} has the id {}, but there are {} tokens and the ids must be 0 to {}",
                 in_quotes(spelt(entry.bytes)), entry.id, entries.size(), entries.size() - 1);
    }
    std::size_t& first = read.lines[entry.id];
    if (first != 0) {
      place.fail(entry.line, "the tokens {} (line {}) and {} have the same id {}",
                 in_quotes(spelt(read.tokens[entry.id])), first, in_quotes(spelt(entry.bytes)),
                 entry.id);
    }
    first = entry.line;
    read.tokens[entry.id] = std::move(entry.bytes);
  }
  return read;
}

using Ids = std::unordered_map<std::string_view, std::int32_t>;

Ids ids_of(const Vocabulary& vocabulary, const std::string& path) {
  Ids ids;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    const auto [first, fresh] = ids.emplace(token, static_cast<std::int32_t>(id));
    if (!fresh) {
      Place(path).fail(vocabulary.lines[id], "the token {} has the id {} and (line {}) the id {}",
                       in_quotes(spelt(token)), id,
                       vocabulary.lines[static_cast<std::size_t>(first->second)], first->second);
    }
  }
  for (int byte = 0; byte < 256; ++byte) {
    const std::string bytes(1, static_cast<char>(byte));
    if (ids.count(bytes) == 0) {
      throw FileError(
          fmt::format("{}: the byte 0x{:02X} (written {}) is no token; without it not every text "
                      "can be encoded",
                      path, byte, in_quotes(spelt(bytes))));
    }
  }
  return ids;
}

std::int32_t id_in(const Ids& ids, std::string_view bytes, const Place& place, std::size_t line) {
  const auto found = ids.find(bytes);
  if (found == ids.end()) {
    place.fail(line, "{} is no token of the vocabulary", in_quotes(spelt(bytes)));
  }
  return found->second;
}

std::vector<BpeMerge> parse_merges(std::string_view text, const std::string& path, const Ids& ids) {
  const Place place(path);
  std::vector<BpeMerge> merges;
  std::unordered_map<std::uint64_t, std::size_t> line_of;
  std::size_t line = 0;
  while (!text.empty() || line == 0) {
    ++line;
    const std::size_t end = text.find('\n');
    const std::string_view words = text.substr(0, end);
    if (line == 1 && words != kHeader) {
      place.fail(line, "expected the line '{}', found {}", kHeader, in_quotes(words));
    }
    if (end == std::string_view::npos) {
      place.fail(line, "the line {} has no end: the file was cut off", in_quotes(words));
    }
    text.remove_prefix(end + 1);
    if (line == 1) {
      continue;
    }
    const std::size_t blank = words.find(' ');
    if (blank == std::string_view::npos || blank == 0 || blank + 1 == words.size() ||
        words.find(' ', blank + 1) != std::string_view::npos) {
      place.fail(line, "expected two tokens parted by a blank, found {}", in_quotes(words));
    }
    const std::optional<std::string> left = unspelt(words.substr(0, blank));
    const std::optional<std::string> right = unspelt(words.substr(blank + 1));
    if (!left.has_value() || !right.has_value()) {
      place.fail(line, "{} has a character that stands for no byte", in_quotes(words));
    }
    const BpeMerge merge = {id_in(ids, *left, place, line), id_in(ids, *right, place, line),
                            id_in(ids, *left + *right, place, line)};
    const auto pair =
        static_cast<std::uint64_t>(merge.left) << 32 | static_cast<std::uint64_t>(merge.right);
    const auto [first, fresh] = line_of.emplace(pair, line);
    if (!fresh) {
      place.fail(line, "{} was merged in line {} already", in_quotes(words), first->second);
    }
    merges.push_back(merge);
  }
  return merges;
}

std::string_view as_text(const std::vector<std::uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

BpeTables parse_bpe_tables(std::string_view vocabulary, const std::string& vocabulary_path,
                           std::string_view merges, const std::string& merges_path) {
  Vocabulary read = parse_vocabulary(vocabulary, vocabulary_path);
  std::vector<BpeMerge> parsed = parse_merges(merges, merges_path, ids_of(read, vocabulary_path));
  return {std::move(read.tokens), std::move(parsed)};
}

BpeTables read_bpe_tables(const std::string& folder) {
  const std::vector<std::uint8_t> vocabulary = read_file(vocabulary_path(folder));
  const std::vector<std::uint8_t> merges = read_file(merges_path(folder));
  return parse_bpe_tables(as_text(vocabulary), vocabulary_path(folder), as_text(merges),
                          merges_path(folder));
}

void write_bpe_tables(const BpeTables& tables, const std::string& folder) {
  std::string vocabulary = "{";
  for (std::size_t id = 0; id < tables.tokens.size(); ++id) {
    const nlohmann::json token = spelt(tables.tokens[id]);
    vocabulary += fmt::format("{}{}: {}", id == 0 ? "" : ", ", token.dump(), id);
  }
  write_file(vocabulary_path(folder), vocabulary + "}\n");

  std::string merges = std::string(kHeader) + "\n";
  for (const BpeMerge& merge : tables.merges) {
    merges += spelt(tables.tokens[static_cast<std::size_t>(merge.left)]) + ' ' +
              spelt(tables.tokens[static_cast<std::size_t>(merge.right)]) + '\n';
  }
  write_file(merges_path(folder), merges);
}

}  // namespace basin::tasks
