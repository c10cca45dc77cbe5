// The report of dam-mnist, from its results alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tasks/experiments/attention_heads_as_memories/dam_mnist.h"

namespace basin::experiments {

/// "degree=20/seed=0"
std::string dam_mnist_key(const DamMnistSetting& setting, std::int64_t seed);

Report dam_mnist_report(const Settings& settings, const Results& results);

/// Ours beside the published test errors, 1.4 to 1.8 % of 10,000 images. errors: of our seeds, in
/// percent of test_images images. The interval holds the spread of seeds and the chance of drawing
/// these images: the root of the sum of the squares of both half widths. Reproduced if it meets the
/// published range; otherwise contradicted, or undecided where we are worse after fewer epochs than
/// were published.
Verdict published_error_verdict(const std::vector<double>& errors, std::int64_t test_images,
                                std::int64_t epochs, Size size);

}  // namespace basin::experiments
