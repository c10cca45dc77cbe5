// The graph of one loss as a picture: `trainer train --graph`.
#pragma once

#include <string>

#include "tools/trainer/experiment.h"

namespace basin::trainer {

/// The operations behind the loss of the first examples, as many as the model sees at a time, in
/// the language of Graphviz. The experiment is as it was. Throws UsageError if they are too many
/// for a picture.
std::string graph_text(Experiment& experiment);

}  // namespace basin::trainer
