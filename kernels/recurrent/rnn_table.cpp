#include <algorithm>
#include <cmath>

#include "kernels/recurrent/rnn.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::rnn_table {

namespace {

using Role = CaseBuffer::Role;

struct Problem {
  Nonlinearity nonlinearity;
  std::int64_t B, L, width;

  std::string name() const {
    const std::string prefix = nonlinearity == Nonlinearity::tanh ? "tanh_" : "relu_";
    return prefix + extents_name({B, L, width});
  }
  // |W h| stays near |h|: neither vanishing nor exploding over L steps.
  double weight_range() const { return 1.0 / std::sqrt(static_cast<double>(width)); }
  std::int64_t count() const { return B * L * width; }
};

// Batches around the 16 items that go through time together.
constexpr Problem kProblems[] = {
    {Nonlinearity::tanh, 1, 1, 1},    {Nonlinearity::tanh, 3, 7, 5},
    {Nonlinearity::tanh, 16, 5, 33},  {Nonlinearity::tanh, 37, 21, 19},
    {Nonlinearity::relu, 1, 1, 1},    {Nonlinearity::relu, 3, 7, 5},
    {Nonlinearity::relu, 37, 21, 19},
};

// h_t[c] = f(x_t[c] + sum over k of W[c, k] h_(t-1)[k]).
void definition(const Problem& s, const double* x, const double* weight, double* h) {
  for (std::int64_t b = 0; b < s.B; ++b) {
    for (std::int64_t t = 0; t < s.L; ++t) {
      const std::int64_t at = (b * s.L + t) * s.width;
      for (std::int64_t c = 0; c < s.width; ++c) {
        double sum = x[at + c];
        for (std::int64_t k = 0; t > 0 && k < s.width; ++k) {
          sum += weight[c * s.width + k] * h[at - s.width + k];
        }
        h[at + c] = s.nonlinearity == Nonlinearity::tanh ? std::tanh(sum) : std::fmax(sum, 0.0);
      }
    }
  }
}

RnnForward forward_call(const Problem& s, void* const* d, void* workspace, DType dtype,
                        int variant) {
  return {d[0], d[1], d[2], workspace, s.B, s.L, s.width, s.nonlinearity, dtype, variant};
}
RnnBackward backward_call(const Problem& s, void* const* d, DType dtype, int variant) {
  return {d[2], d[1], d[3], d[4], d[5], s.B, s.L, s.width, s.nonlinearity, dtype, variant};
}

std::vector<CaseBuffer> inputs(const Problem& s) {
  return {{"x", Role::input, {s.B, s.L, s.width}},
          {"weight", Role::input, {s.width, s.width}, -s.weight_range(), s.weight_range()}};
}

std::int64_t forward_bytes(const Problem& s) {
  void* const nowhere[3] = {};
  const std::int64_t on_cpu = most_bytes(2, [&](DType dtype, int variant) {
    return rnn_forward_workspace(forward_call(s, nowhere, nullptr, dtype, variant));
  });
  return std::max(on_cpu, most_bytes_on_devices(0, [&](DType dtype, int, const auto& context) {
                    return rnn_forward_workspace(forward_call(s, nowhere, nullptr, dtype, 0),
                                                 context);
                  }));
}

KernelCase forward_case(const Problem& s) {
  KernelCase result;
  result.name = s.name();
  result.buffers = inputs(s);
  result.buffers.push_back({"h", Role::output, {s.B, s.L, s.width}});
  result.buffers.push_back(workspace_bytes("workspace", forward_bytes(s)));
  const auto run = [s](void* const* d, DType dtype, int variant, const auto& context) {
    return rnn_forward(forward_call(s, d, d[3], dtype, variant), context);
  };
  result.run = run;
  set_device_runs(result, run);
  result.reference = [s](void* const* d) {
    definition(s, doubles(d[0]), doubles(d[1]), doubles(d[2]));
  };
  const auto n = static_cast<double>(s.count());
  const auto width = static_cast<double>(s.width);
  result.cost = {2 * n * width, 2 * n + width * width,
                 s.nonlinearity == Nonlinearity::tanh ? n : 0};
  return result;
}

// The chain rule pushed from every h_t to its inputs, time after time.
void backward_definition(const Problem& s, const double* h, const double* weight, const double* dh,
                         double* dx) {
  std::vector<double> later(static_cast<std::size_t>(s.width));
  for (std::int64_t b = 0; b < s.B; ++b) {
    later.assign(later.size(), 0.0);
    for (std::int64_t t = s.L - 1; t >= 0; --t) {
      const std::int64_t at = (b * s.L + t) * s.width;
      for (std::int64_t c = 0; c < s.width; ++c) {
        const double slope = s.nonlinearity == Nonlinearity::tanh ? 1 - h[at + c] * h[at + c]
                                                                  : (h[at + c] > 0 ? 1 : 0);
        dx[at + c] = slope * (dh[at + c] + later[static_cast<std::size_t>(c)]);
      }
      for (std::int64_t k = 0; k < s.width; ++k) {
        double sum = 0;
        for (std::int64_t c = 0; c < s.width; ++c) {
          sum += dx[at + c] * weight[c * s.width + k];
        }
        later[static_cast<std::size_t>(k)] = sum;
      }
    }
  }
}

KernelCase backward_case(const Problem& s) {
  KernelCase result;
  result.name = s.name();
  result.buffers = inputs(s);
  result.buffers.push_back({"h", Role::input, {s.B, s.L, s.width}});
  result.buffers.push_back({"dh", Role::input, {s.B, s.L, s.width}});
  result.buffers.push_back({"dx", Role::output, {s.B, s.L, s.width}});
  void* const nowhere[6] = {};
  const std::int64_t bytes = most_bytes(2, [&](DType dtype, int variant) {
    return rnn_backward_workspace(backward_call(s, nowhere, dtype, variant));
  });
  const std::int64_t on_devices =
      most_bytes_on_devices(0, [&](DType dtype, int, const auto& context) {
        return rnn_backward_workspace(backward_call(s, nowhere, dtype, 0), context);
      });
  result.buffers.push_back(
      workspace_bytes("workspace", std::max({bytes, on_devices, forward_bytes(s)})));
  result.prepare = [s](void* const* d, DType dtype, const CpuContext& context) {
    return rnn_forward(forward_call(s, d, d[5], dtype, 0), context);
  };
  const auto run = [s](void* const* d, DType dtype, int variant, const auto& context) {
    return rnn_backward(backward_call(s, d, dtype, variant), context);
  };
  result.run = run;
  set_device_runs(result, run);
  // From the given h rather than from x: a relu that rounding put on the other side of 0 would
  // change a gradient by much more than rounding.
  result.reference = [s](void* const* d) {
    backward_definition(s, doubles(d[2]), doubles(d[1]), doubles(d[3]), doubles(d[4]));
  };
  const auto n = static_cast<double>(s.count());
  const auto width = static_cast<double>(s.width);
  result.cost = {2 * n * width, 3 * n + width * width, 0};
  return result;
}

std::vector<KernelCase> cases(KernelCase (*make)(const Problem&)) {
  std::vector<KernelCase> all;
  for (const Problem& s : kProblems) {
    all.push_back(make(s));
  }
  return all;
}

// f32: 21 steps, each a product over at most 33 numbers below 1 and a tanh of 2e-7.
const RegisterKernel forward({"rnn_forward",
                              "h_t = f(x_t + W h_(t-1)), f = tanh or relu",
                              {{1, "items", "16 batch items share one product per step"},
                               {2, "packed", "weights packed once, gates from registers"}},
                              [](const CpuContext&) { return cases(forward_case); },
                              2e-6,
                              1e-14});

const RegisterKernel backward({"rnn_backward",
                               "gradient of the recurrence by x",
                               {{1, "items", "16 batch items share one product per step"},
                                {2, "packed", "weights packed once, gates from registers"}},
                               [](const CpuContext&) { return cases(backward_case); },
                               2e-6,
                               1e-14});

const std::vector<SizeParameter> kSizes = {{"B", 16, "batch items"},
                                           {"L", 256, "steps"},
                                           kept_size("width", 256, "hidden units"),
                                           choice("f", "nonlinearity", {"tanh", "relu"})};

template <KernelCase (*make)(const Problem&)>
KernelCase sized(const Sizes& s, const CpuContext&) {
  return make({s.at("f") == 0 ? Nonlinearity::tanh : Nonlinearity::relu, s.at("B"), s.at("L"),
               s.at("width")});
}

const RegisterSizes forward_sizes("rnn_forward", kSizes, sized<forward_case>);
const RegisterSizes backward_sizes("rnn_backward", kSizes, sized<backward_case>);

}  // namespace

}  // namespace basin::kernels::rnn_table
