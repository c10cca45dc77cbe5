#include "tasks/text/text.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tasks/text/chunks.h"
#include "tasks/text/corpus.h"
#include "tasks/text/text_metrics.h"
#include "tasks/text/text_vocabulary.h"
#include "tensor/error.h"

namespace basin::tasks {

namespace {

// A corpus and the examples cut out of it.
struct Part {
  const Corpus* corpus = nullptr;
  Chunks chunks;
};

// Documents as far as they lie in [first, end).
std::vector<Document> within(const std::vector<Document>& documents, std::int64_t first,
                             std::int64_t end) {
  std::vector<Document> parts;
  for (const Document& document : documents) {
    const Document part = {std::max(document.begin, first), std::min(document.end, end)};
    if (part.begin < part.end) {
      parts.push_back(part);
    }
  }
  return parts;
}

class Text final : public Task {
 public:
  explicit Text(const TaskOptions& options)
      : length_(options.length),
        vocabulary_(options.tokenizer, paths_of(options), options.progress) {
    for (const std::string& path : paths_of(options)) {
      corpora_.push_back(read_corpus(path, vocabulary_.stored(), options.progress));
    }
    cut(options);
    check(options);
    count(options.progress);
  }

  std::string name() const override { return "text"; }
  std::int64_t vocabulary() const override { return vocabulary_.size(); }
  std::int64_t length() const override { return length_; }
  std::int64_t examples(Split split) const override { return part(split).chunks.count(); }

  Batch batch(Split split, std::span<const std::int64_t> numbers) const override;

  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<TextMetrics>();
  }
  std::vector<std::int64_t> encode(std::string_view text) const override {
    return vocabulary_.encode(text);
  }
  std::string text_of(std::int64_t token) const override { return vocabulary_.text_of(token); }
  std::string metric_name() const override { return "bits per byte"; }
  bool higher_is_better() const override { return false; }
  std::vector<Metric> baselines() const override { return baselines_; }
  std::string data_digest() const override;

 private:
  static std::vector<std::string> paths_of(const TaskOptions& options) {
    std::vector<std::string> paths = {options.data};
    for (const std::string& more : {options.validation_data, options.test_data}) {
      if (!more.empty()) {
        paths.push_back(more);
      }
    }
    return paths;
  }

  const Part& part(Split split) const { return parts_[static_cast<std::size_t>(split)]; }
  void cut(const TaskOptions& options);
  void check(const TaskOptions& options) const;
  void count(const PreparationCallback& progress);
  void count_in(const Part& part, bool as_targets, const std::string& what,
                const PreparationCallback& progress, std::vector<std::int64_t>& counts) const;

