// Retrieval on tensor cores in the kernel table: softmax under every visibility in bf16, judged by
// what a plain program for that format would be off by.
#include <algorithm>
#include <vector>

#include "kernels/association/naive_attention.h"
#include "kernels/association/retrieval_case.h"
#include "kernels/association/retrieval_tiles.h"
#include "kernels/table/reference.h"

namespace basin::kernels {

namespace {

using Problem = RetrievalProblem;

// Buffers of retrieval_forward_case().
constexpr std::size_t kWorkspace = 8;

Problem wide_problem(const char* name, std::int64_t L, std::int64_t M, std::int64_t D,
                     std::int64_t Dv) {
  return {.shape = {.name = name, .B = 1, .H = 2, .L = L, .M = M, .D = D, .Dv = Dv}};
}

// Those of retrieval that tensor cores can compute, each compiled width, and queries so few that
// blocks have parts of the keys.
std::vector<Problem> problems() {
  std::vector<Problem> all;
  for (const Problem& p : retrieval_problems()) {
    RetrievalForward call{};
    call.separation = p.rule(nullptr);
    call.visibility = p.visibility();
    call.update_steps = p.update_steps;
    call.D = p.shape.D;
    call.Dv = p.shape.Dv;
    constexpr std::int64_t kMostPairs = 20000;  // larger ones take the executor long
    if (tiles_apply_on_device(call) && p.shape.L * p.shape.M <= kMostPairs) {
      all.push_back(p);
    }
  }
  all.push_back(wide_problem("wide_window", 70, 130, 64, 48));
  all.back().seen.radius = 20;
  all.push_back(wide_problem("wide_tiles", 130, 97, 128, 100));
  all.back().seen.random_key = 2;
  all.back().seen.keep_below = keep_bound(0.3);
  all.back().seen.query_shift = 6;
  all.push_back(wide_problem("widest_dropout", 65, 70, 200, 256));
  all.back().shape.causal = true;
  all.back().dropout = {0.3, 5};
  all.push_back(wide_problem("few_queries", 5, 700, 20, 12));
  all.back().dropout = {0.2, 6};
  all.push_back(wide_problem("few_queries_normalise_all", 9, 560, 33, 70));
  all.back().normalise_all = true;
  all.back().seen.random_key = 3;
  all.back().seen.keep_below = keep_bound(0.4);
  return all;
}

void keep_in_f32(KernelCase& problem) {
  for (CaseBuffer& buffer : problem.buffers) {
    buffer.at_least_f32 = buffer.name == "beta" || buffer.name == "alpha" ||
                          buffer.name == "statistics" || buffer.name == "dbeta" ||
                          buffer.name == "dalpha";
  }
}

void naive(const Problem& p, void* const* d, bool forward) {
  const AssociationProblem& s = p.shape;
  const Visibility seen = p.visibility();
  const auto counted = [&](std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
    return p.normalise_all ? j < seen.length(b) : seen.keep(b, h, i, j);
  };
  const auto factor = [&](std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
    return seen.keep(b, h, i, j) ? p.dropout.factor(b, h, i, j) : 0.0;
  };
  NaiveArrays arrays{.q = d[0], .k = d[1], .v = d[2], .out = d[5], .beta = doubles(d[3])};
  if (!forward) {
    arrays.dout = d[8];
    arrays.dq = d[9];
    arrays.dk = d[10];
    arrays.dv = d[11];
    arrays.dbeta = doubles(d[12]);
    std::fill_n(doubles(d[13]), s.H, 0.0);
  }
  const NaiveAttention program(s, kNaiveBf16, arrays, counted, factor);
  if (forward) {
    std::fill_n(integers(d[7]), s.B * s.H * s.L, std::int64_t{1});
    program.forward();
  } else {
    program.backward();
  }
}

KernelCase forward_case(const Problem& p, const CpuContext& context) {
  KernelCase result = retrieval_forward_case(p, context);
  result.dtypes = {DType::bf16};
  result.run = {};
  keep_in_f32(result);
  result.naive = [p](void* const* d) { naive(p, d, true); };
  result.cost.tensor_cores = true;
  return result;
}

KernelCase backward_case(const Problem& p, const CpuContext& context) {
  KernelCase result = retrieval_backward_case(p, context);
  result.dtypes = {DType::bf16};
  result.run = {};
  keep_in_f32(result);
  // out and statistics as the same kernels leave them.
  const KernelCase before = forward_case(p, context);
  result.prepare = [before](void* const* d, DType dtype, const CpuContext& where) {
    constexpr std::size_t kSeen = 15;
    std::vector<double> workspace(static_cast<std::size_t>(before.buffers[kWorkspace].extents[0]));
    std::vector<void*> arrays(d, d + kWorkspace);
    arrays.push_back(workspace.data());
    // Padding and mask lie behind the workspace in both.
    for (std::size_t n = kWorkspace + 1; n < before.buffers.size(); ++n) {
      arrays.push_back(d[kSeen + n - kWorkspace - 1]);
    }
    const Status status = before.prepare(arrays.data(), dtype, where);
    return status.ok() ? before.run_simt(arrays.data(), dtype, 0, SimtContext{}) : status;
  };
  result.naive = [p](void* const* d) { naive(p, d, false); };
  result.cost.tensor_cores = true;
  return result;
}

std::vector<KernelCase> cases(KernelCase (*make)(const Problem&, const CpuContext&),
                              const CpuContext& context) {
  std::vector<KernelCase> all;
  for (const Problem& p : problems()) {
    all.push_back(make(p, context));
  }
  return all;
}

const RegisterKernel forward({"retrieval_tensor_forward",
                              "out = softmax(beta q.k) v over any visible keys in bf16, by tensor "
                              "cores",
                              {},
                              [](const CpuContext& context) {
                                return cases(forward_case, context);
                              },
                              0,
                              0});

const RegisterKernel backward({"retrieval_tensor_backward",
                               "its gradients in bf16, by tensor cores",
                               {},
                               [](const CpuContext& context) {
                                 return cases(backward_case, context);
                               },
                               0,
                               0});

// Sizes of retrieval that tensor cores can compute.
std::vector<SizeParameter> sizes() {
  std::vector<SizeParameter> all = retrieval_sizes();
  std::erase_if(all, [](const SizeParameter& size) {
    return size.name == "separation" || size.name == "top" || size.name == "steps";
  });
  return all;
}

Problem sized_problem(Sizes s) {
  s["separation"] = 3;  // softmax
  s["top"] = 0;
  s["steps"] = 1;
  return retrieval_problem(s);
}

const RegisterSizes forward_sizes("retrieval_tensor_forward", sizes(),
                                  [](const Sizes& s, const CpuContext& context) {
                                    return forward_case(sized_problem(s), context);
                                  });
const RegisterSizes backward_sizes("retrieval_tensor_backward", sizes(),
                                   [](const Sizes& s, const CpuContext& context) {
                                     return backward_case(sized_problem(s), context);
                                   });

}  // namespace

KernelCase retrieval_tensor_forward_case(const RetrievalProblem& p, const CpuContext& context) {
  return forward_case(p, context);
}

KernelCase retrieval_tensor_backward_case(const RetrievalProblem& p, const CpuContext& context) {
  return backward_case(p, context);
}

}  // namespace basin::kernels
