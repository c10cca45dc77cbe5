#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/recurrent/lstm.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::lstm_table {

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
  std::vector<double> i, f, g, o, c, h;

  Step(const double* x, const double* weight, std::int64_t width, const Step* before) {
    const auto W = static_cast<std::size_t>(width);
    const auto gate = [&](std::size_t number, std::size_t n) {
      double sum = x[number * W + n];
      for (std::size_t k = 0; before != nullptr && k < W; ++k) {
        sum += weight[(number * W + n) * W + k] * before->h[k];
      }
      return sum;
    };
    for (std::size_t n = 0; n < W; ++n) {
      i.push_back(sigmoid(gate(0, n)));
      f.push_back(sigmoid(gate(1, n)));
      g.push_back(std::tanh(gate(2, n)));
      o.push_back(sigmoid(gate(3, n)));
      c.push_back((before != nullptr ? f[n] * before->c[n] : 0.0) + i[n] * g[n]);
      h.push_back(o[n] * std::tanh(c[n]));
    }
  }
};

std::vector<Step> definition(const Problem& s, const double* x, const double* weight,
                             std::int64_t b) {
  std::vector<Step> steps;
  steps.reserve(static_cast<std::size_t>(s.L));  // steps point to the one before
  for (std::int64_t t = 0; t < s.L; ++t) {
    steps.emplace_back(x + (b * s.L + t) * 4 * s.width, weight, s.width,
                       t > 0 ? &steps.back() : nullptr);
  }
  return steps;
}

std::vector<CaseBuffer> inputs(const Problem& s) {
  const double range = 1.0 / std::sqrt(static_cast<double>(s.width));
  return {{"x", Role::input, {s.B, s.L, 4 * s.width}},
          {"weight", Role::input, {4 * s.width, s.width}, -range, range}};
}

LstmForward forward_call(const Problem& s, void* const* d, DType dtype, int variant) {
  return {d[0], d[1], d[2], d[3], d[4], d[5], s.B, s.L, s.width, dtype, variant};
}
LstmBackward backward_call(const Problem& s, void* const* d, DType dtype, int variant) {
  return {d[1], d[3], d[4], d[2], d[6], d[7], s.B, s.L, s.width, dtype, variant};
}

std::int64_t forward_bytes(const Problem& s) {
  void* const nowhere[6] = {};
  const std::int64_t on_cpu = most_bytes(2, [&](DType dtype, int variant) {
    return lstm_forward_workspace(forward_call(s, nowhere, dtype, variant));
  });
  return std::max(on_cpu, most_bytes_on_devices(0, [&](DType dtype, int, const auto& context) {
                    return lstm_forward_workspace(forward_call(s, nowhere, dtype, 0), context);
                  }));
}

