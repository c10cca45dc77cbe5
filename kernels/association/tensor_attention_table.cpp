// Attention on tensor cores in the kernel table: the cases of attention_forward and
// attention_backward in bf16, judged by what a plain program for that format would be off by.
#include <vector>

#include "kernels/association/association_case.h"
#include "kernels/association/naive_attention.h"
#include "kernels/association/softmax_attention.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels {

namespace {

using Problem = AssociationProblem;

// Widths around those that the kernel is compiled for.
std::vector<Problem> problems() {
  std::vector<Problem> all = association_problems();
  all.push_back({.name = "wide", .B = 1, .H = 1, .L = 70, .M = 130, .D = 256, .Dv = 200});
  all.push_back(
      {.name = "half_wide", .B = 1, .H = 2, .L = 65, .M = 129, .D = 128, .Dv = 96, .causal = true});
  // So few queries that blocks have parts of the keys.
  all.push_back({.name = "few_queries", .B = 1, .H = 2, .L = 3, .M = 700, .D = 24, .Dv = 9});
  all.push_back({.name = "few_queries_padded_causal",
                 .B = 3,
                 .H = 1,
                 .L = 70,
                 .M = 530,
                 .D = 33,
                 .Dv = 66,
                 .causal = true,
                 .key_lengths = {530, 300, 0}});
  return all;
}

// What is stored in f32 whatever the format of the rest.
void keep_in_f32(KernelCase& problem) {
  for (CaseBuffer& buffer : problem.buffers) {
    buffer.at_least_f32 = buffer.name == "beta" || buffer.name == "lse" || buffer.name == "dbeta";
  }
}

void naive(const Problem& s, void* const* d, bool forward) {
  const auto sees = [&](std::int64_t b, std::int64_t, std::int64_t i, std::int64_t j) {
    return s.sees(b, i, j);
  };
  const auto factor = [&](std::int64_t b, std::int64_t, std::int64_t i, std::int64_t j) {
    return s.sees(b, i, j) ? 1.0 : 0.0;
  };
  NaiveArrays arrays{.q = d[0], .k = d[1], .v = d[2], .out = d[4], .beta = doubles(d[3])};
  arrays.lse = forward ? doubles(d[5]) : nullptr;
  if (!forward) {
    arrays.dout = d[6];
    arrays.dq = d[7];
    arrays.dk = d[8];
    arrays.dv = d[9];
    arrays.dbeta = doubles(d[10]);
  }
  const NaiveAttention program(s, kNaiveBf16, arrays, sees, factor);
  forward ? program.forward() : program.backward();
}

KernelCase forward_case(const Problem& s, const CpuContext& context) {
  KernelCase result = attention_forward_case(s, context);
  result.dtypes = {DType::bf16};
  result.run = {};
  keep_in_f32(result);
  result.naive = [s](void* const* d) { naive(s, d, true); };
  result.cost.tensor_cores = true;
  return result;
}

KernelCase backward_case(const Problem& s, const CpuContext& context) {
  KernelCase result = attention_backward_case(s, context);
  result.dtypes = {DType::bf16};
  result.run = {};
  keep_in_f32(result);
  // out and lse as the same kernels leave them.
  const KernelCase before = forward_case(s, context);
  const bool padded = !s.key_lengths.empty();
  result.prepare = [before, padded](void* const* d, DType dtype, const CpuContext& where) {
    // The forward case has its key lengths behind its workspace.
    std::vector<double> workspace(static_cast<std::size_t>(before.buffers[6].extents[0]));
    void* const arrays[] = {
        d[0], d[1], d[2], d[3], d[4], d[5], workspace.data(), padded ? d[12] : nullptr};
    const Status status = before.prepare(arrays, dtype, where);
    return status.ok() ? before.run_simt(arrays, dtype, 0, SimtContext{}) : status;
  };
  result.naive = [s](void* const* d) { naive(s, d, false); };
  result.cost.tensor_cores = true;
  return result;
}

std::vector<KernelCase> cases(KernelCase (*make)(const Problem&, const CpuContext&),
                              const CpuContext& context) {
  std::vector<KernelCase> all;
  for (const Problem& s : problems()) {
    all.push_back(make(s, context));
  }
  return all;
}

const RegisterKernel forward({"tensor_attention_forward",
                              "out = softmax(beta q.k) v in bf16, by tensor cores",
                              {},
                              [](const CpuContext& context) {
                                return cases(forward_case, context);
                              },
                              0,
                              0,
                              {},
                              {{1, "in turn", "bf16 on tensor cores; weights stay in registers"},
                               {2, "pipelined", "the next tile is fetched while one is used"}}});

const RegisterKernel backward({"tensor_attention_backward",
                               "gradients of softmax attention in bf16, by tensor cores",
                               {},
                               [](const CpuContext& context) {
                                 return cases(backward_case, context);
                               },
                               0,
                               0});

KernelCase sized_forward(const Sizes& sizes, const CpuContext& context) {
  return forward_case(association_problem(sizes), context);
}

KernelCase sized_backward(const Sizes& sizes, const CpuContext& context) {
  return backward_case(association_problem(sizes), context);
}

const RegisterSizes forward_sizes("tensor_attention_forward", association_sizes(), sized_forward);
const RegisterSizes backward_sizes("tensor_attention_backward", association_sizes(),
                                   sized_backward);

}  // namespace

KernelCase tensor_attention_forward_case(const Problem& s, const CpuContext& context) {
  return forward_case(s, context);
}

KernelCase tensor_attention_backward_case(const Problem& s, const CpuContext& context) {
  return backward_case(s, context);
}

}  // namespace basin::kernels
