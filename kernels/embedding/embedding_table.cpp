#include <algorithm>

#include "kernels/embedding/embedding.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::embedding_table {

namespace {

using Role = CaseBuffer::Role;

struct Shape {
  std::int64_t count, vocabulary, width;
};
// The third repeats every id about a hundred times and the fourth three of them about a thousand
// times (long segments have a loop of their own); the fifth has ids that never come, and the last a
// table that is too large for the caches.
constexpr Shape kShapes[] = {{1, 1, 1},     {7, 5, 3},       {701, 7, 33},
                             {3000, 3, 70}, {300, 1009, 64}, {50, 20011, 65}};

CaseBuffer ids_of(Shape s) {
  return integer_buffer("ids", Role::input, {s.count}, 0, static_cast<double>(s.vocabulary - 1));
}

KernelCase forward_case(Shape s, const CpuContext&) {
  KernelCase result;
  result.name = extents_name({s.count, s.vocabulary, s.width});
  result.buffers = {ids_of(s),
                    {"table", Role::input, {s.vocabulary, s.width}},
                    {"y", Role::output, {s.count, s.width}}};
  run_on_all_devices(result, [s](void* const* d, DType dtype, const auto& context) {
    return embedding_forward({integers(d[0]), d[1], d[2], s.count, s.vocabulary, s.width, dtype},
                             context);
  });
  result.reference = [s](void* const* d) {
    for (std::int64_t t = 0; t < s.count; ++t) {
      for (std::int64_t c = 0; c < s.width; ++c) {
        doubles(d[2])[t * s.width + c] = doubles(d[1])[integers(d[0])[t] * s.width + c];
      }
    }
  };
  result.cost = {0, 2 * static_cast<double>(s.count * s.width), 0};
  return result;
}

EmbeddingBackward backward_of(Shape s, DType dtype, int variant) {
  EmbeddingBackward p{};
  p.count = s.count;
  p.vocabulary = s.vocabulary;
  p.width = s.width;
  p.dtype = dtype;
  p.variant = variant;
  return p;
}

KernelCase backward_case(Shape s, const CpuContext& context) {
  KernelCase result;
  result.name = extents_name({s.count, s.vocabulary, s.width});
  result.buffers = {ids_of(s),
                    {"dy", Role::input, {s.count, s.width}},
                    {"dtable", Role::output, {s.vocabulary, s.width}},
                    workspace_bytes("workspace", most_bytes(2, [&](DType dtype, int variant) {
                                      const EmbeddingBackward p = backward_of(s, dtype, variant);
                                      return std::max(
                                          embedding_backward_workspace(p, context),
                                          embedding_backward_workspace(p, SimtContext{}));
                                    }))};
  const auto run = [s](void* const* d, DType dtype, int variant, const auto& where) {
    EmbeddingBackward p = backward_of(s, dtype, variant);
    p.ids = integers(d[0]);
    p.dy = d[1];
    p.dtable = d[2];
    p.workspace = d[3];
    return embedding_backward(p, where);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [s](void* const* d) {
    std::fill_n(doubles(d[2]), s.vocabulary * s.width, 0.0);
    for (std::int64_t t = 0; t < s.count; ++t) {
      for (std::int64_t c = 0; c < s.width; ++c) {
        doubles(d[2])[integers(d[0])[t] * s.width + c] += doubles(d[1])[t * s.width + c];
      }
    }
  };
  const auto n = static_cast<double>(s.count * s.width);
  result.cost = {n, n + static_cast<double>(s.vocabulary * s.width), 0};
  return result;
}

std::vector<KernelCase> cases(KernelCase (*make)(Shape, const CpuContext&),
                              const CpuContext& context) {
  std::vector<KernelCase> all;
  for (const Shape s : kShapes) {
    all.push_back(make(s, context));
  }
  return all;
}

// Rows are copied.
const RegisterKernel forward({"embedding_forward",
                              "y = the rows of a table that ids name",
                              {{1, "rows", "one memcpy for each id"}},
                              [](const CpuContext& context) {
                                return cases(forward_case, context);
                              },
                              0.0,
                              0.0});

// f32: a thousand additions of numbers below 1 into one element, in the order of the reference or
// not.
const RegisterKernel backward({"embedding_backward",
                               "dtable = the sum of dy by id",
                               {{1, "columns", "threads own columns, ids in order"},
                                {2, "segments", "positions sorted by id, a row is written once"}},
                               [](const CpuContext& context) {
                                 return cases(backward_case, context);
                               },
                               2e-5,
                               1e-13});

const std::vector<SizeParameter> kSizes = {{"tokens", 16384, "ids"},
                                           {"vocabulary", 50257, "rows of the table"},
                                           kept_size("width", 256, "numbers in a row")};

template <KernelCase (*make)(Shape, const CpuContext&)>
KernelCase sized(const Sizes& s, const CpuContext& context) {
  return make({s.at("tokens"), s.at("vocabulary"), s.at("width")}, context);
}

const RegisterSizes forward_sizes("embedding_forward", kSizes, sized<forward_case>);
const RegisterSizes backward_sizes("embedding_backward", kSizes, sized<backward_case>);

}  // namespace

}  // namespace basin::kernels::embedding_table
