// The thresholds of top-k on a GPU: for each query the k-th largest score of the keys that it sees,
// exact to the bit. What is below it takes no part in the loops of softmax (gathered_walk.cuh).
//
// Scores are not stored. They are made tile by tile as those loops make them, in two passes for
// most shapes: a sample of the keys says between which two numbers a threshold very likely lies,
// and a pass over all of them counts what is above and lists what is between. Few keys are listed
// at once. A row whose guess was wrong, or whose list is too short, costs its tile of queries a
// further pass between nearer bounds.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/association/visibility.h"
#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// Query `at` of all (B, H, L) gets the least score that top-k keeps at thresholds[stride at]; -inf
/// where it keeps all keys, or sees a NaN.
struct RetrievalThresholds {
  HeadView q, k;
  const void* beta;
  Visibility visibility;
  void* thresholds;
  std::int64_t stride;
  const void* statistics;  ///< of a forward pass (retrieval.h), as a first guess; or null
  void* workspace;         ///< retrieval_thresholds_workspace() bytes
  std::int64_t B, H, D, Dv;
  DType dtype;  ///< f32 or f64
};

/// D and Dv are at most 256, and there is a top-k.
std::int64_t retrieval_thresholds_workspace(const RetrievalThresholds&, const SimtContext&);
std::int64_t retrieval_thresholds_workspace(const RetrievalThresholds&, const CudaContext&);
Status find_retrieval_thresholds(const char* name, const RetrievalThresholds&, const SimtContext&);
Status find_retrieval_thresholds(const char* name, const RetrievalThresholds&, const CudaContext&);

}  // namespace basin::kernels
