#include "tasks/recall/recall.h"

#include <numeric>
#include <utility>
#include <vector>

#include "kernels/common/philox.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace basin::tasks {

namespace {

constexpr std::int64_t kTrainExamples = 100000;
constexpr std::int64_t kHeldBackExamples = 10000;

struct Sizes {
  std::int64_t length, pairs, keys, values;

  std::int64_t distractors() const { return length - 3 * pairs - 1; }
  std::int64_t marker() const { return keys + values; }
  std::int64_t first_question() const { return length - pairs; }
};

class RecallMetrics final : public MetricAccumulator {
 public:
  explicit RecallMetrics(const Sizes& sizes) : sizes_(sizes) {}

  void add(const Tensor& tokens, const Batch& batch, double) override {
    const std::vector<std::int64_t> predicted = tokens.to_vector<std::int64_t>();
    const std::vector<std::int64_t> wanted = batch.targets.to_vector<std::int64_t>();
    const std::vector<std::int64_t> sources = batch.sources.to_vector<std::int64_t>();
    const auto length = static_cast<std::size_t>(sizes_.length);
    const auto first = static_cast<std::size_t>(sizes_.first_question());
    for (std::size_t start = 0; start < wanted.size(); start += length) {
      const auto hit = [&](std::size_t n) { return predicted[start + n] == wanted[start + n]; };
      const auto distance = [&](std::size_t n) {
        return static_cast<std::int64_t>(n) - sources[start + n];
      };
      std::size_t nearest = first;
      std::size_t farthest = first;
      std::int64_t right = 0;
      for (std::size_t n = first; n < length; ++n) {
        nearest = distance(n) < distance(nearest) ? n : nearest;
        farthest = distance(n) > distance(farthest) ? n : farthest;
        right += hit(n) ? 1 : 0;
      }
      hits_ += right;
      exact_ += right == sizes_.pairs ? 1 : 0;
      nearest_ += hit(nearest) ? 1 : 0;
      farthest_ += hit(farthest) ? 1 : 0;
      ++examples_;
    }
  }

  std::vector<Metric> result() const override {
    const auto examples = static_cast<double>(examples_);
    const auto rate = [&](std::int64_t count) { return static_cast<double>(count) / examples; };
    return {{"recall accuracy", rate(hits_) / static_cast<double>(sizes_.pairs)},
            {"exact-sequence rate", rate(exact_)},
            {"accuracy at the nearest answer", rate(nearest_)},
            {"accuracy at the farthest answer", rate(farthest_)}};
  }

 private:
  Sizes sizes_;
  std::int64_t hits_ = 0;
  std::int64_t exact_ = 0;
  std::int64_t nearest_ = 0;   // one question of each example: that whose answer is the fewest
  std::int64_t farthest_ = 0;  // (most) tokens away
  std::int64_t examples_ = 0;
};

// The draws of one example, one after the other.
class Draws {
 public:
  Draws(std::uint64_t key, std::int64_t number)
      : key_(key), stream_(static_cast<std::uint64_t>(number)) {}
  std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(
        uniform_index(key_, stream_, index_++, static_cast<std::uint64_t>(bound)));
  }
  /// The first `count` of 0 ... bound - 1 in random order (R. Fisher, F. Yates).
  std::vector<std::int64_t> distinct(std::int64_t count, std::int64_t bound) {
    std::vector<std::int64_t> all(static_cast<std::size_t>(bound));
    std::iota(all.begin(), all.end(), std::int64_t{0});
    for (std::int64_t n = 0; n < count; ++n) {
      std::swap(all[static_cast<std::size_t>(n)],
                all[static_cast<std::size_t>(n + below(bound - n))]);
    }
    all.resize(static_cast<std::size_t>(count));
    return all;
  }

 private:
  std::uint64_t key_, stream_;
  std::uint64_t index_ = 0;
};

class Recall final : public Task {
 public:
  Recall(const Sizes& sizes, std::uint64_t seed) : sizes_(sizes), seed_(seed) {}

  std::string name() const override { return "recall"; }
  std::int64_t vocabulary() const override { return sizes_.marker() + 1; }
  std::int64_t length() const override { return sizes_.length; }
  std::int64_t examples(Split split) const override {
    return split == Split::train ? kTrainExamples : kHeldBackExamples;
  }

