// Any bytes as what is behind the seal of a checkpoint, loaded into a small model. With a seal that
// fits, as only who wants to deceive makes one; other bytes do not get past the seal, which needs
// no fuzzing.
#include "nn/checkpoint.h"

#include "tensor/error.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/memory_file.h"
#include "tests/support/same_bits.h"
#include "tests/support/sealed_file.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/trainee.h"

namespace {

using namespace basin;

nn::BackboneOptions options() {
  nn::BackboneOptions options = test::small_backbone("rnn");
  options.vocabulary = 3;
  options.width = 2;
  options.layers = 1;
  options.heads = 1;
  options.max_length = 2;
  return options;
}

}  // namespace

std::vector<std::string> basin::fuzz::seeds() {
  const test::TemporaryFolder folder;
  const test::Trainee trainee(options());
  std::vector<std::string> seeds;
  for (const nn::TrainingState& state : {test::training_state(2), nn::TrainingState()}) {
    nn::save_checkpoint(folder / "seed", trainee.model, trainee.optimizer, state);
    const std::string bytes = test::read_bytes(folder / "seed");
    test::Trainee loaded(options(), 2);
    require(
        nn::load_checkpoint(folder / "seed", loaded.model, &loaded.optimizer).step == state.step,
        "the seed is valid");
    seeds.push_back(test::unsealed(bytes));
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static test::MemoryFile memory;
  static test::Trainee trainee(options());
  memory.set(test::sealed({reinterpret_cast<const char*>(data), size}));
  const std::vector<Tensor> before = trainee.everything();
  try {
    (void)nn::read_training_state(memory.path());
    const nn::TrainingState state =
        nn::load_checkpoint(memory.path(), trainee.model, &trainee.optimizer);
    fuzz::require(state.step >= 0 && trainee.optimizer.steps() >= 0, "what counts is not negative");
  } catch (const FileError&) {
    fuzz::require(test::same_bits(trainee.everything(), before), "who refuses changes nothing");
  }
  return 0;
}
