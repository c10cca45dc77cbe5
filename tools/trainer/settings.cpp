#include "tools/trainer/settings.h"

#include <algorithm>

#include "nn/backbone.h"
#include "tasks/task.h"
#include "tools/trainer/association_settings.h"
#include "tools/trainer/setting_kinds.h"
#include "tools/trainer/suggest.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::trainer {

namespace {

// Bounds that no real run meets; they keep products of settings below 2^63.
constexpr std::int64_t kMostVocabulary = std::int64_t{1} << 24;
constexpr std::int64_t kMostWidth = std::int64_t{1} << 16;
constexpr std::int64_t kMostSteps = 1'000'000'000'000;

std::string always(const Configuration&) { return ""; }

std::string if_reads_data(const Configuration& c) {
  return tasks::task_kind(c.task).needs_data
             ? ""
             : fmt::format("the task '{}' generates its data", c.task);
}

std::string if_has_vocabulary(const Configuration& c) {
  const tasks::TaskKind& kind = tasks::task_kind(c.task);
  return kind.has_vocabulary
             ? ""
             : fmt::format("the vocabulary of the task '{}' follows from its data", c.task);
}

std::string if_has_pairs(const Configuration& c) {
  return tasks::task_kind(c.task).has_pairs ? ""
                                            : fmt::format("the task '{}' has no pairs", c.task);
}

std::string if_is_text(const Configuration& c) {
  return tasks::task_kind(c.task).is_text ? "" : fmt::format("the task '{}' reads no text", c.task);
}

std::string if_association(const Configuration& c) {
  return nn::backbone_kind(c.backbone).is_association
             ? ""
             : fmt::format("the backbone '{}' has no heads", c.backbone);
}

std::string if_recurrent(const Configuration& c) {
  return nn::backbone_kind(c.backbone).is_association
             ? fmt::format("the backbone '{}' has no recurrence", c.backbone)
             : "";
}

std::string if_may_look_ahead(const Configuration& c) {
  return nn::backbone_kind(c.backbone).is_association
             ? ""
             : fmt::format("the backbone '{}' always reads from left to right", c.backbone);
}

std::string if_rate_falls(const Configuration& c) {
  return c.schedule != nn::ScheduleKind::constant ? "" : "a constant learning rate does not fall";
}

std::string if_sgd(const Configuration& c) {
  return c.optimizer == nn::OptimizerKind::sgd ? "" : "only sgd has a momentum of this kind";
}

std::string if_f32(const Configuration& c) {
  return c.dtype == DType::f32 ? "" : "products of f64 are not rounded; leave --dtype f32";
}

std::string if_adam(const Configuration& c) {
  return c.optimizer != nn::OptimizerKind::sgd ? "" : "sgd keeps no running averages";
}

Setting whole(const char* section, const char* name, std::int64_t Configuration::*member,
              std::int64_t least, std::int64_t most, const char* help, Reason no_effect = always) {
  return {name,
          section,
          "N",
          help,
          [=](Configuration& c, const std::string& text, const std::string& origin) {
            c.*member = read_whole(text, least, most, origin);
          },
          [=](const Configuration& c) { return fmt::format("{}", c.*member); },
          std::move(no_effect)};
}

// A number for which `fits` holds; `range` says so in words.
Setting real(const char* section, const char* name, double Configuration::*member,
             bool (*fits)(double), const char* range, const char* help, Reason no_effect = always) {
  return {name,
          section,
          "X",
          help,
          [=](Configuration& c, const std::string& text, const std::string& origin) {
            const double value = read_real(text, origin);
            if (!fits(value)) {
              wrong_usage("{} must be {}, not {}", origin, range, text);
            }
            c.*member = value;
          },
          [=](const Configuration& c) { return write_real(c.*member); },
          std::move(no_effect)};
}

template <class Enum>
Setting choice(const char* section, const char* name, Enum Configuration::*member,
               std::vector<std::pair<std::string, Enum>> choices, const char* help,
               Reason no_effect = always) {
  std::vector<std::string> names;
  for (const auto& [text, value] : choices) {
    names.push_back(text);
  }
  return {name,
          section,
          "NAME",
          help,
          [=](Configuration& c, const std::string& text, const std::string& origin) {
            c.*member = choices[read_choice(text, names, origin)].second;
          },
          [=](const Configuration& c) {
            const auto found = std::find_if(choices.begin(), choices.end(), [&](const auto& known) {
              return known.second == c.*member;
            });
            return found->first;
          },
          std::move(no_effect)};
}

bool is_fraction(double value) { return value >= 0.0 && value <= 1.0; }

// The name of something that has a table of its own.
Setting name_in(const char* name, std::string Configuration::*member,
                void (*check)(const std::string&, const std::string&), const char* section,
                const char* help) {
  return {name,
          section,
          "NAME",
          help,
          [=](Configuration& c, const std::string& text, const std::string& origin) {
            check(text, origin);
            c.*member = text;
          },
          [=](const Configuration& c) { return c.*member; },
          always};
}

Setting seed_setting() {
  return {"seed",
          "Training",
          "N",
          "of generated data, weights, order of the examples and dropout",
          [](Configuration& c, const std::string& text, const std::string& origin) {
            c.seed = read_seed(text, origin);
          },
          [](const Configuration& c) { return fmt::format("{}", c.seed); },
          always};
}

Setting threads_setting() {
  return {
      "threads",
      "Run",
      "N",
      "of the CPU; auto: one per core. The results do not depend on it",
      [](Configuration& c, const std::string& text, const std::string& origin) {
        c.threads = text == "auto" ? 0 : read_whole(text, 1, 1024, origin);
      },
      [](const Configuration& c) { return c.threads == 0 ? "auto" : fmt::format("{}", c.threads); },
      always};
}

// "auto" is decided when it is read: the configuration of a run says where it ran.
Setting device_setting() {
  return {
      "device",
      "Run",
      "NAME",
      "auto: cuda if a GPU works, else cpu; simt runs the CUDA kernels on the CPU, slowly. Each "
      "rounds in its own way",
      [](Configuration& c, const std::string& text, const std::string& origin) {
        if (text == "auto") {
          c.device = best_device();
        } else if (!parse(text, c.device)) {
          wrong_usage("{} '{}' must be auto, cpu, cuda or simt", origin, text);
        }
      },
      [](const Configuration& c) { return name_of(c.device); },
      always};
}

template <class Kind>
void check_name(const std::vector<Kind>& kinds, const char* what, const std::string& name,
                const std::string& origin) {
  std::vector<std::string> names;
  for (const Kind& kind : kinds) {
    names.push_back(kind.name);
  }
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    wrong_usage("{}: there is no {} '{}'{} ('trainer list' describes them)", origin, what, name,
                suggestion(name, names));
  }
}

