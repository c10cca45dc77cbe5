// One update of the modern network and softmax attention, computed by separate code.
#pragma once

#include <string>

#include "tasks/experiments/experiment.h"

namespace basin::experiments {

Experiment attention_identity_experiment();

/// Claim B(f), "the update is attention, numerically", by the largest difference found, in units of
/// the rounding of a number of the size of the largest output: reproduced up to 64 (sums of some
/// hundred rounded terms), contradicted above 1e4, else undecided.
Verdict judge_identity(double roundings_f64, double roundings_f32);

/// The published "max difference 0", by the share of pairs of separate computations in f32 that
/// have the same bits: with 20 patterns at beta 1, the setting of the published retrieval (sharp),
/// and at beta 1/8 (flat); and of repetitions of one computation (same). Reproduced if half of the
/// sharp ones have the same bits; not comparable if no separate ones do and all repetitions do,
/// because 0 then says that one computation was compared with itself; else undecided.
Verdict judge_zero(double sharp, double flat, double same);

}  // namespace basin::experiments
