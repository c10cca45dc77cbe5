// Which tokens examples show and count, for every small length, stride and document.
#include "tasks/text/chunks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace basin::tasks {
namespace {

// How often each token up to `size` is a counted target.
std::vector<int> times_counted(const Chunks& chunks, std::int64_t length, std::int64_t size) {
  std::vector<int> times(static_cast<std::size_t>(size), 0);
  for (std::int64_t n = 0; n < chunks.count(); ++n) {
    const Chunk chunk = chunks[n];
    int counted = 0;
    for (std::int64_t at = chunk.counted_from; at < chunk.begin + length && at + 1 < chunk.end;
         ++at) {
      ++times[static_cast<std::size_t>(at + 1)];
      ++counted;
    }
    EXPECT_GE(counted, 1) << "chunk " << n << " counts nothing";
    EXPECT_GE(chunk.counted_from, chunk.begin);
  }
  return times;
}

TEST(Chunks, EvaluationCountsEveryTokenButTheFirstOfADocumentOnce) {
  for (std::int64_t length = 1; length <= 9; ++length) {
    for (std::int64_t stride = 1; stride <= length; ++stride) {
      for (std::int64_t size = 1; size <= 40; ++size) {
        // Documents of all kinds of sizes, the shortest of one token.
        const std::vector<Document> documents = {
            {0, size}, {size, size + 1}, {size + 1, size + 3}, {size + 3, 2 * size + 3}};
        const Chunks chunks(documents, length, stride, Chunks::Use::evaluation);
        std::vector<int> expected(static_cast<std::size_t>(2 * size + 3), 1);
        for (const Document& document : documents) {
          expected[static_cast<std::size_t>(document.begin)] = 0;
        }
        ASSERT_EQ(times_counted(chunks, length, 2 * size + 3), expected)
            << "length " << length << ", stride " << stride << ", size " << size;
      }
    }
  }
}

TEST(Chunks, EvaluationGivesEveryTargetAsMuchContextAsFits) {
  const std::int64_t length = 8;
  const std::int64_t stride = 3;
  const Chunks chunks({{5, 45}}, length, stride, Chunks::Use::evaluation);
  for (std::int64_t n = 1; n < chunks.count(); ++n) {
    EXPECT_EQ(chunks[n].counted_from - chunks[n].begin, length - stride);
  }
  EXPECT_EQ(chunks[0].counted_from, chunks[0].begin);
}

TEST(Chunks, TrainingTakesEveryWholeChunkAndNothingAcrossABorder) {
  for (std::int64_t length = 1; length <= 7; ++length) {
    for (std::int64_t stride = 1; stride <= length; ++stride) {
      for (std::int64_t size = 1; size <= 30; ++size) {
        std::vector<std::int64_t> begins;
        for (const std::int64_t document : {std::int64_t{0}, size}) {
          for (std::int64_t at = 0; at + length + 1 <= size; at += stride) {
            begins.push_back(document + at);
          }
        }
        const Chunks chunks({{0, size}, {size, 2 * size}}, length, stride, Chunks::Use::training);
        ASSERT_EQ(chunks.count(), static_cast<std::int64_t>(begins.size()));
        for (std::int64_t n = 0; n < chunks.count(); ++n) {
          ASSERT_EQ(chunks[n].begin, begins[static_cast<std::size_t>(n)]);
          ASSERT_EQ(chunks[n].counted_from, chunks[n].begin);
          ASSERT_EQ(chunks[n].end, chunks[n].begin < size ? size : 2 * size);
        }
      }
    }
  }
}

TEST(Chunks, ShortDocumentsArePaddedWhereThatIsAskedFor) {
  // Documents of 1, 2, 5 and 12 tokens; a chunk and its last target are 6.
  const std::vector<Document> documents = {{0, 1}, {1, 3}, {3, 8}, {8, 20}};
  const Chunks whole(documents, 5, 5, Chunks::Use::training);
  const Chunks all(documents, 5, 5, Chunks::Use::training_with_short);
  EXPECT_EQ(whole.count(), 2);
  ASSERT_EQ(all.count(), 4);
  EXPECT_EQ(all[0].begin, 1);
  EXPECT_EQ(all[0].end, 3);
  EXPECT_EQ(all[1].begin, 3);
  EXPECT_EQ(all[2].begin, 8);
  EXPECT_EQ(all[3].begin, 13);
}

TEST(Chunks, NothingGivesNothing) {
  EXPECT_EQ(Chunks().count(), 0);
  EXPECT_EQ(Chunks({}, 4, 4, Chunks::Use::evaluation).count(), 0);
  EXPECT_EQ(Chunks({{3, 3}, {3, 4}}, 4, 4, Chunks::Use::evaluation).count(), 0);
}

}  // namespace
}  // namespace basin::tasks
