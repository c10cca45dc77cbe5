// Damaged checkpoints: each must be refused in one line that names the file and the damage, and
// model and optimizer must keep their bits.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "nn/checkpoint.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/trainee.h"

namespace basin::test {

inline nn::BackboneOptions tiny_backbone() {
  nn::BackboneOptions options = small_backbone("attention");
  options.vocabulary = 5;
  options.width = 4;
  options.layers = 1;
  options.max_length = 3;
  options.dropout = 0.2;
  return options;
}

/// A whole checkpoint of a tiny_backbone() after two steps.
inline const std::string& checkpoint_bytes() {
  static const std::string bytes = [] {
    const TemporaryFolder folder;
    Trainee trainee(tiny_backbone());
    trainee.train(0, 2);
    nn::save_checkpoint(folder / "x", trainee.model, trainee.optimizer, training_state(2));
    return read_bytes(folder / "x");
  }();
  return bytes;
}

/// Loading fails with all of `parts` and changes nothing.
inline void expect_refused(const std::string& path, std::vector<std::string> parts) {
  Trainee trainee(tiny_backbone(), 5);
  trainee.train(0, 1);
  const std::vector<Tensor> before = trainee.everything();
  parts.push_back(path);
  EXPECT_TRUE(refuses<FileError>(
      [&] { nn::load_checkpoint(path, trainee.model, &trainee.optimizer); }, parts));
  EXPECT_TRUE(same_bits(trainee.everything(), before)) << "something was changed";
}

}  // namespace basin::test
