// Settings of kinds that data need: paths, lengths, digests.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tools/trainer/settings.h"

namespace basin::trainer {

/// Why a setting would have no effect; empty if it has one.
using Reason = std::function<std::string(const Configuration&)>;

/// A bound on lengths that no real run meets.
inline constexpr std::int64_t kMostLength = std::int64_t{1} << 20;

/// What numbers may be.
inline bool is_positive(double value) { return value > 0.0; }
inline bool is_not_negative(double value) { return value >= 0.0; }
inline bool is_below_one(double value) { return value >= 0.0 && value < 1.0; }

/// A path, or a name like one; the word `otherwise` stands for the lack of it. `value`: what the
/// help calls it.
Setting path_setting(const char* name, std::string Configuration::*member, const char* value,
                     const char* otherwise, const char* help, Reason no_effect);

/// A number of tokens, or auto, which is 0 in the configuration.
Setting length_setting(const char* name, std::int64_t Configuration::*member, const char* help,
                       Reason no_effect);

/// The digest of the data, or any.
Setting digest_setting(Reason no_effect);

}  // namespace basin::trainer
