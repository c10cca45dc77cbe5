#include "tasks/text/chunks.h"

#include <algorithm>
#include <utility>

namespace basin::tasks {

Chunks::Chunks(std::vector<Document> documents, std::int64_t length, std::int64_t stride, Use use)
    : documents_(std::move(documents)), length_(length), stride_(stride), use_(use) {
  std::int64_t total = 0;
  for (const Document& document : documents_) {
    total += count_in(document);
    before_.push_back(total);
  }
}

std::int64_t Chunks::count_in(const Document& document) const {
  const std::int64_t targets = document.end - document.begin - 1;
  if (targets < 1) {
    return 0;
  }
  const std::int64_t rest = targets - length_;  // behind the first chunk
  if (use_ == Use::evaluation) {
    return rest <= 0 ? 1 : 1 + (rest + stride_ - 1) / stride_;
  }
  return rest >= 0 ? 1 + rest / stride_ : use_ == Use::training_with_short ? 1 : 0;
}

Chunk Chunks::operator[](std::int64_t number) const {
  const auto found = std::upper_bound(before_.begin(), before_.end(), number);
  const Document& document = documents_[static_cast<std::size_t>(found - before_.begin())];
  const std::int64_t within = number - (*found - count_in(document));
  Chunk chunk;
  chunk.begin = document.begin + within * stride_;
  chunk.counted_from = chunk.begin;
  chunk.end = document.end;
  if (use_ == Use::evaluation && within > 0) {
    chunk.counted_from += length_ - stride_;
  }
  return chunk;
}

}  // namespace basin::tasks
