// evidence_bc = sum_k F(o_bk + 2 labels_kc) - F(o_bk), o_bk = z_bk - sum_j labels_kj. The gradients
// are in kernels/memory/label_evidence.h; kept for them are z and the labels, and powers are
// computed again: they cost less than reading them back.
#include "tensor/functions/label_evidence.h"

#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"

namespace basin {

Variable label_evidence(const Variable& overlaps, const Variable& labels,
                        const kernels::InteractionOf& by) {
  return record(
      "label_evidence", {overlaps, labels}, label_evidence(overlaps.value(), labels.value(), by),
      [z = Saved(overlaps.value()), labels = Saved(labels.value()), by](const Tensor& dy,
                                                                        std::span<const bool>) {
        const LabelEvidenceGradients g = label_evidence_backward(z.get(), labels.get(), by, dy);
        return std::vector<Tensor>{g.doverlaps, g.dlabels};
      });
}

namespace {

using In = const std::vector<Variable>&;

const RegisterOp registered_label_evidence(
    {"label_evidence",
     [](Rng& rng) {
       const auto draw = [&](const Shape& shape) { return rng.normal(shape, 1.0, DType::f64); };
       const auto by = [](Interaction kind, std::int64_t degree, double scale) {
         return [=](In in) { return label_evidence(in[0], in[1], {kind, degree, scale}); };
       };
       // Rectified arguments stay half a unit away from the kink.
       const Tensor around_kink = Tensor::from<double>({2, 2}, std::vector<double>{3, -5, -4, 6});
       const Tensor units =
           Tensor::from<double>({2, 2}, std::vector<double>{0.5, -0.25, 0.75, 0.5});
       return std::vector<OpSample>{
           {"power", {draw({3, 4}), draw({4, 2})}, by(Interaction::power, 3, 1.0)},
           {"rectified", {around_kink, units}, by(Interaction::rectified, 4, 2.0)},
           {"exponential", {draw({3, 9}), draw({9, 2})}, by(Interaction::exponential, 3, 2.0)},
           {"one label", {draw({5, 3}), draw({3, 1})}, by(Interaction::power, 2, 1.5)},
           {"several pieces of rows",
            {draw({40, 2}), draw({2, 2})},
            by(Interaction::power, 3, 2.0)},
           {"transposed",
            {draw({4, 3}).transpose(0, 1), draw({2, 4}).transpose(0, 1)},
            by(Interaction::power, 4, 2.0)}};
     },
     [] {
       const Variable overlaps(Tensor::zeros({2, 3}, DType::f32));
       const auto call = [=](const Shape& labels, DType dtype, kernels::InteractionOf by) {
         return [=] { (void)label_evidence(overlaps, Variable(Tensor::zeros(labels, dtype)), by); };
       };
       return std::vector<OpError>{
           {"shapes", call({4, 2}, DType::f32, {}), "(2, 3) f32 and (4, 2) f32"},
           {"dtypes", call({3, 2}, DType::f64, {}), "differ in dtype"},
           {"degree", call({3, 2}, DType::f32, {Interaction::power, 0, 1.0}), "degree"},
           {"scale", call({3, 2}, DType::f32, {Interaction::power, 2, 0.0}), "scale above 0"}};
     }});

}  // namespace

}  // namespace basin
