// The memo's open question: does in-context recall go with sharp heads or with metastable ones?
// Small causal transformers that differ in their separation alone, on copying and on associative
// recall.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/association/options.h"
#include "tasks/experiments/experiment.h"
#include "tasks/statistics.h"

namespace basin::experiments {

Experiment separations_in_context();

/// What a model retrieves with; everything else is the same for all.
struct Arm {
  std::string name;
  AssociationOptions options;
  bool is_softmax = false;  ///< over all keys: the arms that differ in beta alone
};

/// For heads of this width: softmax at a quarter of, at, and at four times beta = 1 / sqrt(width),
/// and with beta learned; entmax, sparsemax, top-k, polynomial.
std::vector<Arm> arms_of(std::int64_t head_width);

/// The head of a trained model that puts the largest mean weight on the places of the answers, over
/// the queries that ask for something.
struct RecallingHead {
  std::int64_t layer = 0;
  std::int64_t head = 0;
  double source_weight = 0.0;       ///< mean weight on the place of the answer
  double chance_weight = 0.0;       ///< mean of 1 / keys: what a uniform row puts there
  double relative_entropy = 0.0;    ///< mean of entropy / ln(keys)
  double temperature = 0.0;         ///< median of the effective temperature
  double fewest = 0.0;              ///< mean of k0.9
  double distance = 0.0;            ///< median from the query to the nearest key
  double error = 0.0;               ///< median from the updated query to the same key
  double bound = 0.0;               ///< median of what theorem 4.1 allows the error; NaN if unknown
  std::array<double, 3> regimes{};  ///< shares of fixed points, metastable states, averages
};

/// One trained model.
struct ContextRun {
  std::string task;
  std::string arm;
  bool is_softmax = false;
  std::int64_t seed = 0;
  double accuracy = 0.0;                        ///< on the test split, of the last weights
  double best_accuracy = 0.0;                   ///< of the weights with the best validation loss
  double exact = 0.0;                           ///< share of sequences without a mistake
  std::optional<std::int64_t> steps_to_recall;  ///< first validation of at least 0.9
  RecallingHead head;
};

inline constexpr double kRecalls = 0.9;  ///< test accuracy of a model that is said to recall

/// Whether its recalling head is one: it puts at least three times the weight of a uniform row on
/// the answers.
bool has_recalling_head(const ContextRun& run);

/// Claim C(d), "are recalling heads sharp or metastable?", on one task, by the softmax models that
/// recall and have a recalling head. A model counts for a regime that holds more than half of its
/// head's rows. A regime wins if the lower end of Wilson's 95 % interval of its share of models is
/// above 0.5; then the judgement is "not comparable", because no answer was published, and `ours`
/// says which. Else "undecided".
Verdict judge_recalling_heads(const std::vector<ContextRun>& runs, const std::string& task);

/// Whole sentences that follow from the numbers: which arms recall, what beta does, how diagnostics
/// and recall go together, and what the data do not show.
std::vector<std::string> context_findings(const std::vector<ContextRun>& runs);

}  // namespace basin::experiments
