// Which tokens an example shows, and which of them it is judged by.
#pragma once

#include <cstdint>
#include <vector>

namespace basin::tasks {

/// Tokens begin ... end - 1 of a text that belong together: no example crosses a border.
struct Document {
  std::int64_t begin = 0, end = 0;
};

/// An example: tokens `begin` ... `begin + length - 1`, as far as they lie before `end`. The token
/// at p has a target, the token at p + 1, if p >= counted_from and p + 1 < end.
struct Chunk {
  std::int64_t begin = 0, counted_from = 0, end = 0;
};

/// Documents as chunks of `length` tokens that begin `stride` apart, 1 <= stride <= length. A
/// document of one token has nothing to predict and gives none.
class Chunks {
 public:
  enum class Use : std::uint8_t {
    /// Whole chunks, all of whose targets count; the short rest of a document is left out.
    training,
    /// The same, but a document that is shorter than one chunk is one, with padding.
    training_with_short,
    /// Every token of a document but its first is a target exactly once: from the second chunk on
    /// only the last `stride` positions count, and the last chunk is padded. The others are context
    /// (sliding-window evaluation).
    evaluation,
  };

  Chunks() = default;
  Chunks(std::vector<Document> documents, std::int64_t length, std::int64_t stride, Use use);

  std::int64_t count() const { return before_.empty() ? 0 : before_.back(); }
  /// 0 <= number < count().
  Chunk operator[](std::int64_t number) const;
  const std::vector<Document>& documents() const { return documents_; }

 private:
  std::int64_t count_in(const Document& document) const;

  std::vector<Document> documents_;
  std::vector<std::int64_t> before_;  // chunks up to the end of each document
  std::int64_t length_ = 1, stride_ = 1;
  Use use_ = Use::training;
};

}  // namespace basin::tasks
