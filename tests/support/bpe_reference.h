// Byte-pair encoding from its definition, slowly, and small tables to try it on.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tasks/tokenizers/bpe_tables.h"
#include "tasks/tokenizers/byte_alphabet.h"

namespace basin::test {

using Random = std::mt19937_64;

inline std::size_t below(std::size_t n, Random& random) {
  return static_cast<std::size_t>(random() % n);
}

/// The 256 bytes and no merges.
inline tasks::BpeTables byte_tables() {
  tasks::BpeTables tables;
  for (const std::uint8_t byte : tasks::bytes_in_gpt2_order()) {
    tables.tokens.emplace_back(1, static_cast<char>(byte));
  }
  return tables;
}

/// Adds the merge of two tokens, and the token that it gives if that is new. False if the merge is
/// there already.
inline bool add_merge(tasks::BpeTables& tables, std::int32_t left, std::int32_t right) {
  for (const tasks::BpeMerge& merge : tables.merges) {
    if (merge.left == left && merge.right == right) {
      return false;
    }
  }
  const std::string bytes = tables.tokens[static_cast<std::size_t>(left)] +
                            tables.tokens[static_cast<std::size_t>(right)];
  std::size_t id = 0;
  while (id < tables.tokens.size() && tables.tokens[id] != bytes) {
    ++id;
  }
  if (id == tables.tokens.size()) {
    tables.tokens.push_back(bytes);
  }
  tables.merges.push_back({left, right, static_cast<std::int32_t>(id)});
  return true;
}

/// encoder.py of A. Radford et al. 2019, bpe(): of the pairs in the word that merge, the first in
/// the table is merged everywhere, until none is left.
inline std::vector<std::int32_t> reference_merge(const tasks::BpeTables& tables,
                                                 std::string_view word) {
  std::map<std::pair<std::int32_t, std::int32_t>, std::size_t> ranks;
  for (std::size_t rank = 0; rank < tables.merges.size(); ++rank) {
    ranks[{tables.merges[rank].left, tables.merges[rank].right}] = rank;
  }
  std::vector<std::int32_t> ids;
  for (const char c : word) {
    for (std::size_t id = 0; id < tables.tokens.size(); ++id) {
      if (tables.tokens[id] == std::string(1, c)) {
        ids.push_back(static_cast<std::int32_t>(id));
      }
    }
  }
  while (true) {
    std::size_t best = tables.merges.size();
    for (std::size_t n = 0; n + 1 < ids.size(); ++n) {
      const auto found = ranks.find({ids[n], ids[n + 1]});
      best = found != ranks.end() && found->second < best ? found->second : best;
    }
    if (best == tables.merges.size()) {
      return ids;
    }
    const tasks::BpeMerge& merge = tables.merges[best];
    std::vector<std::int32_t> merged;
    for (std::size_t n = 0; n < ids.size();) {
      const bool here = n + 1 < ids.size() && ids[n] == merge.left && ids[n + 1] == merge.right;
      merged.push_back(here ? merge.merged : ids[n]);
      n += here ? 2 : 1;
    }
    ids = std::move(merged);
  }
}

}  // namespace basin::test