std::vector<Setting> other_settings() {
  using C = Configuration;
  using nn::OptimizerKind;
  using nn::PositionKind;
  using nn::ScheduleKind;
  return {
      name_in("task", &C::task, check_task, "Task", "what to learn; see 'trainer list tasks'"),
      path_setting(
          "data", &C::data, "PATH", "",
          "the file to read, or a folder whose files are; also looked for below $BASIN_DATA",
          if_reads_data),
      path_setting("validation-data", &C::validation_data, "PATH", "none",
                   "text to validate and test on; none: the last tenth of --data is held back",
                   if_is_text),
      path_setting("test-data", &C::test_data, "PATH", "none",
                   "text to test on; none: what the validation uses", if_is_text),
      digest_setting(if_reads_data),
      path_setting(
          "tokenizer", &C::tokenizer, "NAME|DIR", "bytes",
          "bytes, characters (of the training text), gpt2 (files in $BASIN_DATA/gpt2-bpe), or a "
          "folder that prepare_data or GPT-2 filled",
          if_is_text),
      whole("Task", "length", &C::length, 1, kMostLength, "tokens of context"),
      length_setting(
          "stride", &C::stride,
          "tokens between the beginnings of chunks to train on; auto: the length, no overlap",
          if_is_text),
      length_setting("eval-stride", &C::eval_stride,
                     "the same in evaluation, where overlap is context and no token counts twice",
                     if_is_text),
      whole("Task", "vocabulary", &C::vocabulary, 1, kMostVocabulary, "different tokens",
            if_has_vocabulary),
      whole("Task", "pairs", &C::pairs, 0, kMostLength,
            "pairs of a key and a value; what they leave of the length is distractors; 0: as many "
            "as fit",
            if_has_pairs),

      name_in("backbone", &C::backbone, check_backbone, "Model",
              "what mixes positions; see 'trainer list backbones'"),
      whole("Model", "width", &C::width, 1, kMostWidth, "numbers per position"),
      whole("Model", "layers", &C::layers, 1, 1024, "residual blocks"),
      whole("Model", "heads", &C::heads, 1, kMostWidth, "heads per layer; divides the width",
            if_association),
      whole("Model", "mlp-ratio", &C::mlp_ratio, 1, 1024, "hidden width of the MLP over the width"),
      choice<PositionKind>("Model", "positions", &C::positions,
                           {{"learned", PositionKind::learned},
                            {"sinusoidal", PositionKind::sinusoidal},
                            {"rotary", PositionKind::rotary},
                            {"none", PositionKind::none}},
                           "learned, sinusoidal, rotary (for the kinds with heads) or none"),
      real("Model", "embedding-deviation", &C::embedding_deviation, is_positive, "above 0",
           "of the random numbers that tokens and learned positions start with"),
      real("Model", "dropout", &C::dropout, is_below_one, "at least 0 and below 1",
           "probability of zeroing an element"),
      choice<bool>("Model", "causal", &C::causal, {{"yes", true}, {"no", false}},
                   "yes: positions see only what comes before them", if_may_look_ahead),
      choice<bool>("Model", "tie-weights", &C::tie_weights, {{"yes", true}, {"no", false}},
                   "yes: the head multiplies by the embedding table"),
      choice<bool>("Model", "recompute", &C::recompute, {{"yes", true}, {"no", false}},
                   "yes: blocks are computed again in the backward pass, for less memory and the "
                   "same results"),
      choice<nn::Recurrence>(
          "Model", "recurrence", &C::recurrence,
          {{"own", nn::Recurrence::own}, {"cudnn", nn::Recurrence::cudnn}},
          "who computes rnn, lstm and gru: own kernels, or cudnn, NVIDIA's library, on a GPU",
          if_recurrent),

      whole("Training", "batch", &C::batch, 1, 1 << 20, "examples per step"),
      whole("Training", "micro-batch", &C::micro_batch, 0, 1 << 20,
            "examples per forward pass, a part of the batch; 0: all at once"),
      whole("Training", "steps", &C::steps, 1, kMostSteps, "updates of the weights"),
      real("Training", "learning-rate", &C::learning_rate, is_positive, "above 0",
           "after the warm-up"),
      choice<ScheduleKind>("Training", "schedule", &C::schedule,
                           {{"constant", ScheduleKind::constant},
                            {"linear", ScheduleKind::linear},
                            {"cosine", ScheduleKind::cosine}},
                           "of the learning rate after the warm-up: constant, linear or cosine"),
      whole("Training", "warmup", &C::warmup, 0, kMostSteps,
            "steps in which the learning rate rises from 0"),
      real("Training", "final-fraction", &C::final_fraction, is_fraction, "between 0 and 1",
           "the last learning rate of a schedule that falls, over the highest", if_rate_falls),
      real("Training", "label-smoothing", &C::label_smoothing, is_below_one,
           "at least 0 and below 1", "share of the target spread over all tokens"),
      choice<OptimizerKind>("Training", "optimizer", &C::optimizer,
                            {{"adamw", OptimizerKind::adamw},
                             {"adam", OptimizerKind::adam},
                             {"sgd", OptimizerKind::sgd}},
                            "adamw, adam or sgd"),
      real("Training", "momentum", &C::momentum, is_below_one, "at least 0 and below 1",
           "sgd: memory of the gradient", if_sgd),
      choice<bool>("Training", "nesterov", &C::nesterov, {{"yes", true}, {"no", false}},
                   "sgd: yes looks ahead along the momentum", if_sgd),
      real("Training", "weight-decay", &C::weight_decay, is_not_negative, "at least 0",
           "of every weight: decoupled with adamw, else added to the gradient"),
      real("Training", "clip", &C::clip, is_not_negative, "at least 0",
           "largest gradient norm; 0: no clipping"),
      real("Training", "beta1", &C::beta1, is_below_one, "at least 0 and below 1",
           "adamw, adam: memory of the gradient", if_adam),
      real("Training", "beta2", &C::beta2, is_below_one, "at least 0 and below 1",
           "adamw, adam: memory of its square", if_adam),
      seed_setting(),
      choice<DType>("Training", "dtype", &C::dtype, {{"f32", DType::f32}, {"f64", DType::f64}},
                    "element type: f32 or f64"),
      choice<Precision>(
          "Training", "precision", &C::precision,
          {{"f32", Precision::f32}, {"tf32", Precision::tf32}, {"bf16", Precision::bf16}},
          "to which factors of matrix products and of softmax attention (in bf16 also of linear "
          "attention) are rounded; "
          "f32, tf32 or bf16. Weights, sums, norms, losses, the optimizer and all other mechanisms "
          "stay in f32",
          if_f32),

      whole("Run", "log-every", &C::log_every, 1, kMostSteps, "steps between lines of metrics.csv"),
      whole("Run", "eval-every", &C::eval_every, 0, kMostSteps,
            "steps between validations; 0: only before the first and after the last step"),
      whole("Run", "eval-examples", &C::eval_examples, 0, kMostSteps,
            "examples of a validation; 0: all"),
      whole("Run", "test-examples", &C::test_examples, 0, kMostSteps,
            "examples of the test at the end; 0: all"),
      whole("Run", "checkpoint-every", &C::checkpoint_every, 0, kMostSteps,
            "steps between checkpoints; 0: only after the last step"),
      whole(
          "Run", "keep-checkpoints", &C::keep_checkpoints, 1, 1'000'000,
          "how many: checkpoint.h5 and those before it, checkpoint_STEP.h5; best.h5 is kept, too"),
      threads_setting(),
      device_setting(),
      choice<tasks::StepGraph>(
          "Run", "step-graph", &C::step_graph,
          {{"auto", tasks::StepGraph::automatic},
           {"on", tasks::StepGraph::on},
           {"off", tasks::StepGraph::off}},
          "steps on cuda and simt are captured once and started as one graph: auto, where they can "
          "be; on, or it is an error; off. The results are the same"),
  };
}

// Those of the mechanism stand before what says whether positions look ahead.
std::vector<Setting> make_settings() {
  std::vector<Setting> all = other_settings();
  const auto causal = std::find_if(all.begin(), all.end(),
                                   [](const Setting& setting) { return setting.name == "causal"; });
  const std::vector<Setting> mechanism = association_settings();
  all.insert(causal, mechanism.begin(), mechanism.end());
  return all;
}

}  // namespace

const std::vector<Setting>& settings() {
  static const std::vector<Setting> all = make_settings();
  return all;
}

const Setting* find_setting(const std::string& name) {
  const auto found = std::find_if(settings().begin(), settings().end(),
                                  [&](const Setting& setting) { return setting.name == name; });
  return found == settings().end() ? nullptr : &*found;
}

std::vector<std::string> setting_names() {
  std::vector<std::string> names;
  for (const Setting& setting : settings()) {
    names.push_back(setting.name);
  }
  return names;
}

void check_task(const std::string& name, const std::string& origin) {
  check_name(tasks::task_kinds(), "task", name, origin);
}

void check_backbone(const std::string& name, const std::string& origin) {
  check_name(nn::backbone_kinds(), "backbone", name, origin);
}

}  // namespace basin::trainer
