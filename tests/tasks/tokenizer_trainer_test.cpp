// Learning byte pairs.
#include <gtest/gtest.h>

#include <map>

#include "tasks/tokenizers/bpe_trainer.h"
#include "tasks/tokenizers/gpt2_pattern.h"
#include "tasks/tokenizers/gpt2_tokenizer.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/texts.h"

namespace basin::tasks {
namespace {

using test::Random;

BpeTables trained(const std::string& text, const BpeTrainerOptions& options) {
  BpeTrainer trainer(options);
  trainer.add_piece(text, true);
  return trainer.train();
}

// R. Sennrich et al. 2016, algorithm 1: all pairs are counted anew for each merge.
BpeTables reference(const std::string& text, const BpeTrainerOptions& options) {
  BpeTables tables = test::byte_tables();
  std::map<std::string, std::int64_t> pieces;
  for_each_piece(text, true, [&](std::string_view piece) { ++pieces[std::string(piece)]; });
  std::vector<std::pair<std::vector<std::int32_t>, std::int64_t>> words;
  for (const auto& [piece, count] : pieces) {
    words.emplace_back(test::reference_merge(tables, piece), count);
  }
  while (static_cast<std::int64_t>(tables.tokens.size()) < options.vocabulary) {
    // In the order of the pairs: the first of those that are equally frequent is found.
    std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> counts;
    for (const auto& [ids, count] : words) {
      for (std::size_t n = 0; n + 1 < ids.size(); ++n) {
        counts[{ids[n], ids[n + 1]}] += count;
      }
    }
    const auto best =
        std::max_element(counts.begin(), counts.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (best == counts.end() || best->second < options.min_frequency) {
      break;
    }
    const auto [left, right] = best->first;
    const std::string bytes = tables.tokens[static_cast<std::size_t>(left)] +
                              tables.tokens[static_cast<std::size_t>(right)];
    test::add_merge(tables, left, right);
    const auto merged = static_cast<std::int32_t>(
        std::find(tables.tokens.begin(), tables.tokens.end(), bytes) - tables.tokens.begin());
    for (auto& [ids, count] : words) {
      std::vector<std::int32_t> after;
      for (std::size_t n = 0; n < ids.size();) {
        const bool here = n + 1 < ids.size() && ids[n] == left && ids[n + 1] == right;
        after.push_back(here ? merged : ids[n]);
        n += here ? 2 : 1;
      }
      ids = after;
    }
  }
  return tables;
}

void expect_same(const BpeTables& a, const BpeTables& b) {
  EXPECT_EQ(a.tokens, b.tokens);
  ASSERT_EQ(a.merges.size(), b.merges.size());
  for (std::size_t n = 0; n < a.merges.size(); ++n) {
    EXPECT_EQ(a.merges[n].left, b.merges[n].left) << n;
    EXPECT_EQ(a.merges[n].right, b.merges[n].right) << n;
    EXPECT_EQ(a.merges[n].merged, b.merges[n].merged) << n;
  }
}

TEST(BpeTrainer, LearnsAsDefined) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    std::string text;
    // Few letters: many pairs are equally frequent, overlap, or give the same bytes.
    for (std::size_t size = 20 + test::below(400, random); size > 0; --size) {
      text += "aab c"[test::below(seed % 2 == 0 ? 5 : 4, random)];
    }
    const BpeTrainerOptions options = {
        .vocabulary = static_cast<std::int64_t>(256 + test::below(60, random)),
        .min_frequency = static_cast<std::int64_t>(1 + test::below(3, random))};
    SCOPED_TRACE(seed);
    expect_same(trained(text, options), reference(text, options));
  }
}

TEST(BpeTrainer, TheFirstMergesByHand) {
  // Pieces: "low" 1, " low" 2, " lower" 1. l+o and o+w are there 4 times; in GPT-2's order of bytes
  // l comes before o. Then lo+w (4), and of the pairs that are there 3 times blank+low.
  const BpeTables tables = trained("low low low lower", {.vocabulary = 259, .min_frequency = 2});
  ASSERT_EQ(tables.tokens.size(), 259u);
  EXPECT_EQ(tables.tokens[256], "lo");
  EXPECT_EQ(tables.tokens[257], "low");
  EXPECT_EQ(tables.tokens[258], " low");
}

TEST(BpeTrainer, OrderAndCutsOfTheTextDoNotMatter) {
  Random random(5);
  const std::string first = test::random_text(3000, random);
  const std::string second = test::random_text(3000, random);
  const BpeTrainerOptions options = {.vocabulary = 500, .min_frequency = 2};
  BpeTrainer a(options);
  a.add_piece(first, true);
  a.add_piece(second, true);

  BpeTrainer b(options);
  b.add_piece(second, true);
  std::size_t done = 0;
  for (std::size_t known = 0; known < first.size(); known += 77) {
    done += b.add_piece(std::string_view(first).substr(done, known - done), false);
  }
  b.add_piece(std::string_view(first).substr(done), true);
  EXPECT_EQ(a.distinct_pieces(), b.distinct_pieces());
  expect_same(a.train(), b.train());
  expect_same(a.train(), a.train());
}

TEST(BpeTrainer, FilesAreReadBackAndEncodeTheSame) {
  Random random(6);
  const std::string text = test::random_text(20000, random);
  const Gpt2Tokenizer tokenizer(trained(text, {.vocabulary = 700, .min_frequency = 2}));
  EXPECT_GT(tokenizer.vocabulary(), 300);
  const test::TemporaryFolder folder;
  tokenizer.save(folder.path());
  const auto again = make_tokenizer("gpt2", folder.path());
  const std::string other = test::random_text(5000, random) + test::random_bytes(5000, random);
  EXPECT_EQ(again->encode(other), tokenizer.encode(other));
  EXPECT_EQ(again->decode(again->encode(other)), other);
  // What was learned makes the text shorter.
  EXPECT_LT(again->encode(text).size(), text.size() / 2);
}

TEST(BpeTrainer, StopsWhereAskedTo) {
  const std::string text = "abcd abcd abcd abcd efgh";
  EXPECT_EQ(trained(text, {.vocabulary = 256, .min_frequency = 1}).tokens.size(), 256u);
  EXPECT_EQ(trained(text, {.vocabulary = 257, .min_frequency = 1}).tokens.size(), 257u);
  // abcd and " abcd": 4 tokens; nothing of efgh is there twice.
  EXPECT_EQ(trained(text, {.vocabulary = 1000, .min_frequency = 2}).tokens.size(), 260u);
  EXPECT_EQ(trained(text, {.vocabulary = 1000, .min_frequency = 5}).tokens.size(), 256u);
  EXPECT_EQ(trained("", {.vocabulary = 1000, .min_frequency = 1}).tokens.size(), 256u);

  BpeTrainer trainer({.vocabulary = 1000, .min_frequency = 1});
  trainer.add_piece(text, true);
  std::vector<std::int64_t> seen;
  const BpeTables tables = trainer.train([&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(total, 1000);
    seen.push_back(done);
    return done < 258;
  });
  EXPECT_EQ(tables.tokens.size(), 258u);
  EXPECT_EQ(seen, (std::vector<std::int64_t>{256, 257, 258}));
}

TEST(BpeTrainer, RefusesOptionsThatCannotBe) {
  using test::refuses;
  const auto make = [](std::int64_t vocabulary, std::int64_t least) {
    return [=] { BpeTrainer trainer({.vocabulary = vocabulary, .min_frequency = least}); };
  };
  EXPECT_TRUE(refuses<Error>(make(255, 2), {"vocabulary", "255"}));
  EXPECT_TRUE(refuses<Error>(make(std::int64_t{1} << 31, 2), {"vocabulary", "2147483648"}));
  EXPECT_TRUE(refuses<Error>(make(300, 0), {"frequency", "0"}));
}

}  // namespace
}  // namespace basin::tasks
