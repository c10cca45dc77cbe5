// Attention on tensor cores in the kernel table: the cases of attention_forward and
// attention_backward in bf16 and in tf32, judged by what a plain program for that format would be
// off by; and those in f32 made of products in tf32, judged as f32 is.
#include <utility>
#include <vector>

#include "kernels/association/association_case.h"
#include "kernels/association/softmax_attention.h"
#include "kernels/association/tensor_case.h"
#include "kernels/table/kernel_table.h"

namespace basin::kernels {

namespace {

using Problem = AssociationProblem;
using Products = TensorProducts;

constexpr int kSplitVariant = 3;  // of attention on a GPU

// Widths around those that the kernel is compiled for.
std::vector<Problem> problems(Products products) {
  std::vector<Problem> all = association_problems();
  if (products != Products::bf16) {
    // Queries for parts that these kernels do not know, and much work for the executor.
    std::erase_if(all, [](const Problem& s) { return s.L > 700; });
  }
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

void naive(const Problem& s, const NaiveFormat& format, void* const* d, bool forward) {
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
  const NaiveAttention program(s, format, arrays, sees, factor);
  forward ? program.forward() : program.backward();
}

auto naive_pass(const Problem& s, bool forward) {
  return [s, forward](const NaiveFormat& format, void* const* d) { naive(s, format, d, forward); };
}

KernelCase forward_case(const Problem& s, Products products, const CpuContext& context) {
  KernelCase result = attention_forward_case_in(precision_of(products), s, context);
  put_on_tensor_cores(result, products, kSplitVariant, naive_pass(s, true));
  return result;
}

KernelCase backward_case(const Problem& s, Products products, const CpuContext& context) {
  KernelCase result = attention_backward_case_in(precision_of(products), s, context);
  put_on_tensor_cores(result, products, kSplitVariant, naive_pass(s, false));
  // out and lse as the same kernels leave them.
  const KernelCase before = forward_case(s, products, context);
  const bool padded = !s.key_lengths.empty();
  result.prepare = [before, padded](void* const* d, DType dtype, const CpuContext& where) {
    // The forward case has its key lengths behind its workspace.
    std::vector<double> workspace(static_cast<std::size_t>(before.buffers[6].extents[0]));
    void* const arrays[] = {
        d[0], d[1], d[2], d[3], d[4], d[5], workspace.data(), padded ? d[12] : nullptr};
    const Status status = before.prepare(arrays, dtype, where);
    return status.ok() ? before.run_simt(arrays, dtype, 0, SimtContext{}) : status;
  };
  return result;
}

using MakeCase = KernelCase (*)(const Problem&, Products, const CpuContext&);

KernelEntry entry(const char* name, const char* summary, MakeCase make, Products products,
                  double tolerance, std::vector<KernelVariant> variants) {
  return {name,
          summary,
          {},
          [make, products](const CpuContext& context) {
            std::vector<KernelCase> all;
            for (const Problem& s : problems(products)) {
              all.push_back(make(s, products, context));
            }
            return all;
          },
          tolerance,
          0,
          {},
          std::move(variants)};
}

const RegisterKernel forward(
    entry("tensor_attention_forward", "out = softmax(beta q.k) v in bf16, by tensor cores",
          forward_case, Products::bf16, 0,
          {{1, "in turn", "bf16 on tensor cores; weights stay in registers"},
           {2, "pipelined", "the next tile is fetched while one is used"}}));
const RegisterKernel backward(entry("tensor_attention_backward",
                                    "gradients of softmax attention in bf16, by tensor cores",
                                    backward_case, Products::bf16, 0, {}));

const RegisterKernel tf32_forward(entry("tf32_attention_forward",
                                        "out = softmax(beta q.k) v in tf32, by tensor cores",
                                        forward_case, Products::tf32, 0,
                                        {{1, "tf32", "tf32 on tensor cores: f32 in memory"}}));
const RegisterKernel tf32_backward(entry("tf32_attention_backward",
                                         "gradients of softmax attention in tf32, by tensor cores",
                                         backward_case, Products::tf32, 0, {}));

// The tolerances of attention_forward and attention_backward.
const RegisterKernel split_forward(
    entry("split_attention_forward", "out = softmax(beta q.k) v in f32, by three products of tf32",
          forward_case, Products::split, 3e-6,
          {{1, "split", "factors in two parts of tf32 on tensor cores: the bits of f32"}}));
const RegisterKernel split_backward(entry(
    "split_attention_backward", "gradients of softmax attention in f32, by three products of tf32",
    backward_case, Products::split, 3e-5, {}));

template <MakeCase make, Products products>
KernelCase sized(const Sizes& sizes, const CpuContext& context) {
  return make(association_problem(sizes), products, context);
}

template <MakeCase make, Products products>
RegisterSizes sizes_of(const char* name) {
  return {name, association_sizes(), sized<make, products>};
}

const RegisterSizes all_sizes[] = {
    sizes_of<forward_case, Products::bf16>("tensor_attention_forward"),
    sizes_of<backward_case, Products::bf16>("tensor_attention_backward"),
    sizes_of<forward_case, Products::tf32>("tf32_attention_forward"),
    sizes_of<backward_case, Products::tf32>("tf32_attention_backward"),
    sizes_of<forward_case, Products::split>("split_attention_forward"),
    sizes_of<backward_case, Products::split>("split_attention_backward")};

}  // namespace

KernelCase tensor_attention_forward_case(const Problem& s, const CpuContext& context) {
  return forward_case(s, Products::bf16, context);
}

KernelCase tensor_attention_backward_case(const Problem& s, const CpuContext& context) {
  return backward_case(s, Products::bf16, context);
}

}  // namespace basin::kernels
