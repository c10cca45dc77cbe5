#include "tasks/experiments/attention_heads_as_memories/dam_mnist.h"
#include "tasks/experiments/attention_heads_as_memories/dam_xor.h"
#include "tasks/experiments/attention_heads_as_memories/planted_facts.h"
#include "tasks/experiments/experiment.h"
#include "tasks/experiments/hopfield_from_scratch/attention_identity.h"
#include "tasks/experiments/hopfield_from_scratch/basins.h"
#include "tasks/experiments/hopfield_from_scratch/classical_capacity.h"
#include "tasks/experiments/hopfield_from_scratch/classical_retrieval.h"
#include "tasks/experiments/hopfield_from_scratch/energy_traces.h"
#include "tasks/experiments/hopfield_from_scratch/modern_capacity.h"
#include "tasks/experiments/hopfield_from_scratch/modern_retrieval.h"
#include "tasks/experiments/hopfield_from_scratch/more_steps_hurt.h"
#include "tasks/experiments/regimes.h"
#include "tasks/experiments/separations_in_context.h"

namespace basin::experiments {

// One line each; the function stands in the header of the experiment.
const std::vector<Experiment>& experiments() {
  static const std::vector<Experiment> all = {
      // Hopfield networks from scratch
      classical_retrieval_experiment(),
      classical_capacity_experiment(),
      modern_retrieval_experiment(),
      modern_capacity_experiment(),
      attention_identity_experiment(),
      more_steps_hurt_experiment(),
      energy_traces_experiment(),
      basins_experiment(),
      // attention heads as memories
      regimes(),
      planted_facts(),
      dam_xor(),
      dam_mnist(),
      separations_in_context(),
  };
  return all;
}

}  // namespace basin::experiments
