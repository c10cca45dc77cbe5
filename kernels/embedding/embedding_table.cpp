#include <algorithm>

#include "kernels/embedding/embedding.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels {

namespace {

using Role = CaseBuffer::Role;

struct Shape {
  std::int64_t count, vocabulary, width;
};
// The third repeats every id about a hundred times and the fourth about a thousand times; the fifth
// has ids that never come, and the last a table that is much larger than what is added.
constexpr Shape kShapes[] = {{1, 1, 1},     {7, 5, 3},       {701, 7, 33},
                             {3000, 3, 70}, {300, 1009, 64}, {50, 20011, 65}};

CaseBuffer ids_of(Shape s) {
  return integer_buffer("ids", Role::input, {s.count}, 0, static_cast<double>(s.vocabulary - 1));
}

KernelCase forward_case(Shape s) {
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

KernelCase backward_case(Shape s) {
  KernelCase result;
  result.name = extents_name({s.count, s.vocabulary, s.width});
  result.buffers = {
      ids_of(s),
      {"dy", Role::input, {s.count, s.width}},
      {"dtable", Role::output, {s.vocabulary, s.width}},
      workspace_bytes("workspace", embedding_backward_workspace({nullptr, nullptr, nullptr, s.count,
                                                                 s.vocabulary, s.width, DType::f64},
                                                                SimtContext{}))};
  run_on_all_devices(result, [s](void* const* d, DType dtype, const auto& context) {
    return embedding_backward(
        {integers(d[0]), d[1], d[2], s.count, s.vocabulary, s.width, dtype, d[3]}, context);
  });
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

std::vector<KernelCase> cases(KernelCase (*make)(Shape)) {
  std::vector<KernelCase> all;
  for (const Shape s : kShapes) {
    all.push_back(make(s));
  }
  return all;
}

// Rows are copied.
const RegisterKernel forward({"embedding_forward",
                              "y = the rows of a table that ids name",
                              {{1, "rows", "one memcpy for each id"}},
                              [](const CpuContext&) { return cases(forward_case); },
                              0.0,
                              0.0});

// A thousand additions of numbers below 1 into one element, in the order of the reference or not.
const RegisterKernel backward({"embedding_backward",
                               "dtable = the sum of dy by id",
                               {{1, "columns", "threads own columns, ids in order"}},
                               [](const CpuContext&) { return cases(backward_case); },
                               2e-5,
                               1e-13});

const std::vector<SizeParameter> kSizes = {{"tokens", 16384, "ids"},
                                           {"vocabulary", 50257, "rows of the table"},
                                           kept_size("width", 256, "numbers in a row")};

template <KernelCase (*make)(Shape)>
KernelCase sized(const Sizes& s, const CpuContext&) {
  return make({s.at("tokens"), s.at("vocabulary"), s.at("width")});
}

const RegisterSizes forward_sizes("embedding_forward", kSizes, sized<forward_case>);
const RegisterSizes backward_sizes("embedding_backward", kSizes, sized<backward_case>);

}  // namespace

}  // namespace basin::kernels
