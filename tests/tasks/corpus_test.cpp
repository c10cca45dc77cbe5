// Files and folders as tokens: the same as encoding all at once, wherever the pieces end.
#include "tasks/text/corpus.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tasks/text/text_files.h"
#include "tasks/text/text_hash.h"
#include "tasks/tokenizers/byte_tokenizer.h"
#include "tasks/tokenizers/gpt2_tokenizer.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/texts.h"

namespace basin::tasks {
namespace {

using test::refuses;
using test::TemporaryFolder;
using test::write_bytes;

std::vector<std::int32_t> ids_of(const Corpus& corpus) {
  std::vector<std::int32_t> ids;
  for (std::int64_t n = 0; n < corpus.tokens.size(); ++n) {
    ids.push_back(static_cast<std::int32_t>(corpus.tokens[n]));
  }
  return ids;
}

void write_gzip(const std::string& path, const std::string& bytes) {
  const gzFile file = gzopen(path.c_str(), "wb1");
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())),
            static_cast<int>(bytes.size()));
  EXPECT_EQ(gzclose(file), Z_OK);
}

// A few megabytes, so that several pieces end inside.
std::string hard_text() {
  test::Random random(1);
  std::string text = test::random_text(400000, random);
  text += std::string(3 << 19, ' ') + test::random_bytes(100000, random) + "the";
  return text;
}

Gpt2Tokenizer small_gpt2() {
  BpeTables tables = test::byte_tables();
  for (const auto& [left, right] : {std::pair{'t', 'h'}, {' ', ' '}, {'i', 'n'}}) {
    const auto id = [&](char c) {
      for (std::size_t n = 0; n < tables.tokens.size(); ++n) {
        if (tables.tokens[n] == std::string(1, c)) {
          return static_cast<std::int32_t>(n);
        }
      }
      return -1;
    };
    EXPECT_TRUE(test::add_merge(tables, id(left), id(right)));
  }
  return Gpt2Tokenizer(std::move(tables));
}

TEST(Corpus, PiecesGiveTheTokensOfTheWhole) {
  const TemporaryFolder folder;
  const std::string text = hard_text();
  write_bytes(folder / "plain", text);
  write_gzip(folder / "packed", text);
  const ByteTokenizer bytes;
  const Gpt2Tokenizer gpt2 = small_gpt2();
  for (const Tokenizer* tokenizer : std::initializer_list<const Tokenizer*>{&bytes, &gpt2}) {
    const std::vector<std::int32_t> expected = tokenizer->encode(text);
    for (const char* name : {"plain", "packed"}) {
      const Corpus corpus = read_corpus(folder / name, *tokenizer, {});
      EXPECT_TRUE(ids_of(corpus) == expected) << tokenizer->name() << " " << name;
      EXPECT_EQ(corpus.bytes, static_cast<std::int64_t>(text.size()));
      ASSERT_EQ(corpus.documents.size(), 1u);
      EXPECT_EQ(corpus.documents[0].end, corpus.tokens.size());
      EXPECT_EQ(corpus.hash, read_corpus(folder / "plain", bytes, {}).hash) << "another tokenizer";
    }
  }
}

TEST(Corpus, PiecesGiveTheTokensOfTheWholeWithTheTablesOfGpt2) {
  const char* data = std::getenv("BASIN_DATA");
  if (data == nullptr) {
    GTEST_SKIP() << "needs BASIN_DATA: the folder with gpt2-bpe";
  }
  const TemporaryFolder folder;
  const std::string text = hard_text();
  write_bytes(folder / "text", text);
  const auto gpt2 = open_tokenizer(std::string(data) + "/gpt2-bpe");
  EXPECT_EQ(gpt2->vocabulary(), 50257);
  EXPECT_TRUE(ids_of(read_corpus(folder / "text", *gpt2, {})) == gpt2->encode(text));
}

TEST(Corpus, AFolderIsItsFilesInOrderOfTheirPaths) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "b/deep");
  std::filesystem::create_directories(folder / ".hidden");
  write_bytes(folder / "b/deep/x", "3");
  write_bytes(folder / "b.txt", "2");  // '.' comes before '/'
  write_bytes(folder / "a", "11");
  write_bytes(folder / "empty", "");
  write_bytes(folder / "Z", "0");
  write_bytes(folder / ".dot", "no");
  write_bytes(folder / ".hidden/file", "no");
  write_gzip(folder / "c", "44");
  std::filesystem::create_directory_symlink(folder.path(), folder / "loop");
  std::filesystem::create_symlink(folder / "a", folder / "link");
  const Corpus corpus = read_corpus(folder.path(), ByteTokenizer(), {});
  EXPECT_EQ(ByteTokenizer().decode(ids_of(corpus)), "011234411");
  std::vector<std::int64_t> ends;
  for (const Document& document : corpus.documents) {
    ends.push_back(document.end);
  }
  EXPECT_EQ(ends, (std::vector<std::int64_t>{1, 3, 4, 5, 7, 9}));
}

