#include "tasks/tokenizers/bpe_tables.h"

#include <array>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "tasks/tokenizers/in_quotes.h"
#include "tensor/error.h"

namespace basin::tasks {

void check_bpe_tables(const BpeTables& tables) {
  const auto size = static_cast<std::int64_t>(tables.tokens.size());
  std::unordered_set<std::string_view> seen;
  std::array<bool, 256> is_token{};
  for (const std::string& token : tables.tokens) {
    if (token.empty()) {
      fail("[byte pairs] a token is empty");
    }
    if (!seen.insert(token).second) {
      fail("[byte pairs] the token {} is there twice", in_quotes(token));
    }
    if (token.size() == 1) {
      is_token[static_cast<unsigned char>(token.front())] = true;
    }
  }
  for (std::size_t byte = 0; byte < is_token.size(); ++byte) {
    if (!is_token[byte]) {
      fail("[byte pairs] the byte 0x{:02X} is no token", byte);
    }
  }
  std::unordered_set<std::int64_t> pairs;
  for (const BpeMerge& merge : tables.merges) {
    for (const std::int32_t id : {merge.left, merge.right, merge.merged}) {
      if (id < 0 || id >= size) {
        fail("[byte pairs] a merge names id {}; there are {} tokens", id, size);
      }
    }
    const std::string& left = tables.tokens[static_cast<std::size_t>(merge.left)];
    const std::string& right = tables.tokens[static_cast<std::size_t>(merge.right)];
    const std::string& merged = tables.tokens[static_cast<std::size_t>(merge.merged)];
    if (left + right != merged) {
      fail("[byte pairs] {} and {} cannot merge into {}", in_quotes(left), in_quotes(right),
           in_quotes(merged));
    }
    if (!pairs.insert(merge.left * size + merge.right).second) {
      fail("[byte pairs] {} and {} are merged twice", in_quotes(left), in_quotes(right));
    }
  }
}

}  // namespace basin::tasks
