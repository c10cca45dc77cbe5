#include "tasks/text/corpus.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "tasks/text/text_file.h"
#include "tasks/text/text_files.h"
#include "tasks/text/text_hash.h"
#include "tensor/error.h"

namespace basin::tasks {

namespace {

constexpr std::int64_t kPiece = 1 << 20;

void report(const PreparationCallback& progress, const std::string& what, std::int64_t done,
            std::int64_t total) {
  if (progress && !progress(what, done, total)) {
    throw PreparationStopped();
  }
}

std::string_view as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Pipes and the like can only be read once, from the beginning to the end.
bool can_be_mapped(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) && !is_packed(path);
}

Corpus map_bytes(const std::string& path, const PreparationCallback& progress) {
  MappedFile file(path);
  Corpus corpus;
  corpus.bytes = static_cast<std::int64_t>(file.bytes().size());
  TextHash hash;
  in_pieces({0, corpus.bytes}, corpus.bytes, "reading " + path, progress,
            [&](std::int64_t first, std::int64_t end) {
              hash.add(as_text(file.bytes().subspan(static_cast<std::size_t>(first),
                                                    static_cast<std::size_t>(end - first))));
            });
  corpus.hash = hash.value();
  corpus.documents.push_back({0, corpus.bytes});
  corpus.tokens = TokenStore(std::move(file), 1);
  return corpus;
}

Corpus encode(const std::string& path, const Tokenizer& tokenizer,
              const PreparationCallback& progress) {
  Corpus corpus;
  TokenWriter writer(tokenizer.vocabulary());
  std::vector<std::int32_t> ids;
  TextHash hash;
  std::int64_t begin = 0;
  std::int64_t begin_bytes = 0;
  for_each_text(path, "reading " + path, progress, [&](std::string_view text, bool at_end) {
    ids.clear();
    const std::size_t done = tokenizer.encode_piece(text, at_end, ids);
    writer.append(ids);
    hash.add(text.substr(0, done));
    corpus.bytes += static_cast<std::int64_t>(done);
    if (at_end && writer.size() > begin) {
      // Behind each document but the first the length of the one before, so that a border counts.
      if (!corpus.documents.empty()) {
        hash.add(fmt::format("\n{}\n", begin_bytes));
      }
      corpus.documents.push_back({begin, writer.size()});
      begin = writer.size();
      begin_bytes = corpus.bytes;
    }
    return done;
  });
  corpus.hash = hash.value();
  corpus.tokens = writer.finish();
  return corpus;
}

}  // namespace

void for_each_text(const std::string& path, const std::string& what,
                   const PreparationCallback& progress,
                   const std::function<std::size_t(std::string_view, bool)>& use) {
  const std::vector<std::string> files = text_files(path);
  std::int64_t total = 0;
  for (const std::string& name : files) {
    total += size_on_disk(name);
  }
  std::int64_t before = 0;
  for (const std::string& name : files) {
    TextFile file(name);
    read_in_pieces(file, [&](std::string_view text, bool at_end) {
      report(progress, what, std::min(before + file.position(), total), total);
      return use(text, at_end);
    });
    before += size_on_disk(name);
  }
}

void in_pieces(const Document& range, std::int64_t total, const std::string& what,
               const PreparationCallback& progress,
               const std::function<void(std::int64_t, std::int64_t)>& use) {
  for (std::int64_t first = range.begin; first < range.end; first += kPiece) {
    report(progress, what, first, total);
    use(first, std::min(range.end, first + kPiece));
  }
}

Corpus read_corpus(const std::string& path, const Tokenizer& tokenizer,
                   const PreparationCallback& progress) {
  Corpus corpus = tokenizer.name() == "bytes" && can_be_mapped(path)
                      ? map_bytes(path, progress)
                      : encode(path, tokenizer, progress);
  corpus.path = path;
  if (corpus.bytes == 0) {
    std::error_code ignored;
    throw FileError(std::filesystem::is_directory(path, ignored)
                        ? fmt::format("the files in the folder {} are empty", path)
                        : fmt::format("{} is empty", path));
  }
  return corpus;
}

}  // namespace basin::tasks