  std::int64_t length_;
  TextVocabulary vocabulary_;
  std::vector<Corpus> corpora_;  // data, then those that were given of validation and test
  Part parts_[3];                // by split
  std::vector<Metric> baselines_;
};

void Text::cut(const TaskOptions& options) {
  const Corpus& data = corpora_.front();
  const std::int64_t size = data.tokens.size();
  const bool holds_back = options.validation_data.empty();
  const std::int64_t border = holds_back ? size - size / 10 : size;
  const std::int64_t stride = options.stride == 0 ? length_ : options.stride;
  const std::int64_t eval_stride = options.eval_stride == 0 ? length_ : options.eval_stride;
  const auto use =
      data.documents.size() > 1 ? Chunks::Use::training_with_short : Chunks::Use::training;
  const auto evaluated = [&](const Corpus& corpus, std::int64_t first) {
    return Part{&corpus, Chunks(within(corpus.documents, first, corpus.tokens.size()), length_,
                                eval_stride, Chunks::Use::evaluation)};
  };
  parts_[0] = {&data, Chunks(within(data.documents, 0, border), length_, stride, use)};
  parts_[1] = holds_back ? evaluated(data, border) : evaluated(corpora_[1], 0);
  parts_[2] = options.test_data.empty() ? parts_[1] : evaluated(corpora_.back(), 0);
}

void Text::check(const TaskOptions& options) const {
  const char* unit = vocabulary_.unit();
  const Corpus& data = corpora_.front();
  const bool holds_back = options.validation_data.empty();
  const bool held_back_is_short =
      holds_back && (data.tokens.size() / 10 < 2 || part(Split::validation).chunks.count() < 1);
  if (part(Split::train).chunks.count() < 1 || held_back_is_short) {
    throw FileError(fmt::format(
        "{} has {} {}s, too few for one training chunk of {} {}s{}; use a longer file or a "
        "shorter length",
        data.path, data.tokens.size(), unit, length_ + 1, unit,
        holds_back ? " and a held-back tenth" : ""));
  }
  for (const Split split : {Split::validation, Split::test}) {
    if (part(split).chunks.count() < 1) {
      throw FileError(fmt::format(
          "{} has {} {}s, too few to predict one from another; use a longer "
          "file for the {}",
          part(split).corpus->path, part(split).corpus->tokens.size(), unit, name_of(split)));
    }
  }
}

// How often each stored token occurs; `as_targets`: without the first of each document, which
// nothing predicts.
void Text::count_in(const Part& part, bool as_targets, const std::string& what,
                    const PreparationCallback& progress, std::vector<std::int64_t>& counts) const {
  for (const Document& document : part.chunks.documents()) {
    const Document counted = {document.begin + (as_targets ? 1 : 0), document.end};
    in_pieces(counted, part.corpus->tokens.size(), what, progress,
              [&](std::int64_t first, std::int64_t end) {
                for (std::int64_t at = first; at < end; ++at) {
                  ++counts[static_cast<std::size_t>(part.corpus->tokens[at])];
                }
              });
  }
}

// The model's vocabulary, and what is reached without a model: a uniform guess, and the frequencies
// of the training part (each counted once more, so that none is impossible).
void Text::count(const PreparationCallback& progress) {
  const auto stored = static_cast<std::size_t>(vocabulary_.stored().vocabulary());
  const std::string what = fmt::format("counting the {}s", vocabulary_.unit());
  std::vector<std::int64_t> seen(stored, 0);
  std::vector<std::int64_t> targets(stored, 0);
  count_in(part(Split::train), false, what, progress, seen);
  count_in(part(Split::test), true, what, progress, targets);
  vocabulary_.set_training_counts(seen);

  std::vector<double> frequency(static_cast<std::size_t>(vocabulary_.size()), 1.0);
  double total = static_cast<double>(vocabulary_.size());
  for (std::size_t token = 0; token < stored; ++token) {
    const auto id = static_cast<std::size_t>(vocabulary_.id(static_cast<std::int64_t>(token)));
    frequency[id] += static_cast<double>(seen[token]);
    total += static_cast<double>(seen[token]);
  }
  double bits = 0;
  double bytes = 0;
  double predicted = 0;
  for (std::size_t token = 0; token < stored; ++token) {
    const auto at = static_cast<std::int64_t>(token);
    const auto times = static_cast<double>(targets[token]);
    predicted += times;
    bytes += times * static_cast<double>(vocabulary_.bytes(at));
    bits -= times * std::log2(frequency[static_cast<std::size_t>(vocabulary_.id(at))] / total);
  }
  const double uniform = std::log2(static_cast<double>(vocabulary_.size()));
  baselines_ = {{"chance", uniform * predicted / bytes},
                {fmt::format("{} frequencies", vocabulary_.unit()), bits / bytes}};
}

Batch Text::batch(Split split, std::span<const std::int64_t> numbers) const {
  const Part& from = part(split);
  from.corpus->tokens.check_unchanged();
  std::vector<std::int64_t> tokens;
  std::vector<std::int64_t> targets;
  std::vector<std::int64_t> bytes;
  for (const std::int64_t number : numbers) {
    if (number < 0 || number >= examples(split)) {
      fail("[text] there is no {} example {}", name_of(split), number);
    }
    const Chunk chunk = from.chunks[number];
    for (std::int64_t at = chunk.begin; at < chunk.begin + length_; ++at) {
      // Beyond the end there is nothing to predict; the token shown there comes after every token
      // that counts, and a causal model cannot look at it.
      tokens.push_back(at < chunk.end ? vocabulary_.id(from.corpus->tokens[at]) : 0);
      const bool counts = at >= chunk.counted_from && at + 1 < chunk.end;
      const std::int64_t next = counts ? from.corpus->tokens[at + 1] : 0;
      targets.push_back(counts ? vocabulary_.id(next) : kIgnored);
      bytes.push_back(counts ? vocabulary_.bytes(next) : 0);
    }
  }
  const Shape shape = {static_cast<std::int64_t>(numbers.size()), length_};
  return {Tensor::from<std::int64_t>(shape, tokens), Tensor::from<std::int64_t>(shape, targets),
          Tensor(), Tensor::from<std::int64_t>(shape, bytes)};
}

// The vocabulary, then each text: its bytes, its tokens, its hash.
std::string Text::data_digest() const {
  std::string digest = fmt::format("{}-{:016x}", vocabulary_.size(), vocabulary_.hash());
  for (const Corpus& corpus : corpora_) {
    digest += fmt::format(",{}-{}-{:016x}", corpus.bytes, corpus.tokens.size(), corpus.hash);
  }
  return digest;
}

void check_stride(const char* name, std::int64_t stride, std::int64_t length) {
  if (stride < 0 || stride > length) {
    fail("the {} of the task 'text' must be between 1 and the length, {}; got {}", name, length,
         stride);
  }
}

}  // namespace

std::unique_ptr<Task> make_text(const TaskOptions& options) {
  if (options.length < 1) {
    fail("the length of the task 'text' must be positive; got {}", options.length);
  }
  check_stride("stride", options.stride, options.length);
  check_stride("evaluation stride", options.eval_stride, options.length);
  return std::make_unique<Text>(options);
}

}  // namespace basin::tasks
