#include "kernels/association/retrieval_case.h"

namespace basin::kernels {

namespace {

struct Named {
  const char* name;
  RetrievalProblem problem;
};

// Visibilities, over 2 items and 2 heads of 13 queries and 17 keys.
std::vector<Named> visibilities() {
  const AssociationProblem shape{.name = "", .B = 2, .H = 2, .L = 13, .M = 17, .D = 5, .Dv = 3};
  std::vector<Named> all;
  const auto add = [&](const char* name, auto&& change) {
    RetrievalProblem problem{.shape = shape};
    change(problem);
    all.push_back({name, problem});
  };
  add("all", [](RetrievalProblem&) {});
  add("causal", [](RetrievalProblem& p) { p.shape.causal = true; });
  add("padded", [](RetrievalProblem& p) { p.shape.key_lengths = {17, 6}; });
  add("window", [](RetrievalProblem& p) { p.seen.radius = 2; });
  add("window_causal_padded", [](RetrievalProblem& p) {
    p.seen.radius = 4;
    p.shape.causal = true;
    p.shape.key_lengths = {9, 17};
  });
  add("window_dilated_global", [](RetrievalProblem& p) {
    p.seen.radius = 2;
    p.seen.dilation = 3;
    p.seen.global_tokens = 2;
    p.shape.L = p.shape.M;
  });
  add("random", [](RetrievalProblem& p) {
    p.seen.random_key = 11;
    p.seen.keep_below = keep_bound(0.4);
  });
  add("random_by_tile", [](RetrievalProblem& p) {
    p.seen.random_key = 12;
    p.seen.keep_below = keep_bound(0.5);
    p.seen.query_shift = 2;
    p.shape.causal = true;
  });
  add("random_by_block", [](RetrievalProblem& p) {
    p.seen.random_key = 13;
    p.seen.keep_below = keep_bound(0.5);
    p.seen.query_shift = 2;
    p.seen.key_shift = 2;
  });
  add("top_k", [](RetrievalProblem& p) { p.seen.top_k = 4; });
  add("top_fraction_padded", [](RetrievalProblem& p) {
    p.seen.top_fraction = 0.3;
    p.shape.key_lengths = {5, 17};
  });
  add("top_k_causal", [](RetrievalProblem& p) {
    p.seen.top_k = 3;
    p.shape.causal = true;
  });
  add("mask", [](RetrievalProblem& p) {
    p.mask_heads = 2;
    for (std::int64_t n = 0; n < 2 * 13 * 17; ++n) {
      // The first query of the first head sees nothing.
      p.mask.push_back(n >= 17 && (n * n + n / 3) % 3 != 0 ? 1 : 0);
    }
  });
  add("window_normalise_all", [](RetrievalProblem& p) {
    p.seen.radius = 3;
    p.normalise_all = true;
    p.shape.key_lengths = {17, 11};
  });
  add("top_k_normalise_all", [](RetrievalProblem& p) {
    p.seen.top_k = 5;
    p.normalise_all = true;
  });
  add("dropout", [](RetrievalProblem& p) { p.dropout = {0.4, 21}; });
  add("three_steps", [](RetrievalProblem& p) { p.update_steps = 3; });
  add("settling", [](RetrievalProblem& p) {
    p.update_steps = 7;
    p.tolerance = 0.2;
    p.shape.causal = true;
  });
  return all;
}

// Sizes that cross the tiles of the faster variants.
std::vector<Named> larger() {
  std::vector<Named> all;
  const auto add = [&](const char* name, AssociationProblem shape, auto&& change) {
    RetrievalProblem problem{.shape = std::move(shape)};
    change(problem);
    all.push_back({name, problem});
  };
  add("blocks", {.name = "", .B = 1, .H = 2, .L = 131, .M = 301, .D = 9, .Dv = 7},
      [](RetrievalProblem&) {});
  add("causal_blocks",
      {.name = "", .B = 2, .H = 1, .L = 230, .M = 230, .D = 16, .Dv = 4, .causal = true},
      [](RetrievalProblem& p) {
        p.shape.key_lengths = {230, 139};
      });
  add("interleaved",
      {.name = "", .B = 2, .H = 2, .L = 40, .M = 50, .D = 12, .Dv = 20, .interleaved = true},
      [](RetrievalProblem&) {});
  add("window_blocks", {.name = "", .B = 1, .H = 1, .L = 300, .M = 300, .D = 8, .Dv = 8},
      [](RetrievalProblem& p) { p.seen.radius = 20; });
  add("window_global_blocks",
      {.name = "", .B = 1, .H = 1, .L = 300, .M = 300, .D = 8, .Dv = 8, .causal = true},
      [](RetrievalProblem& p) {
        p.seen.radius = 40;
        p.seen.global_tokens = 3;
      });
  add("random_tiles", {.name = "", .B = 1, .H = 2, .L = 200, .M = 290, .D = 8, .Dv = 8},
      [](RetrievalProblem& p) {
        p.seen.random_key = 5;
        p.seen.keep_below = keep_bound(0.2);
        p.seen.query_shift = 6;
      });
  add("random_blocks", {.name = "", .B = 1, .H = 2, .L = 200, .M = 290, .D = 8, .Dv = 8},
      [](RetrievalProblem& p) {
        p.seen.random_key = 6;
        p.seen.keep_below = keep_bound(0.3);
        p.seen.query_shift = 6;
        p.seen.key_shift = 6;
      });
  add("random_elements",
      {.name = "", .B = 2, .H = 1, .L = 100, .M = 290, .D = 8, .Dv = 8, .causal = true},
      [](RetrievalProblem& p) {
        p.shape.key_lengths = {290, 171};
        p.seen.random_key = 7;
        p.seen.keep_below = keep_bound(0.4);
      });
  add("top_blocks", {.name = "", .B = 1, .H = 1, .L = 150, .M = 290, .D = 8, .Dv = 8},
      [](RetrievalProblem& p) { p.seen.top_fraction = 0.2; });
  add("no_keys", {.name = "", .B = 1, .H = 2, .L = 3, .M = 0, .D = 4, .Dv = 4},
      [](RetrievalProblem&) {});
  return all;
}

const char* name_of(Separation separation) {
  switch (separation) {
    case Separation::softmax: return "softmax";
    case Separation::linear: return "linear";
    case Separation::sparsemax: return "sparsemax";
    case Separation::entmax: return "entmax";
    case Separation::polynomial: return "polynomial";
    case Separation::random_features: return "random_features";
  }
  return "?";
}

}  // namespace

std::vector<RetrievalProblem> retrieval_problems() {
  std::vector<RetrievalProblem> all;
  const auto add = [&](Separation separation, const std::vector<Named>& list, const char* suffix,
                       double least, double most) {
    for (const Named& named : list) {
      RetrievalProblem problem = named.problem;
      problem.separation = separation;
      problem.least_alpha = least;
      problem.most_alpha = most;
      problem.shape.name = std::string(name_of(separation)) + suffix + "_" + named.name;
      all.push_back(std::move(problem));
    }
  };
  for (const Separation separation :
       {Separation::softmax, Separation::sparsemax, Separation::entmax, Separation::polynomial}) {
    add(separation, visibilities(), "", 1.15, 1.95);
    add(separation, larger(), "", 1.15, 1.95);
  }
  add(Separation::entmax, larger(), "15", 1.5, 1.5);
  return all;
}

}  // namespace basin::kernels
