// The retrieval mechanisms in words, for people who choose one.
#pragma once

#include <string>
#include <vector>

namespace basin::nn {

struct Mechanism {
  std::string name;
  std::string how;   ///< the backbone or the options that choose it
  std::string what;  ///< one line
  std::string cost;  ///< one line: what grows with what
};

const std::vector<Mechanism>& mechanisms();

}  // namespace basin::nn