KernelCase forward_case(const Problem& s) {
  KernelCase result;
  result.name = extents_name({s.B, s.L, s.width});
  result.buffers = inputs(s);
  result.buffers.push_back({"gates", Role::output, {s.B, s.L, 4 * s.width}});
  result.buffers.push_back({"c", Role::output, {s.B, s.L, s.width}});
  result.buffers.push_back({"h", Role::output, {s.B, s.L, s.width}});
  result.buffers.push_back(workspace_bytes("workspace", forward_bytes(s)));
  const auto run = [s](void* const* d, DType dtype, int variant, const auto& context) {
    return lstm_forward(forward_call(s, d, dtype, variant), context);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [s](void* const* d) {
    const auto W = static_cast<std::size_t>(s.width);
    for (std::int64_t b = 0; b < s.B; ++b) {
      const std::vector<Step> steps = definition(s, doubles(d[0]), doubles(d[1]), b);
      for (std::size_t t = 0; t < steps.size(); ++t) {
        const std::size_t at = (static_cast<std::size_t>(b * s.L) + t) * W;
        for (std::size_t n = 0; n < W; ++n) {
          doubles(d[2])[4 * at + n] = steps[t].i[n];
          doubles(d[2])[4 * at + W + n] = steps[t].f[n];
          doubles(d[2])[4 * at + 2 * W + n] = steps[t].g[n];
          doubles(d[2])[4 * at + 3 * W + n] = steps[t].o[n];
          doubles(d[3])[at + n] = steps[t].c[n];
          doubles(d[4])[at + n] = steps[t].h[n];
        }
      }
    }
  };
  const auto n = static_cast<double>(s.count());
  const auto width = static_cast<double>(s.width);
  result.cost = {8 * n * width, 10 * n + 4 * width * width, 5 * n};
  return result;
}

// The chain rule from every step to its gates and to the step before.
void backward_definition(const Problem& s, const double* x, const double* weight, const double* dh,
                         double* dx) {
  const auto W = static_cast<std::size_t>(s.width);
  for (std::int64_t b = 0; b < s.B; ++b) {
    const std::vector<Step> steps = definition(s, x, weight, b);
    std::vector<double> later_h(W, 0.0);
    std::vector<double> later_c(W, 0.0);
    for (std::size_t t = steps.size(); t-- > 0;) {
      const Step& now = steps[t];
      const std::size_t at = (static_cast<std::size_t>(b * s.L) + t) * W;
      double* da = dx + 4 * at;
      for (std::size_t n = 0; n < W; ++n) {
        const double total = dh[at + n] + later_h[n];
        const double tanh_c = std::tanh(now.c[n]);
        const double dc = later_c[n] + total * now.o[n] * (1 - tanh_c * tanh_c);
        da[n] = dc * now.g[n] * now.i[n] * (1 - now.i[n]);
        da[W + n] = t > 0 ? dc * steps[t - 1].c[n] * now.f[n] * (1 - now.f[n]) : 0.0;
        da[2 * W + n] = dc * now.i[n] * (1 - now.g[n] * now.g[n]);
        da[3 * W + n] = total * tanh_c * now.o[n] * (1 - now.o[n]);
        later_c[n] = dc * now.f[n];
      }
      for (std::size_t k = 0; k < W; ++k) {
        later_h[k] = 0;
        for (std::size_t row = 0; row < 4 * W; ++row) {
          later_h[k] += da[row] * weight[row * W + k];
        }
      }
    }
  }
}

KernelCase backward_case(const Problem& s) {
  KernelCase result;
  result.name = extents_name({s.B, s.L, s.width});
  result.buffers = inputs(s);
  result.buffers.push_back({"dh", Role::input, {s.B, s.L, s.width}});
  result.buffers.push_back({"gates", Role::workspace, {s.B, s.L, 4 * s.width}});
  result.buffers.push_back({"c", Role::workspace, {s.B, s.L, s.width}});
  result.buffers.push_back({"h", Role::workspace, {s.B, s.L, s.width}});
  result.buffers.push_back({"dx", Role::output, {s.B, s.L, 4 * s.width}});
  void* const nowhere[8] = {};
  const std::int64_t bytes = most_bytes(2, [&](DType dtype, int variant) {
    return lstm_backward_workspace(backward_call(s, nowhere, dtype, variant));
  });
  const std::int64_t on_devices =
      most_bytes_on_devices(0, [&](DType dtype, int, const auto& context) {
        return lstm_backward_workspace(backward_call(s, nowhere, dtype, 0), context);
      });
  result.buffers.push_back(
      workspace_bytes("workspace", std::max({bytes, on_devices, forward_bytes(s)})));
  result.prepare = [s](void* const* d, DType dtype, const CpuContext& context) {
    void* const arrays[] = {d[0], d[1], d[3], d[4], d[5], d[7]};
    return lstm_forward(forward_call(s, arrays, dtype, 0), context);
  };
  const auto run = [s](void* const* d, DType dtype, int variant, const auto& context) {
    return lstm_backward(backward_call(s, d, dtype, variant), context);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [s](void* const* d) {
    backward_definition(s, doubles(d[0]), doubles(d[1]), doubles(d[2]), doubles(d[6]));
  };
  const auto n = static_cast<double>(s.count());
  const auto width = static_cast<double>(s.width);
  result.cost = {8 * n * width, 10 * n + 4 * width * width, n};
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
const RegisterKernel forward({"lstm_forward",
                              "long short-term memory, gates i, f, g, o",
                              {{1, "items", "16 batch items share one product per step"},
                               {2, "packed", "weights packed once, gates from registers"}},
                              [](const CpuContext&) { return cases(forward_case); },
                              2e-6,
                              1e-14});

const RegisterKernel backward({"lstm_backward",
                               "gradient of the long short-term memory by x",
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

const RegisterSizes forward_sizes("lstm_forward", kSizes, sized<forward_case>);
const RegisterSizes backward_sizes("lstm_backward", kSizes, sized<backward_case>);

}  // namespace

}  // namespace basin::kernels::lstm_table
