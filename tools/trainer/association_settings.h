// The settings of a retrieval mechanism: members of Configuration::association.
#pragma once

#include <vector>

#include "tools/trainer/settings.h"

namespace basin::trainer {

/// In the order in which they are shown.
std::vector<Setting> association_settings();

}  // namespace basin::trainer
