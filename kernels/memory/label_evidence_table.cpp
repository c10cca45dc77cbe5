#include <cmath>

#include "kernels/memory/label_evidence.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels::label_evidence_table {

namespace {

using Role = CaseBuffer::Role;

struct Problem {
  InteractionOf by;
  std::int64_t B, K, C;
};

double f(const InteractionOf& by, double z) {
  const double y = z / by.scale;
  const auto n = static_cast<double>(by.degree);
  switch (by.kind) {
    case Interaction::power: return std::pow(y, n);
    case Interaction::rectified: return y > 0 ? std::pow(y, n) : 0.0;
    case Interaction::exponential: break;
  }
  return std::exp(n * (y - 1));
}

double slope(const InteractionOf& by, double z) {
  const double y = z / by.scale;
  const auto n = static_cast<double>(by.degree);
  switch (by.kind) {
    case Interaction::power: return n / by.scale * std::pow(y, n - 1);
    case Interaction::rectified: return y > 0 ? n / by.scale * std::pow(y, n - 1) : 0.0;
    case Interaction::exponential: break;
  }
  return n / by.scale * std::exp(n * (y - 1));
}

std::string name_of_case(const Problem& p) {
  constexpr const char* kinds[] = {"power", "rectified", "exponential"};
  return std::string(kinds[static_cast<int>(p.by.kind)]) + " " + std::to_string(p.by.degree) + " " +
         extents_name({p.B, p.K, p.C});
}

// The overlap of row b and memory k with the label `on` turned on, or none for -1.
double overlap(const Problem& p, const double* z, const double* labels, std::int64_t b,
               std::int64_t k, std::int64_t on) {
  double sum = z[b * p.K + k];
  for (std::int64_t c = 0; c < p.C; ++c) {
    sum += (c == on ? 1.0 : -1.0) * labels[k * p.C + c];
  }
  return sum;
}

std::int64_t workspace_of(const Problem& p, bool backward, const CpuContext& context) {
  LabelEvidenceForward forward{};
  LabelEvidenceBackward back{};
  forward.B = back.B = p.B;
  forward.K = back.K = p.K;
  forward.C = back.C = p.C;
  return backward ? label_evidence_workspace(back, context)
                  : label_evidence_workspace(forward, context);
}

double terms(const Problem& p) { return static_cast<double>(p.B * p.K * (p.C + 1)); }
double powers(const Problem& p) { return 2 + 2 * std::log2(static_cast<double>(p.by.degree)); }

KernelCase forward_case(const Problem& p, const CpuContext& context) {
  KernelCase result;
  result.name = name_of_case(p);
  const double range = 1.2 * p.by.scale;
  result.buffers = {{"overlaps", Role::input, {p.B, p.K}, -range, range},
                    {"labels", Role::input, {p.K, p.C}},
                    {"evidence", Role::output, {p.B, p.C}},
                    workspace_bytes("workspace", workspace_of(p, false, context))};
  result.run = [p](void* const* d, DType dtype, int, const CpuContext& at) {
    return label_evidence_forward({d[0], d[1], d[2], d[3], p.by, p.B, p.K, p.C, dtype}, at);
  };
  result.reference = [p](void* const* d) {
    for (std::int64_t b = 0; b < p.B; ++b) {
      for (std::int64_t c = 0; c < p.C; ++c) {
        double sum = 0;
        for (std::int64_t k = 0; k < p.K; ++k) {
          sum += f(p.by, overlap(p, doubles(d[0]), doubles(d[1]), b, k, c)) -
                 f(p.by, overlap(p, doubles(d[0]), doubles(d[1]), b, k, -1));
        }
        doubles(d[2])[b * p.C + c] = sum;
      }
    }
  };
  result.cost = {powers(p) * terms(p), static_cast<double>(p.B * (p.K + p.C) + p.K * p.C), 0};
  result.reference_work = terms(p) * static_cast<double>(20 + 2 * p.C);
  return result;
}

KernelCase backward_case(const Problem& p, const CpuContext& context) {
  KernelCase result;
  result.name = name_of_case(p);
  const double range = 1.2 * p.by.scale;
  result.buffers = {{"overlaps", Role::input, {p.B, p.K}, -range, range},
                    {"labels", Role::input, {p.K, p.C}},
                    {"devidence", Role::input, {p.B, p.C}},
                    {"doverlaps", Role::output, {p.B, p.K}},
                    {"dlabels", Role::output, {p.K, p.C}},
                    workspace_bytes("workspace", workspace_of(p, true, context))};
  result.run = [p](void* const* d, DType dtype, int, const CpuContext& at) {
    return label_evidence_backward({d[0], d[1], d[2], d[3], d[4], d[5], p.by, p.B, p.K, p.C, dtype},
                                   at);
  };
  // The derivative of each F by what its argument holds: z once, the label that is on with +1, all
  // others with -1.
  result.reference = [p](void* const* d) {
    std::fill(doubles(d[3]), doubles(d[3]) + p.B * p.K, 0.0);
    std::fill(doubles(d[4]), doubles(d[4]) + p.K * p.C, 0.0);
    for (std::int64_t b = 0; b < p.B; ++b) {
      for (std::int64_t k = 0; k < p.K; ++k) {
        const double none = slope(p.by, overlap(p, doubles(d[0]), doubles(d[1]), b, k, -1));
        for (std::int64_t c = 0; c < p.C; ++c) {
          const double dy = doubles(d[2])[b * p.C + c];
          const double on = slope(p.by, overlap(p, doubles(d[0]), doubles(d[1]), b, k, c));
          doubles(d[3])[b * p.K + k] += dy * (on - none);
          for (std::int64_t j = 0; j < p.C; ++j) {
            doubles(d[4])[k * p.C + j] += dy * ((j == c ? 1 : -1) * on + none);
          }
        }
      }
    }
  };
  result.cost = {2 * powers(p) * terms(p),
                 static_cast<double>(p.B * (2 * p.K + p.C) + 2 * p.K * p.C), 0};
  result.reference_work = terms(p) * static_cast<double>(20 + 4 * p.C);
  return result;
}

// One of everything; no vector full; several pieces of rows; a scale, and degrees with every bit.
constexpr InteractionOf kPower3{Interaction::power, 3, 1.0};
constexpr InteractionOf kPower4{Interaction::power, 4, 2.5};
constexpr InteractionOf kRectified20{Interaction::rectified, 20, 16.0};
constexpr InteractionOf kExponential{Interaction::exponential, 7, 16.0};
constexpr Problem kProblems[] = {{{Interaction::power, 1, 1.0}, 1, 1, 1},
                                 {kPower3, 3, 5, 2},
                                 {kPower4, 9, 17, 10},
                                 {{Interaction::rectified, 2, 1.0}, 2, 8, 3},
                                 {kRectified20, 150, 33, 10},
                                 {{Interaction::rectified, 1, 1.0}, 4, 3, 2},
                                 {kExponential, 150, 33, 10},
                                 {{Interaction::exponential, 1, 1.0}, 2, 9, 1}};

template <KernelCase (*make)(const Problem&, const CpuContext&)>
std::vector<KernelCase> cases(const CpuContext& context) {
  std::vector<KernelCase> all;
  for (const Problem& p : kProblems) {
    all.push_back(make(p, context));
  }
  return all;
}

// The drawn arrays are rounded to f32 before either side reads them; sums are in double, so that
// f32 rounds once. f64: sums of terms up to 1e4 whose roundings differ from those of
// pow, and which cancel.
const RegisterKernel forward({"label_evidence_forward",
                              "how much each label unit lowers the energy of a dense memory",
                              {{1, "vectors", "one row after the other, memories in vectors"}},
                              cases<forward_case>,
                              1e-7,
                              2e-11});
const RegisterKernel backward({"label_evidence_backward",
                               "gradients of label evidence by overlaps and label units",
                               {{1, "vectors", "labels summed over fixed pieces of rows"}},
                               cases<backward_case>,
                               1e-7,
                               1e-12});

const std::vector<SizeParameter> kSizes = {{"rows", 1000, "inputs"},
                                           {"memories", 100, "memories"},
                                           kept_size("labels", 10, "label units"),
                                           kept_size("degree", 20, "of the rectified power")};

template <KernelCase (*make)(const Problem&, const CpuContext&)>
KernelCase sized(const Sizes& s, const CpuContext& context) {
  return make({{Interaction::rectified, s.at("degree"), 10.0},
               s.at("rows"),
               s.at("memories"),
               s.at("labels")},
              context);
}

const RegisterSizes forward_sizes("label_evidence_forward", kSizes, sized<forward_case>);
const RegisterSizes backward_sizes("label_evidence_backward", kSizes, sized<backward_case>);

}  // namespace

}  // namespace basin::kernels::label_evidence_table
