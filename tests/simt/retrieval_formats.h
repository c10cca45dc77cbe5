// Softmax retrieval on a GPU in all ways it is multiplied, under every visibility.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/association/retrieval_case.h"

namespace basin::kernels {

/// What arrays hold and how they are multiplied, with the tolerances of the table
/// (retrieval_table.cpp, retrieval_tensor_table.cpp).
struct Format {
  const char* name;
  DType dtype;
  std::optional<TensorProducts> on_tensor_cores;
  double forward, backward;
};
inline constexpr Format kF32{"f32", DType::f32, {}, 5e-6, 5e-5};
inline constexpr Format kF64{"f64", DType::f64, {}, 1e-13, 1e-11};
inline constexpr Format kBf16{"bf16", DType::bf16, TensorProducts::bf16, kNaiveErrors,
                              kNaiveErrors};
inline constexpr Format kTf32{"tf32", DType::f32, TensorProducts::tf32, kNaiveErrors, kNaiveErrors};
inline constexpr Format kSplit{"split", DType::f32, TensorProducts::split, 5e-6, 5e-5};
inline constexpr Format kFormats[] = {kF32, kF64, kBf16, kTf32, kSplit};

inline bool is_f32_on_tensor_cores(const Format& format) {
  return format.on_tensor_cores && *format.on_tensor_cores != TensorProducts::bf16;
}

inline KernelCase forward_in(const Format& format, const RetrievalProblem& p,
                             const CpuContext& cpu) {
  return format.on_tensor_cores ? retrieval_tensor_forward_case(*format.on_tensor_cores, p, cpu)
                                : retrieval_forward_case(p, cpu);
}
inline KernelCase backward_in(const Format& format, const RetrievalProblem& p,
                              const CpuContext& cpu) {
  return format.on_tensor_cores ? retrieval_tensor_backward_case(*format.on_tensor_cores, p, cpu)
                                : retrieval_backward_case(p, cpu);
}

struct Named {
  std::string name;
  void (*change)(RetrievalProblem&);
};

/// What hides keys beside causality and padding.
inline const std::vector<Named>& visibilities() {
  static const std::vector<Named> all = {
      {"all", [](RetrievalProblem&) {}},
      {"window", [](RetrievalProblem& p) { p.seen.radius = 9; }},
      {"window_of_one", [](RetrievalProblem& p) { p.seen.radius = 0; }},
      {"window_global",
       [](RetrievalProblem& p) {
         p.seen.radius = 6;
         p.seen.global_tokens = 70;
       }},
      {"window_dilated_global",
       [](RetrievalProblem& p) {
         p.seen.radius = 5;
         p.seen.dilation = 3;
         p.seen.global_tokens = 4;
       }},
      {"random_elements",
       [](RetrievalProblem& p) {
         p.seen.random_key = 3;
         p.seen.keep_below = keep_bound(0.3);
       }},
      {"random_tiles",
       [](RetrievalProblem& p) {
         p.seen.random_key = 4;
         p.seen.keep_below = keep_bound(0.15);
         p.seen.query_shift = 6;
       }},
      {"random_tiles_of_pairs",  // 128 queries share draws for four keys
       [](RetrievalProblem& p) {
         p.seen.random_key = 5;
         p.seen.keep_below = keep_bound(0.4);
         p.seen.query_shift = 7;
         p.seen.key_shift = 2;
       }},
      {"random_tiles_mostly_kept",
       [](RetrievalProblem& p) {
         p.seen.random_key = 6;
         p.seen.keep_below = keep_bound(0.9);
         p.seen.query_shift = 6;
       }},
      {"random_blocks",
       [](RetrievalProblem& p) {
         p.seen.random_key = 7;
         p.seen.keep_below = keep_bound(0.4);
         p.seen.query_shift = 6;
         p.seen.key_shift = 6;
       }},
      {"random_small_blocks",
       [](RetrievalProblem& p) {
         p.seen.random_key = 8;
         p.seen.keep_below = keep_bound(0.4);
         p.seen.query_shift = 2;
         p.seen.key_shift = 1;
       }},
      {"random_keeps_nothing",
       [](RetrievalProblem& p) {
         p.seen.random_key = 9;
         p.seen.keep_below = 0;
         p.seen.query_shift = 6;
       }},
      {"mask",
       [](RetrievalProblem& p) {
         p.mask_heads = p.shape.H;
         const std::int64_t L = p.shape.L;
         const std::int64_t M = p.shape.M;
         for (std::int64_t n = 0; n < p.shape.H * L * M; ++n) {
           const std::int64_t i = n / M % L;
           const std::int64_t j = n % M;
           // Every eleventh query sees nothing; no query sees keys 64 ... 95.
           const bool hidden = i % 11 == 3 || (j >= 64 && j < 96);
           p.mask.push_back(!hidden && (n * n + n / 7) % 3 != 0 ? 1 : 0);
         }
       }},
      {"window_random_tiles_mask",
       [](RetrievalProblem& p) {
         p.seen.radius = 40;
         p.seen.global_tokens = 3;
         p.seen.random_key = 10;
         p.seen.keep_below = keep_bound(0.5);
         p.seen.query_shift = 6;
         for (std::int64_t n = 0; n < p.shape.L * p.shape.M; ++n) {
           p.mask.push_back(n % 5 == 0 ? 0 : 1);
         }
       }},
      {"window_random_elements_mask",
       [](RetrievalProblem& p) {
         p.seen.radius = 20;
         p.seen.dilation = 2;
         p.seen.random_key = 11;
         p.seen.keep_below = keep_bound(0.6);
         for (std::int64_t n = 0; n < p.shape.L * p.shape.M; ++n) {
           p.mask.push_back(n % 7 == 0 ? 0 : 1);
         }
       }},
  };
  return all;
}

/// The visibility with and without causality and padding, more keys than queries and fewer, weights
/// dropped and weights of all keys.
inline std::vector<RetrievalProblem> problems_of(const Named& visibility) {
  std::vector<RetrievalProblem> all;
  const auto add = [&](const std::string& name, std::int64_t L, std::int64_t M, auto&& change) {
    RetrievalProblem p{
        .shape = {
            .name = visibility.name + name, .B = 1, .H = 2, .L = L, .M = M, .D = 20, .Dv = 12}};
    change(p);
    visibility.change(p);
    all.push_back(std::move(p));
  };
  const auto pad = [](RetrievalProblem& p, std::int64_t first, std::int64_t second) {
    p.shape.B = 2;
    p.shape.H = 1;
    p.shape.key_lengths = {first, second};
  };
  add("", 70, 150, [](RetrievalProblem&) {});
  add("", 150, 70, [](RetrievalProblem&) {});
  add("_causal", 70, 150, [](RetrievalProblem& p) { p.shape.causal = true; });
  add("_causal_blind", 150, 70, [](RetrievalProblem& p) { p.shape.causal = true; });
  add("_padded", 70, 150, [&](RetrievalProblem& p) { pad(p, 150, 33); });
  add("_causal_padded", 130, 130, [&](RetrievalProblem& p) {
    p.shape.causal = true;
    pad(p, 97, 0);
  });
  add("_normalise_all", 70, 150, [](RetrievalProblem& p) { p.normalise_all = true; });
  add("_normalise_all_causal_padded", 130, 130, [&](RetrievalProblem& p) {
    p.shape.causal = true;
    p.normalise_all = true;
    pad(p, 97, 0);
  });
  add("_dropout_causal", 130, 130, [](RetrievalProblem& p) {
    p.shape.causal = true;
    p.dropout = {0.3, 17};
  });
  add("_dropout_normalise_all", 70, 150, [](RetrievalProblem& p) {
    p.normalise_all = true;
    p.dropout = {0.3, 18};
  });
  return all;
}

}  // namespace basin::kernels
