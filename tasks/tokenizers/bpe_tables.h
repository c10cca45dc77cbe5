// The tables of a byte-pair encoding, and the files they are kept in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace basin::tasks {

/// Two neighbours that become one token.
struct BpeMerge {
  std::int32_t left = 0, right = 0, merged = 0;  ///< ids
};

struct BpeTables {
  std::vector<std::string> tokens;  ///< the bytes of each id
  std::vector<BpeMerge> merges;  ///< in the order in which they were learned, the strongest first
};

/// Throws Error unless the tables can encode every text: no token is empty or there twice, every
/// byte is a token, no pair is merged twice, and each merge gives the bytes of its two parts.
void check_bpe_tables(const BpeTables& tables);

/// Tables from the contents of GPT-2's two files. vocab.json: one object {"token": id, ...} with
/// the ids 0 to n - 1, each once. merges.txt: the line "#version: 0.2", then a line "left right"
/// per merge. Tokens are spelt as byte_alphabet.h says. Tokens that no merge makes (such as
/// "<|endoftext|>") are allowed; encoding never gives them. Throws FileError with path and line for
/// everything else, whatever the contents are.
BpeTables parse_bpe_tables(std::string_view vocabulary, const std::string& vocabulary_path,
                           std::string_view merges, const std::string& merges_path);

/// Reads vocab.json and merges.txt in `folder`. Throws FileError.
BpeTables read_bpe_tables(const std::string& folder);

/// Writes vocab.json and merges.txt in `folder`, so that read_bpe_tables() gives the same tables.
/// Throws FileError.
void write_bpe_tables(const BpeTables& tables, const std::string& folder);

}  // namespace basin::tasks
