#include "tasks/experiments/separations_in_context.h"

#include <cmath>

#include "tasks/experiments/context_report.h"
#include "tasks/experiments/context_training.h"

namespace basin::experiments {

std::vector<Arm> arms_of(std::int64_t head_width) {
  const double usual = 1 / std::sqrt(static_cast<double>(head_width));
  std::vector<Arm> arms;
  const auto add = [&](const char* name, bool is_softmax, auto&& change) {
    AssociationOptions options;
    options.causal = true;
    options.beta = usual;
    change(options);
    arms.push_back({name, options, is_softmax});
  };
  using O = AssociationOptions;
  add("softmax, beta / 4", true, [&](O& o) { o.beta = usual / 4; });
  add("softmax", true, [](O&) {});
  add("softmax, 4 beta", true, [&](O& o) { o.beta = 4 * usual; });
  add("softmax, learned beta", true, [](O& o) { o.learned_beta = LearnedBeta::head; });
  add("entmax-1.5", false, [](O& o) { o.separation = Separation::entmax; });
  add("entmax, learned alpha", false, [](O& o) {
    o.separation = Separation::entmax;
    o.learned_alpha = true;
  });
  add("sparsemax", false, [](O& o) { o.separation = Separation::sparsemax; });
  add("top-4 softmax", false, [](O& o) { o.top_k = 4; });
  add("top-20 % softmax", false, [](O& o) { o.top_fraction = 0.2; });
  const auto polynomial = [](std::int64_t degree) {
    return [degree](O& o) {
      o.separation = Separation::polynomial;
      o.degree = degree;
    };
  };
  add("polynomial, degree 3", false, polynomial(3));
  add("polynomial, degree 9", false, polynomial(9));
  return arms;
}

Experiment separations_in_context() {
  return {
      "separations-in-context",
      "Attention heads as memories (memo), open question and claim (d)",
      "Do the heads that recall from the context work as sharp or as metastable memories, and what "
      "changes if the separation is another one?",
      "",
      context_parts,
      context_report,
      "",
      true};
}

}  // namespace basin::experiments
