#include <cstdio>

#include "nn/checkpoint.h"
#include "tasks/generation.h"
#include "tensor/error.h"
#include "tools/trainer/arguments.h"
#include "tools/trainer/chosen_checkpoint.h"
#include "tools/trainer/commands.h"
#include "tools/trainer/data_settings.h"
#include "tools/trainer/memory.h"
#include "tools/trainer/settings.h"
#include "tools/trainer/stored_run.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::trainer {

namespace {

const Syntax kGenerateSyntax = {
    "generate",
    "Goes on from a prompt with a model that was trained on text. Prints the prompt and what\n"
    "follows it; the same seed gives the same text. Runs on the CPU, wherever the model was "
    "trained.",
    "",
    {kCheckpointOption,
     kWhichOption,
     {"prompt", "TEXT", "what the text begins with; needs at least one token"},
     {"tokens", "N", "to add [200]"},
     {"temperature", "X", "above 1 more surprising, below 1 safer, 0: always the likeliest [1]"},
     {"top-k", "N", "choose among the N likeliest tokens; 0: among all [0]"},
     {"seed", "N", "of the choices [0]"},
     {"data", "PATH", "the text the run was trained on, if it lies elsewhere now"},
     {"precision", "NAME", "of products: f32, tf32 or bf16 [as the run did]"},
     {"threads", "N", "of the CPU [one per core]"}},
    false};

constexpr std::int64_t kMostGenerated = 1'000'000'000;

tasks::GenerationOptions options_of(const Arguments& arguments) {
  tasks::GenerationOptions options;
  options.count = read_whole(arguments.value_or("tokens", "200"), 0, kMostGenerated, "--tokens");
  options.top_k = read_whole(arguments.value_or("top-k", "0"), 0, kMostGenerated, "--top-k");
  options.seed = read_seed(arguments.value_or("seed", "0"), "--seed");
  options.temperature = read_real(arguments.value_or("temperature", "1"), "--temperature");
  if (options.temperature < 0) {
    wrong_usage("--temperature must be at least 0, not {}", arguments.value("temperature"));
  }
  return options;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

void generate_command(const std::vector<std::string>& words) {
  const Arguments arguments(kGenerateSyntax, words);
  if (arguments.has("help")) {
    fmt::print("{}", help_text(kGenerateSyntax));
    return;
  }
  const std::string path = chosen_checkpoint(arguments);
  const tasks::GenerationOptions options = options_of(arguments);
  const std::string& prompt = arguments.value("prompt");

  const nn::TrainingState state = nn::read_training_state(path);
  Configuration c = stored_configuration(path, state.configuration);
  if (!tasks::task_kind(c.task).is_text) {
    fail("{} holds a model of the task '{}', which has no text; train one with --task text", path,
         c.task);
  }
  if (!c.causal) {
    fail("{} holds a model that sees later tokens (causal = no); it cannot go on from the left",
         path);
  }
  c.device = Device::cpu;  // one position at a time gives a GPU nothing to do
  c.recurrence = nn::Recurrence::own;
  c.threads =
      arguments.has("threads") ? read_whole(arguments.value("threads"), 1, 1024, "--threads") : 0;
  if (arguments.has("precision")) {
    const Setting& setting = *find_setting("precision");
    if (const std::string reason = setting.no_effect(c); !reason.empty()) {
      wrong_usage("--precision would have no effect: {}", reason);
    }
    setting.read(c, arguments.value("precision"), "--precision");
  }
  if (arguments.has("data")) {
    find_setting("data")->read(c, arguments.value("data"), "--data");
    c.data_digest = vocabulary_digest(c.data_digest);
  }
  check_memory(c, false);
  Experiment experiment = rebuild(path, c);
  nn::load_checkpoint(path, *experiment.model, nullptr);
  const std::vector<std::int64_t> tokens = experiment.task->encode(prompt);
  if (tokens.empty()) {
    wrong_usage("--prompt is empty; a model needs at least one token to go on from");
  }
  print(prompt);
  (void)tasks::generate(*experiment.model, tokens, options, [&](std::int64_t token) {
    print(experiment.task->text_of(token));
    return true;
  });
  print("\n");
}

}  // namespace basin::trainer