  Batch batch(Split split, std::span<const std::int64_t> numbers) const override {
    // Splits have keys of their own, so that no example is in two of them by construction.
    const std::uint64_t key =
        kernels::derive_key(seed_, 0x4ECA11 + static_cast<std::uint64_t>(split));
    std::vector<std::int64_t> tokens;
    std::vector<std::int64_t> targets;
    std::vector<std::int64_t> sources;
    for (const std::int64_t number : numbers) {
      if (number < 0 || number >= examples(split)) {
        fail("[recall] there is no {} example {}", name_of(split), number);
      }
      append(Draws(key, number), tokens, targets, sources);
    }
    const Shape shape = {static_cast<std::int64_t>(numbers.size()), length()};
    Batch batch;
    batch.tokens = Tensor::from<std::int64_t>(shape, tokens);
    batch.targets = Tensor::from<std::int64_t>(shape, targets);
    batch.sources = Tensor::from<std::int64_t>(shape, sources);
    return batch;
  }

  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<RecallMetrics>(sizes_);
  }
  std::string metric_name() const override { return "recall accuracy"; }
  bool higher_is_better() const override { return true; }
  std::vector<Metric> baselines() const override {
    const double chance = 1.0 / static_cast<double>(sizes_.values);
    const double own = 1.0 / static_cast<double>(sizes_.pairs);
    // The value of any of the pairs: the right pair, or another one that happens to agree.
    return {{"chance", chance}, {"value of a random pair", own + (1 - own) * chance}};
  }

 private:
  void append(Draws draws, std::vector<std::int64_t>& tokens, std::vector<std::int64_t>& targets,
              std::vector<std::int64_t>& sources) const {
    const std::size_t begin = tokens.size();
    const std::vector<std::int64_t> keys = draws.distinct(sizes_.pairs, sizes_.keys);
    const auto value = [&] { return sizes_.keys + draws.below(sizes_.values); };
    // Distractors before pair n, and behind the last one.
    std::vector<std::int64_t> gaps(keys.size() + 1, 0);
    for (std::int64_t n = 0; n < sizes_.distractors(); ++n) {
      ++gaps[static_cast<std::size_t>(draws.below(sizes_.pairs + 1))];
    }
    std::vector<std::int64_t> places;  // of the value of each pair
    for (std::size_t n = 0; n <= keys.size(); ++n) {
      for (std::int64_t left = gaps[n]; left > 0; --left) {
        tokens.push_back(value());
      }
      if (n < keys.size()) {
        tokens.push_back(keys[n]);
        places.push_back(static_cast<std::int64_t>(tokens.size() - begin));
        tokens.push_back(value());
      }
    }
    tokens.push_back(sizes_.marker());
    targets.resize(tokens.size(), kIgnored);
    sources.resize(tokens.size(), -1);
    for (const std::int64_t n : draws.distinct(sizes_.pairs, sizes_.pairs)) {
      const std::int64_t place = places[static_cast<std::size_t>(n)];
      tokens.push_back(keys[static_cast<std::size_t>(n)]);
      targets.push_back(tokens[begin + static_cast<std::size_t>(place)]);
      sources.push_back(place);
    }
  }

  Sizes sizes_;
  std::uint64_t seed_;
};

}  // namespace

std::unique_ptr<Task> make_recall(const TaskOptions& options) {
  if (options.vocabulary < 4) {
    fail(
        "the vocabulary of the task 'recall' must be at least 4 (a key, two values, the marker); "
        "got {}",
        options.vocabulary);
  }
  if (options.length < 4) {
    fail(
        "the length of the task 'recall' must be at least 4 (a pair, the marker, a question); got "
        "{}",
        options.length);
  }
  const std::int64_t most = (options.length - 1) / 3;
  const std::int64_t pairs = options.pairs == 0 ? most : options.pairs;
  const std::int64_t keys = (options.vocabulary - 1) / 2;
  if (pairs < 1 || pairs > most) {
    fail("the task 'recall' has room for 1 to {} pairs in a length of {}; got {}", most,
         options.length, pairs);
  }
  if (pairs > keys) {
    fail(
        "the task 'recall' needs a key for each of {} pairs, and a vocabulary of {} has {}; take a "
        "vocabulary of at least {}",
        pairs, options.vocabulary, keys, 2 * pairs + 1);
  }
  return std::make_unique<Recall>(Sizes{options.length, pairs, keys, options.vocabulary - 1 - keys},
                                  options.seed);
}

}  // namespace basin::tasks
