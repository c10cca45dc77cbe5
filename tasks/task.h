// A task: examples as batches of tokens and targets, and how predictions are judged.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace basin::tasks {

/// Targets that do not count.
inline constexpr std::int64_t kIgnored = -100;

struct Batch {
  Tensor tokens;      ///< (B, L) i64
  Tensor targets;     ///< (B, L) i64, kIgnored where nothing is to be predicted
  Tensor lengths;     ///< (B) i64, or undefined if nothing is padded
  Tensor bytes = {};  ///< (B, L) i64: of text that each target stands for; undefined but for text
  /// (B, L) i64: where in the example the answer to a target stands, -1 where nothing is to be
  /// predicted; undefined but for tasks that ask for something seen before.
  Tensor sources = {};
};

enum class Split : std::uint8_t { train, validation, test };
const char* name_of(Split);

/// A figure with the full name it has in every table, such as "second-half token accuracy".
struct Metric {
  std::string name;
  double value = 0.0;
};

/// Collects the predictions of one evaluation.
class MetricAccumulator {
 public:
  virtual ~MetricAccumulator() = default;
  /// predicted (B, L) i64: the likeliest token at each position; loss_sum: the sum of the
  /// cross-entropy over counted targets, in nats.
  virtual void add(const Tensor& predicted, const Batch& batch, double loss_sum) = 0;
  /// The task's main metric first.
  virtual std::vector<Metric> result() const = 0;
};

class Task {
 public:
  virtual ~Task() = default;

  virtual std::string name() const = 0;
  virtual std::int64_t vocabulary() const = 0;
  /// Tokens per example; the model needs that many positions.
  virtual std::int64_t length() const = 0;
  virtual std::int64_t examples(Split split) const = 0;
  /// The examples of these numbers, each in [0, examples(split)): a function of the number alone.
  virtual Batch batch(Split split, std::span<const std::int64_t> numbers) const = 0;

  virtual std::unique_ptr<MetricAccumulator> metrics() const = 0;
  /// The name metrics().result() gives its first entry, and whether more of it is better.
  virtual std::string metric_name() const = 0;
  virtual bool higher_is_better() const = 0;
  /// What trivial predictors reach in the main metric, chance first.
  virtual std::vector<Metric> baselines() const = 0;

  /// Of a task that reads text: the tokens of a text, as the model knows them, and what a token
  /// stands for. Throw Error where there is no text.
  virtual std::vector<std::int64_t> encode(std::string_view text) const;
  virtual std::string text_of(std::int64_t token) const;

  /// A text without blanks that is another one, very likely, if what the task has read was changed;
  /// parts with commas between them. Empty for a task that reads nothing.
  virtual std::string data_digest() const { return ""; }
};

/// Called now and then during the preparation of data: what is being done ("reading FILE"), how
/// much of it is done and how much there is (0 if that is not known). False stops it.
using PreparationCallback =
    std::function<bool(const std::string& what, std::int64_t done, std::int64_t total)>;

/// The preparation of data was stopped by its callback.
class PreparationStopped : public std::runtime_error {
 public:
  PreparationStopped() : std::runtime_error("the preparation of the data was stopped") {}
};

/// What a task may be told by its user. A value of 0 or an empty string leaves the task's own
/// default.
struct TaskOptions {
  std::string name = "copying";
  std::string data;         ///< path of a file or folder, for tasks that read one
  std::int64_t length = 0;  ///< tokens of context
  std::int64_t vocabulary = 0;
  std::int64_t pairs = 0;  ///< of a key and a value; for tasks whose kind says has_pairs
  std::uint64_t seed = 0;  ///< of generated data

  // For tasks whose kind says is_text.
  std::string tokenizer;        ///< "bytes", "characters" or a folder with the files of one
  std::string validation_data;  ///< path; held back from the end of `data` if empty
  std::string test_data;        ///< path; as for the validation if empty
  std::int64_t stride = 0;      ///< tokens between the beginnings of chunks to train on
  std::int64_t eval_stride = 0;
  PreparationCallback progress = {};
};

/// A task by name. To add one, write a folder below tasks/ and an entry in tasks/registry.cpp.
struct TaskKind {
  std::string name;
  std::string description;  ///< one line
  bool needs_data;          ///< reads TaskOptions::data
  bool has_vocabulary;      ///< honours TaskOptions::vocabulary
  std::int64_t default_length;
  std::int64_t default_vocabulary;
  std::unique_ptr<Task> (*make)(const TaskOptions&);
  bool is_text = false;    ///< honours the options of TaskOptions that are for text
  bool has_pairs = false;  ///< honours TaskOptions::pairs
};

const std::vector<TaskKind>& task_kinds();
/// Throws Error listing the tasks if there is none of this name.
const TaskKind& task_kind(const std::string& name);
/// Throws Error for options that cannot be, FileError for data that cannot be read,
/// PreparationStopped.
std::unique_ptr<Task> make_task(const TaskOptions& options);

}  // namespace basin::tasks