TEST(Corpus, BordersOfDocumentsChangeTheHashAndNamesDoNot) {
  const TemporaryFolder folder;
  const auto hash = [&](const std::string& name, const std::vector<std::string>& texts) {
    std::filesystem::create_directories(folder / name);
    for (std::size_t n = 0; n < texts.size(); ++n) {
      write_bytes(folder / (name + "/" + name + std::to_string(n)), texts[n]);
    }
    return read_corpus(folder / name, ByteTokenizer(), {}).hash;
  };
  EXPECT_EQ(hash("a", {"one", "two"}), hash("b", {"one", "two"}));
  EXPECT_NE(hash("a", {"one", "two"}), hash("c", {"onet", "wo"}));
  EXPECT_NE(hash("a", {"one", "two"}), hash("d", {"onetwo"}));
  EXPECT_NE(hash("a", {"one", "two"}), hash("e", {"one", "twp"}));
  EXPECT_NE(hash("a", {"one", "two"}), hash("f", {"two", "one"}));
}

TEST(TextHash, DoesNotDependOnTheCuts) {
  test::Random random(2);
  const std::string text = test::random_bytes(1000, random);
  TextHash whole;
  whole.add(text);
  for (int n = 0; n < 50; ++n) {
    TextHash pieces;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = test::below(30, random);
      pieces.add(std::string_view(text).substr(at, size));
      at += size;
    }
    EXPECT_EQ(pieces.value(), whole.value());
  }
  for (const std::size_t at : {std::size_t{0}, std::size_t{500}, std::size_t{999}}) {
    std::string other = text;
    other[at] = static_cast<char>(other[at] + 1);
    TextHash changed;
    changed.add(other);
    EXPECT_NE(changed.value(), whole.value()) << at;
  }
  EXPECT_NE(TextHash().value(), [] {
    TextHash zero;
    zero.add(std::string_view("\0", 1));
    return zero.value();
  }());
}

TEST(TokenStore, EveryWidthHoldsItsLargestId) {
  for (const auto& [vocabulary, width] :
       {std::pair{std::int64_t{2}, 1}, {256, 1}, {257, 2}, {65536, 2}, {65537, 4}}) {
    EXPECT_EQ(token_width(vocabulary), width);
    TokenWriter writer(vocabulary);
    const std::vector<std::int32_t> ids = {0, static_cast<std::int32_t>(vocabulary - 1), 1};
    for (int n = 0; n < 400000; ++n) {
      writer.append(ids);
    }
    const TokenStore store = writer.finish();
    ASSERT_EQ(store.size(), 1200000);
    for (std::int64_t n = 0; n < store.size(); ++n) {
      ASSERT_EQ(store[n], ids[static_cast<std::size_t>(n % 3)]) << n;
    }
  }
}

TEST(TokenStore, TemporaryFilesHaveNoNameAndLieWhereTmpdirSays) {
  const TemporaryFolder folder;
  const char* before = std::getenv("TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  setenv("TMPDIR", folder.path().c_str(), 1);
  {
    TokenWriter writer(256);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  }
  setenv("TMPDIR", (folder / "missing").c_str(), 1);
  EXPECT_TRUE(refuses<FileError>([] { TokenWriter writer(256); }, {folder / "missing", "TMPDIR"}));
  if (before == nullptr) {
    unsetenv("TMPDIR");
  } else {
    setenv("TMPDIR", kept.c_str(), 1);
  }
}

// A limit on the size of files stands for a disk that is full.
TEST(TokenStore, AFullDiskIsAnErrorThatSaysWhatToDo) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 1 << 20;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const bool refused = refuses<FileError>(
      [] {
        TokenWriter writer(256);
        writer.append(std::vector<std::int32_t>(3 << 20, 7));
      },
      {"cannot be written", "make room", "TMPDIR"});
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_TRUE(refused);
}

TEST(Corpus, ProgressIsToldAndCanStop) {
  const TemporaryFolder folder;
  write_bytes(folder / "text", std::string(5 << 20, 'x'));
  write_gzip(folder / "packed", std::string(5 << 20, 'x'));
  for (const char* name : {"text", "packed"}) {
    std::int64_t last = -1;
    int calls = 0;
    const auto progress = [&](const std::string& what, std::int64_t done, std::int64_t total) {
      EXPECT_EQ(what, "reading " + (folder / name));
      EXPECT_TRUE(done >= last && done <= total) << done;
      last = done;
      return ++calls < 3;
    };
    EXPECT_THROW(read_corpus(folder / name, ByteTokenizer(), progress), PreparationStopped);
    EXPECT_EQ(calls, 3);
  }
}

TEST(MappedFile, AChangeUnderneathIsNoticed) {
  const TemporaryFolder folder;
  const std::string path = folder / "text";
  write_bytes(path, "some text");
  const MappedFile file(path);
  EXPECT_NO_THROW(file.check_unchanged());
  std::filesystem::resize_file(path, 4);
  EXPECT_TRUE(refuses<FileError>([&] { file.check_unchanged(); },
                                 {path, "was changed", "had 9 bytes", "has 4"}));
  EXPECT_TRUE(refuses<FileError>([&] { MappedFile missing(folder / "missing"); },
                                 {folder / "missing", "cannot be read"}));
}

}  // namespace
}  // namespace basin::tasks
