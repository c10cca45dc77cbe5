// The problems on which retrieval is tested and timed.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/association/association_case.h"
#include "kernels/association/retrieval.h"

namespace basin::kernels {

struct RetrievalProblem {
  AssociationProblem shape;  ///< causality and padding are here
  Separation separation = Separation::softmax;
  std::int64_t degree = 3;
  bool normalise_all = false;
  Visibility seen{};  ///< of this the window, the random mask and top-k
  /// (mask_items, mask_heads, L, M) bytes, or empty.
  std::vector<std::uint8_t> mask{};
  std::int64_t mask_items = 1, mask_heads = 1;
  WeightDropout dropout{};
  std::int64_t update_steps = 1;
  double tolerance = 0;
  /// Where the learned exponents of entmax are drawn from.
  double least_alpha = 1.15, most_alpha = 1.95;

  SeparationRule rule(const void* alpha) const {
    return {separation, alpha, degree, normalise_all};
  }
  Visibility visibility() const {
    Visibility all = seen;
    all.L = shape.L;
    all.M = shape.M;
    all.causal = shape.causal;
    all.key_lengths = shape.lengths();
    if (!mask.empty()) {
      all.mask = mask.data();
      all.mask_head_stride = mask_heads == 1 ? 0 : shape.L * shape.M;
      all.mask_batch_stride = mask_items == 1 ? 0 : mask_heads * shape.L * shape.M;
    }
    return all;
  }
};

/// Kernels read padding and mask where the other arrays lie: in up to two buffers from `at` on, the
/// last ones of a case.
inline void add_visibility(const RetrievalProblem& p, std::vector<CaseBuffer>& all) {
  add_lengths(p.shape, all);
  if (!p.mask.empty()) {
    const auto bytes = static_cast<std::int64_t>(p.mask.size());
    all.push_back(integer_buffer("mask", CaseBuffer::Role::input, {(bytes + 7) / 8}, 0, 0));
  }
}
inline std::size_t mask_place(const RetrievalProblem& p, std::size_t at) {
  return at + (p.shape.key_lengths.empty() ? 0 : 1);
}
inline void fill_visibility(const RetrievalProblem& p, void* const* d, std::size_t at) {
  if (!p.shape.key_lengths.empty()) {
    fill_lengths(p.shape, d, at);
  }
  if (!p.mask.empty()) {
    std::memcpy(d[mask_place(p, at)], p.mask.data(), p.mask.size());
  }
}
inline Visibility visibility_in(const RetrievalProblem& p, void* const* d, std::size_t at) {
  Visibility seen = p.visibility();
  seen.key_lengths = lengths_in(p.shape, d, at);
  seen.mask = p.mask.empty() ? nullptr : static_cast<const std::uint8_t*>(d[mask_place(p, at)]);
  return seen;
}

/// The cases of the table entries, for anybody's arrays: buffers by name, run(data, dtype, variant,
/// context).
KernelCase retrieval_forward_case(const RetrievalProblem&, const CpuContext&);
KernelCase retrieval_backward_case(const RetrievalProblem&, const CpuContext&);
KernelCase retrieval_forward_case_in(Precision, const RetrievalProblem&, const CpuContext&);
KernelCase retrieval_backward_case_in(Precision, const RetrievalProblem&, const CpuContext&);
/// On tensor cores, where tiles_apply_on_device() (retrieval_tiles.h).
KernelCase retrieval_tensor_forward_case(TensorProducts, const RetrievalProblem&,
                                         const CpuContext&);
KernelCase retrieval_tensor_backward_case(TensorProducts, const RetrievalProblem&,
                                          const CpuContext&);

/// Problems of any size, for timing.
std::vector<SizeParameter> retrieval_sizes();
RetrievalProblem retrieval_problem(const Sizes&);

/// Every separation under every visibility, at small sizes.
std::vector<RetrievalProblem> retrieval_problems();

}  // namespace basin::kernels
