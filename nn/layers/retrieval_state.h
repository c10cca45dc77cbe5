// What a retrieval layer keeps of the positions it has seen, to go on one position at a time.
#pragma once

#include "nn/growing_rows.h"

namespace basin::nn {

/// With weights of single keys: all keys and values. Kernelised: a state of fixed size, the sums S
/// and z over the keys so far; of random features each row times e^top (see
/// kernels/association/random_feature_attention.h).
struct RetrievalState {
  GrowingRows keys{2}, values{2};  ///< (B,heads,t,width)
  Tensor matrix;                   ///< S (B,heads,features,Dv)
  Tensor vector;                   ///< z (B,heads,1,features)
  Tensor top;                      ///< (B,heads,1,features), random features only
  std::int64_t positions = 0;
};

}  // namespace basin::nn
