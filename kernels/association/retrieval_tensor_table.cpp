// Retrieval on tensor cores in the kernel table: softmax under every visibility in bf16 and in
// tf32, judged by what a plain program for that format would be off by; and in f32 made of products
// in tf32, judged as f32 is.
#include <algorithm>
#include <vector>

#include "kernels/association/retrieval_case.h"
#include "kernels/association/retrieval_tiles.h"
#include "kernels/association/tensor_case.h"
#include "kernels/table/reference.h"

namespace basin::kernels {

namespace {

using Problem = RetrievalProblem;
using Products = TensorProducts;

constexpr int kSplitVariant = 4;  // of retrieval on a GPU

// Buffers of retrieval_forward_case().
constexpr std::size_t kWorkspace = 8;

Problem wide_problem(const char* name, std::int64_t L, std::int64_t M, std::int64_t D,
                     std::int64_t Dv) {
  return {.shape = {.name = name, .B = 1, .H = 2, .L = L, .M = M, .D = D, .Dv = Dv}};
}

// Those of retrieval that tensor cores can compute, each compiled width, and queries so few that
// blocks have parts of the keys.
std::vector<Problem> problems(Products products) {
  std::vector<Problem> all;
  for (const Problem& p : retrieval_problems()) {
    RetrievalForward call{};
    call.separation = p.rule(nullptr);
    call.visibility = p.visibility();
    call.update_steps = p.update_steps;
    call.D = p.shape.D;
    call.Dv = p.shape.Dv;
    // Larger ones take the executor long. The walks are the same whatever is multiplied.
    const std::int64_t most_pairs = products == Products::bf16 ? 20000 : 500;
    if (tiles_apply_on_device(call) && p.shape.L * p.shape.M <= most_pairs) {
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
  if (products != Products::split) {
    all.push_back(wide_problem("few_queries_normalise_all", 9, 560, 33, 70));
    all.back().normalise_all = true;
    all.back().seen.random_key = 3;
    all.back().seen.keep_below = keep_bound(0.4);
  }
  for (Problem& p : all) {
    if (products != Products::bf16 && p.mask_heads == 1) {
      p.shape.H = 1;  // these take the executor longer
    }
  }
  return all;
}

void naive(const Problem& p, const NaiveFormat& format, void* const* d, bool forward) {
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
  const NaiveAttention program(s, format, arrays, counted, factor);
  if (forward) {
    std::fill_n(integers(d[7]), s.B * s.H * s.L, std::int64_t{1});
    program.forward();
  } else {
    program.backward();
  }
}

auto naive_pass(const Problem& p, bool forward) {
  return [p, forward](const NaiveFormat& format, void* const* d) { naive(p, format, d, forward); };
}

KernelCase forward_case(const Problem& p, Products products, const CpuContext& context) {
  KernelCase result = retrieval_forward_case_in(precision_of(products), p, context);
  put_on_tensor_cores(result, products, kSplitVariant, naive_pass(p, true));
  return result;
}

KernelCase backward_case(const Problem& p, Products products, const CpuContext& context) {
  KernelCase result = retrieval_backward_case_in(precision_of(products), p, context);
  put_on_tensor_cores(result, products, kSplitVariant, naive_pass(p, false));
  // out and statistics as the same kernels leave them.
  const KernelCase before = forward_case(p, products, context);
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
  return result;
}

using MakeCase = KernelCase (*)(const Problem&, Products, const CpuContext&);

KernelEntry entry(const char* name, const char* summary, MakeCase make, Products products,
                  double tolerance) {
  return {name,
          summary,
          {},
          [make, products](const CpuContext& context) {
            std::vector<KernelCase> all;
            for (const Problem& p : problems(products)) {
              all.push_back(make(p, products, context));
            }
            return all;
          },
          tolerance,
          0};
}

const RegisterKernel forward(entry("retrieval_tensor_forward",
                                   "out = softmax(beta q.k) v over any visible keys in bf16, by "
                                   "tensor cores",
                                   forward_case, Products::bf16, 0));
const RegisterKernel backward(entry("retrieval_tensor_backward",
                                    "its gradients in bf16, by tensor cores", backward_case,
                                    Products::bf16, 0));

const RegisterKernel tf32_forward(entry("retrieval_tf32_forward",
                                        "out = softmax(beta q.k) v over any visible keys in tf32, "
                                        "by tensor cores",
                                        forward_case, Products::tf32, 0));
const RegisterKernel tf32_backward(entry("retrieval_tf32_backward",
                                         "its gradients in tf32, by tensor cores", backward_case,
                                         Products::tf32, 0));

// The tolerances of retrieval_forward and retrieval_backward.
const RegisterKernel split_forward(entry("retrieval_split_forward",
                                         "out = softmax(beta q.k) v over any visible keys in f32, "
                                         "by three products of tf32",
                                         forward_case, Products::split, 5e-6));
const RegisterKernel split_backward(entry("retrieval_split_backward",
                                          "its gradients in f32, by three products of tf32",
                                          backward_case, Products::split, 5e-5));

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

template <MakeCase make, Products products>
KernelCase sized(const Sizes& sizes, const CpuContext& context) {
  return make(sized_problem(sizes), products, context);
}

template <MakeCase make, Products products>
RegisterSizes sizes_of(const char* name) {
  return {name, sizes(), sized<make, products>};
}

const RegisterSizes all_sizes[] = {
    sizes_of<forward_case, Products::bf16>("retrieval_tensor_forward"),
    sizes_of<backward_case, Products::bf16>("retrieval_tensor_backward"),
    sizes_of<forward_case, Products::tf32>("retrieval_tf32_forward"),
    sizes_of<backward_case, Products::tf32>("retrieval_tf32_backward"),
    sizes_of<forward_case, Products::split>("retrieval_split_forward"),
    sizes_of<backward_case, Products::split>("retrieval_split_backward")};

}  // namespace

KernelCase retrieval_tensor_forward_case(TensorProducts products, const RetrievalProblem& p,
                                         const CpuContext& context) {
  return forward_case(p, products, context);
}

KernelCase retrieval_tensor_backward_case(TensorProducts products, const RetrievalProblem& p,
                                          const CpuContext& context) {
  return backward_case(p, products, context);
}

}  // namespace basin::kernels
