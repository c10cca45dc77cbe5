// Which checkpoint a command means.
#pragma once

#include <string>

#include "tools/trainer/arguments.h"

namespace basin::trainer {

/// The options of commands that read a checkpoint.
inline const Option kCheckpointOption = {"checkpoint", "FILE",
                                         "a checkpoint, or the folder of a run"};
inline const Option kWhichOption = {
    "which", "NAME", "of a folder: last, or best by the validations (best.h5) [last]"};

/// The path of the file. Throws UsageError if the options say nothing or too much, FileError if the
/// folder has no such checkpoint.
std::string chosen_checkpoint(const Arguments& arguments);

}  // namespace basin::trainer
