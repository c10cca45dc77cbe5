#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/recurrent/gru.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::gru_table {

namespace {

using Role = CaseBuffer::Role;

struct Problem {
  std::int64_t B, L, width;
  std::int64_t count() const { return B * L * width; }
};

// Batches around the 16 items that go through time together.
constexpr Problem kProblems[] = {{1, 1, 1}, {3, 7, 5}, {16, 5, 33}, {37, 11, 19}};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// One step of one item by the definition; `before` is the step before, or null.
struct Step {
  std::vector<double> r, z, n, a_n, h;

  Step(const double* x, const double* weight, const double* bias, std::int64_t width,
       const Step* before) {
    const auto W = static_cast<std::size_t>(width);
    const auto recurrent = [&](std::size_t number, std::size_t c) {
      double sum = bias[number * W + c];
      for (std::size_t k = 0; before != nullptr && k < W; ++k) {
        sum += weight[(number * W + c) * W + k] * before->h[k];
      }
      return sum;
    };
    for (std::size_t c = 0; c < W; ++c) {
      r.push_back(sigmoid(x[c] + recurrent(0, c)));
      z.push_back(sigmoid(x[W + c] + recurrent(1, c)));
      a_n.push_back(recurrent(2, c));
      n.push_back(std::tanh(x[2 * W + c] + r[c] * a_n[c]));
      h.push_back((1 - z[c]) * n[c] + (before != nullptr ? z[c] * before->h[c] : 0.0));
    }
  }
};

std::vector<Step> definition(const Problem& s, const double* x, const double* weight,
                             const double* bias, std::int64_t b) {
  std::vector<Step> steps;
  steps.reserve(static_cast<std::size_t>(s.L));  // steps point to the one before
  for (std::int64_t t = 0; t < s.L; ++t) {
    steps.emplace_back(x + (b * s.L + t) * 3 * s.width, weight, bias, s.width,
                       t > 0 ? &steps.back() : nullptr);
  }
  return steps;
}

std::vector<CaseBuffer> inputs(const Problem& s) {
  const double range = 1.0 / std::sqrt(static_cast<double>(s.width));
  return {{"x", Role::input, {s.B, s.L, 3 * s.width}},
          {"weight", Role::input, {3 * s.width, s.width}, -range, range},
          {"bias", Role::input, {3 * s.width}}};
}

GruForward forward_call(const Problem& s, void* const* d, DType dtype, int variant) {
  return {d[0], d[1], d[2], d[3], d[4], d[5], s.B, s.L, s.width, dtype, variant};
}
GruBackward backward_call(const Problem& s, void* const* d, DType dtype, int variant) {
  return {d[1], d[4], d[5], d[3], d[6], d[7], d[8], s.B, s.L, s.width, dtype, variant};
}

std::int64_t forward_bytes(const Problem& s) {
  void* const nowhere[6] = {};
  const std::int64_t on_cpu = most_bytes(2, [&](DType dtype, int variant) {
    return gru_forward_workspace(forward_call(s, nowhere, dtype, variant));
  });
  return std::max(on_cpu, most_bytes_on_devices(0, [&](DType dtype, int, const auto& context) {
                    return gru_forward_workspace(forward_call(s, nowhere, dtype, 0), context);
                  }));
}

KernelCase forward_case(const Problem& s) {
  KernelCase result;
  result.name = extents_name({s.B, s.L, s.width});
  result.buffers = inputs(s);
  result.buffers.push_back({"saved", Role::output, {s.B, s.L, 4 * s.width}});
  result.buffers.push_back({"h", Role::output, {s.B, s.L, s.width}});
  result.buffers.push_back(workspace_bytes("workspace", forward_bytes(s)));
  const auto run = [s](void* const* d, DType dtype, int variant, const auto& context) {
    return gru_forward(forward_call(s, d, dtype, variant), context);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [s](void* const* d) {
    const auto W = static_cast<std::size_t>(s.width);
    for (std::int64_t b = 0; b < s.B; ++b) {
      const std::vector<Step> steps = definition(s, doubles(d[0]), doubles(d[1]), doubles(d[2]), b);
      for (std::size_t t = 0; t < steps.size(); ++t) {
        const std::size_t at = (static_cast<std::size_t>(b * s.L) + t) * W;
        for (std::size_t c = 0; c < W; ++c) {
          doubles(d[3])[4 * at + c] = steps[t].r[c];
          doubles(d[3])[4 * at + W + c] = steps[t].z[c];
          doubles(d[3])[4 * at + 2 * W + c] = steps[t].n[c];
          doubles(d[3])[4 * at + 3 * W + c] = steps[t].a_n[c];
          doubles(d[4])[at + c] = steps[t].h[c];
        }
      }
    }
  };
  const auto n = static_cast<double>(s.count());
  const auto width = static_cast<double>(s.width);
  result.cost = {6 * n * width, 8 * n + 3 * width * width, 3 * n};
  return result;
}

// The chain rule from every step to its gates and to the step before.
void backward_definition(const Problem& s, void* const* d, const double* dh, double* dx,
                         double* da) {
  const double* weight = doubles(d[1]);
  const auto W = static_cast<std::size_t>(s.width);
  for (std::int64_t b = 0; b < s.B; ++b) {
    const std::vector<Step> steps = definition(s, doubles(d[0]), weight, doubles(d[2]), b);
    std::vector<double> later(W, 0.0);
    for (std::size_t t = steps.size(); t-- > 0;) {
      const Step& now = steps[t];
      const std::size_t at = (static_cast<std::size_t>(b * s.L) + t) * W;
      std::vector<double> before(W, 0.0);
      for (std::size_t c = 0; c < W; ++c) {
        const double total = dh[at + c] + later[c];
        const double old = t > 0 ? steps[t - 1].h[c] : 0.0;
        const double dn = total * (1 - now.z[c]) * (1 - now.n[c] * now.n[c]);
        dx[3 * at + c] = dn * now.a_n[c] * now.r[c] * (1 - now.r[c]);
        dx[3 * at + W + c] = total * (old - now.n[c]) * now.z[c] * (1 - now.z[c]);
        dx[3 * at + 2 * W + c] = dn;
        da[3 * at + c] = dx[3 * at + c];
        da[3 * at + W + c] = dx[3 * at + W + c];
        da[3 * at + 2 * W + c] = dn * now.r[c];
        before[c] = total * now.z[c];
      }
      for (std::size_t k = 0; k < W; ++k) {
        for (std::size_t row = 0; row < 3 * W; ++row) {
          before[k] += da[3 * at + row] * weight[row * W + k];
        }
      }
      later = before;
    }
  }
}

KernelCase backward_case(const Problem& s) {
  KernelCase result;
  result.name = extents_name({s.B, s.L, s.width});
  result.buffers = inputs(s);
  result.buffers.push_back({"dh", Role::input, {s.B, s.L, s.width}});
  result.buffers.push_back({"saved", Role::workspace, {s.B, s.L, 4 * s.width}});
  result.buffers.push_back({"h", Role::workspace, {s.B, s.L, s.width}});
  result.buffers.push_back({"dx", Role::output, {s.B, s.L, 3 * s.width}});
  result.buffers.push_back({"da", Role::output, {s.B, s.L, 3 * s.width}});
  void* const nowhere[9] = {};
  const std::int64_t bytes = most_bytes(2, [&](DType dtype, int variant) {
    return gru_backward_workspace(backward_call(s, nowhere, dtype, variant));
  });
  const std::int64_t on_devices =
      most_bytes_on_devices(0, [&](DType dtype, int, const auto& context) {
        return gru_backward_workspace(backward_call(s, nowhere, dtype, 0), context);
      });
  result.buffers.push_back(
      workspace_bytes("workspace", std::max({bytes, on_devices, forward_bytes(s)})));
  result.prepare = [s](void* const* d, DType dtype, const CpuContext& context) {
    void* const arrays[] = {d[0], d[1], d[2], d[4], d[5], d[8]};
    return gru_forward(forward_call(s, arrays, dtype, 0), context);
  };
  const auto run = [s](void* const* d, DType dtype, int variant, const auto& context) {
    return gru_backward(backward_call(s, d, dtype, variant), context);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [s](void* const* d) {
    backward_definition(s, d, doubles(d[3]), doubles(d[6]), doubles(d[7]));
  };
  const auto n = static_cast<double>(s.count());
  const auto width = static_cast<double>(s.width);
  result.cost = {6 * n * width, 12 * n + 3 * width * width, 0};
  return result;
}

std::vector<KernelCase> cases(KernelCase (*make)(const Problem&)) {
  std::vector<KernelCase> all;
  for (const Problem& s : kProblems) {
    all.push_back(make(s));
  }
  return all;
}

// f32: 11 steps, each a product over at most 33 numbers below 1 and exponentials of a few ulp.
const RegisterKernel forward({"gru_forward",
                              "gated recurrent unit, gates r, z, n",
                              {{1, "items", "16 batch items share one product per step"},
                               {2, "packed", "weights packed once, gates from registers"}},
                              [](const CpuContext&) { return cases(forward_case); },
                              2e-6,
                              1e-14});

const RegisterKernel backward({"gru_backward",
                               "gradients of the gated recurrent unit by its two inputs",
                               {{1, "items", "16 batch items share one product per step"},
                                {2, "packed", "weights packed once, gates from registers"}},
                               [](const CpuContext&) { return cases(backward_case); },
                               2e-6,
                               1e-14});

const std::vector<SizeParameter> kSizes = {
    {"B", 16, "batch items"}, {"L", 256, "steps"}, kept_size("width", 256, "hidden units")};

template <KernelCase (*make)(const Problem&)>
KernelCase sized(const Sizes& s, const CpuContext&) {
  return make({s.at("B"), s.at("L"), s.at("width")});
}

const RegisterSizes forward_sizes("gru_forward", kSizes, sized<forward_case>);
const RegisterSizes backward_sizes("gru_backward", kSizes, sized<backward_case>);

}  // namespace

}  // namespace basin::kernels::gru_table
