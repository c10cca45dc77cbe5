// Files with a seal that fits, whatever is in them.
#pragma once

#include <span>
#include <string>

#include "tensor/io/file_seal.h"

namespace basin::test {

inline std::string sealed(const std::string& content) {
  return io::seal_of(std::as_bytes(std::span(content))) + content;
}

/// What follows the seal of a whole sealed file.
inline std::string unsealed(const std::string& bytes) { return bytes.substr(io::kSealBytes); }

}  // namespace basin::test
