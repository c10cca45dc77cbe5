#include "kernels/association/retrieval_diagnostics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/association/retrieval_check.h"
#include "kernels/association/retrieval_row.h"
#include "kernels/association/row_diagnostics.h"

namespace basin::kernels {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Scratch of a thread behind that of its Row: the candidates with scores and weights, two spare
// rows of M numbers, three states, features of a state.
struct Scratch {
  std::int64_t* keys;
  double *scores, *weights, *spare, *sorted, *states, *features;

  static std::int64_t numbers(const RetrievalDiagnostics& p) {
    return 5 * p.visibility.M + 3 * p.D + feature_count(p);
  }
  static std::int64_t feature_count(const RetrievalDiagnostics& p) {
    return std::max(p.D, p.features);
  }
  Scratch(void* memory, const RetrievalDiagnostics& p)
      : keys(static_cast<std::int64_t*>(memory)),
        scores(reinterpret_cast<double*>(keys + p.visibility.M)),
        weights(scores + p.visibility.M),
        spare(weights + p.visibility.M),
        sorted(spare + p.visibility.M),
        states(sorted + p.visibility.M),
        features(states + 3 * p.D) {}
};

std::int64_t thread_bytes(const RetrievalDiagnostics& p) {
  return whole_doubles(RowScratch<double>::bytes(p.visibility.M)) +
         Scratch::numbers(p) * static_cast<std::int64_t>(sizeof(double));
}

double elu_feature(double x) { return x > 0 ? x + 1 : std::exp(x); }

double distance_of(const double* x, const double* y, std::int64_t width) {
  double squares = 0;
  for (std::int64_t d = 0; d < width; ++d) {
    squares += (x[d] - y[d]) * (x[d] - y[d]);
  }
  return std::sqrt(squares);
}

class Diagnosis {
 public:
  Diagnosis(const RetrievalDiagnostics& p, Row<double>& row, const Scratch& scratch)
      : p_(p), row_(row), s_(scratch) {}

  void of_query(double* figures) {
    const auto set = [&](RowFigure figure, double value) {
      figures[static_cast<std::size_t>(figure)] = value;
    };
    std::fill(figures, figures + kRowFigures, kNaN);
    find_candidates();
    set(RowFigure::keys, static_cast<double>(count_));
    if (count_ == 0) {
      return;
    }
    const double* x = state();
    double* y = s_.states + 2 * p_.D;
    weigh(x);
    read(y);
    const double entropy = weights_entropy(s_.weights, count_);
    set(RowFigure::entropy, entropy);
    if (entropy == entropy) {
      standardise(s_.scores, count_, s_.spare);
      set(RowFigure::temperature, effective_temperature(s_.spare, count_, entropy));
      set(RowFigure::fewest_90,
          static_cast<double>(fewest_weights(s_.weights, count_, 0.9, s_.sorted)));
    }
    const std::int64_t mu = nearest(x);
    set(RowFigure::separation, separation_of(mu));
    set(RowFigure::distance, distance_of(x, key(mu), p_.D));
    set(RowFigure::distance_after, distance_of(y, key(nearest(y)), p_.D));
    set(RowFigure::error, distance_of(y, key(mu), p_.D));
    set(RowFigure::bound, bound_of(mu));
    if (p_.sources != nullptr) {
      set(RowFigure::source_weight, weight_of(p_.sources[row_.b * p_.visibility.L + row_.i]));
    }
    if (has_energy()) {
      set(RowFigure::energy, row_.energy(x));
      set(RowFigure::energy_after, row_.energy(y));
    }
    if (p_.most_steps > 0) {
      set(RowFigure::further_steps, static_cast<double>(steps_from(y)));  // last: moves y
    }
  }

 private:
  bool is_kernelised_rule() const { return is_kernelised(p_.separation.kind); }
  bool sums_to_one() const {
    return !p_.separation.normalise_all && !is_kernelised_rule() &&
           p_.separation.kind != Separation::polynomial;
  }
  bool has_energy() const { return sums_to_one(); }
  const double* key(std::int64_t n) const { return row_.k + s_.keys[n] * row_.k_row; }

  void find_candidates() {
    row_.gather();
    count_ = 0;
    for (std::int64_t n = 0; n < row_.all_count; ++n) {
      const std::int64_t j = row_.scratch.all[n];
      if (!p_.separation.normalise_all || p_.visibility.keep(row_.b, row_.h, row_.i, j)) {
        s_.keys[count_++] = j;
      }
    }
  }

  // The state that reads the values; in states 0 and 1 unless it is the query itself.
  const double* state() {
    const double* x = p_.q.head<double>(row_.b, row_.h) + row_.i * p_.q.row_stride;
    for (std::int64_t step = 1; step < p_.update_steps; ++step) {
      double* next = s_.states + step % 2 * p_.D;
      weigh(x);
      read(next);
      const bool settled = has_settled(x, next, p_.D, p_.tolerance);
      x = next;
      if (settled) {
        break;
      }
    }
    return x;
  }

  // Scores and weights of all candidates.
  void weigh(const double* x) {
    if (is_kernelised_rule()) {
      weigh_features(x);
      return;
    }
    for (std::int64_t n = 0; n < count_; ++n) {
      s_.scores[n] = row_.beta * row_dot(x, key(n), p_.D);
      s_.weights[n] = 0;
    }
    row_.weigh(x);
    std::int64_t at = 0;
    for (std::int64_t n = 0; n < row_.count; ++n) {
      if (row_.reads(n)) {
        while (s_.keys[at] != row_.scratch.keys[n]) {
          ++at;  // both lists rise
        }
        s_.weights[at] = row_.scratch.weights[n];
      }
    }
  }

  // exp(score) is phi(x).phi(k), up to a factor that is the same for all keys.
  void weigh_features(const double* x) {
    if (p_.separation.kind == Separation::linear) {
      std::transform(x, x + p_.D, s_.features, elu_feature);
    } else {
      project(x, s_.features);
    }
    double largest = -std::numeric_limits<double>::infinity();
    for (std::int64_t n = 0; n < count_; ++n) {
      s_.scores[n] = feature_score(key(n));
      largest = std::max(largest, s_.scores[n]);
    }
    double sum = 0;
    for (std::int64_t n = 0; n < count_; ++n) {
      s_.weights[n] = std::exp(s_.scores[n] - largest);
      sum += s_.weights[n];
    }
    for (std::int64_t n = 0; n < count_; ++n) {
      s_.weights[n] /= sum;
    }
  }

  // omega sqrt(beta) x of each feature; of the ReLU map what the map makes of it.
  void project(const double* x, double* to) const {
    const double root = std::sqrt(row_.beta);
    for (std::int64_t r = 0; r < p_.features; ++r) {
      const double inner = root * row_dot(p_.projection + r * p_.D, x, p_.D);
      to[r] = p_.feature_map == FeatureMap::relu ? std::max(inner, 0.0) + kReluFeatureFloor : inner;
    }
  }

  double feature_score(const double* k) const {
    if (p_.separation.kind == Separation::linear) {
      double sum = 0;
      for (std::int64_t d = 0; d < p_.D; ++d) {
        sum += s_.features[d] * elu_feature(k[d]);
      }
      return std::log(sum);
    }
    const double root = std::sqrt(row_.beta);
    const bool is_relu = p_.feature_map == FeatureMap::relu;
    // The sum of e^(a_r + b_r), with the largest exponent so far taken out.
    double top = -std::numeric_limits<double>::infinity();
    double sum = 0;
    for (std::int64_t r = 0; r < p_.features; ++r) {
      const double inner = root * row_dot(p_.projection + r * p_.D, k, p_.D);
      if (is_relu) {
        sum += s_.features[r] * (std::max(inner, 0.0) + kReluFeatureFloor);
        continue;
      }
      const double exponent = s_.features[r] + inner;
      if (exponent > top) {
        sum = sum * std::exp(top - exponent) + 1;
        top = exponent;
      } else {
        sum += std::exp(exponent - top);
      }
    }
    return is_relu ? std::log(sum) : top + std::log(sum) - row_.beta * row_dot(k, k, p_.D) / 2;
  }

  void read(double* y) const {
    std::fill(y, y + p_.D, 0.0);
    for (std::int64_t n = 0; n < count_; ++n) {
      if (s_.weights[n] != 0) {
        row_add(y, key(n), p_.D, s_.weights[n]);
      }
    }
  }

  std::int64_t nearest(const double* x) const {
    std::int64_t best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::int64_t n = 0; n < count_; ++n) {
      const double distance = distance_of(x, key(n), p_.D);
      if (distance < least) {
        least = distance;
        best = n;
      }
    }
    return best;
  }

  double separation_of(std::int64_t mu) const {
    const double own = row_dot(key(mu), key(mu), p_.D);
    double least = std::numeric_limits<double>::infinity();
    for (std::int64_t n = 0; n < count_; ++n) {
      least = n == mu ? least : std::min(least, own - row_dot(key(mu), key(n), p_.D));
    }
    return least;
  }

  double bound_of(std::int64_t mu) const {
    if (!sums_to_one() || !(s_.weights[mu] > 0)) {
      return kNaN;
    }
    double longest = 0;
    double rival = -std::numeric_limits<double>::infinity();
    std::int64_t support = 0;
    for (std::int64_t n = 0; n < count_; ++n) {
      longest = std::max(longest, row_dot(key(n), key(n), p_.D));
      rival = n == mu ? rival : std::max(rival, s_.scores[n]);
      support += s_.weights[n] > 0 ? 1 : 0;
    }
    return std::sqrt(longest) * static_cast<double>(count_ + support - 2) *
           std::exp(rival - s_.scores[mu]);
  }

  double weight_of(std::int64_t source) const {
    if (source < 0) {
      return kNaN;
    }
    const auto* end = s_.keys + count_;
    const auto* found = std::lower_bound(static_cast<const std::int64_t*>(s_.keys), end, source);
    return found == end || *found != source ? 0 : s_.weights[found - s_.keys];
  }

  std::int64_t steps_from(double* y) {
    for (std::int64_t step = 0; step < p_.most_steps; ++step) {
      double* next = s_.states + step % 2 * p_.D;
      weigh(y);
      read(next);
      const bool settled = has_settled(y, next, p_.D, p_.settled);
      y = next;
      if (settled) {
        return step;
      }
    }
    return p_.most_steps;
  }

  const RetrievalDiagnostics& p_;
  Row<double>& row_;
  const Scratch& s_;
  std::int64_t count_ = 0;
};

Status check(const RetrievalDiagnostics& p) {
  struct Rule {
    const Visibility& visibility;
    SeparationRule separation;
    std::int64_t B, H, D;
  } rule{p.visibility, p.separation, p.B, p.H, p.D};
  if (is_kernelised(rule.separation.kind)) {
    rule.separation.kind = Separation::softmax;  // which nothing is demanded of
  }
  if (const Status status = check_retrieval_rule(rule); !status.ok()) {
    return status;
  }
  for (std::int64_t h = 0; p.separation.kind == Separation::entmax && h < p.H; ++h) {
    const double alpha = static_cast<const double*>(p.separation.alpha)[h];
    if (!(alpha > 1 && alpha <= 2)) {
      return Status::invalid("retrieval: alpha must be above 1 and at most 2", h);
    }
  }
  if (p.separation.kind == Separation::random_features &&
      (p.projection == nullptr || p.features < 1)) {
    return Status::invalid("retrieval: random features need their projection");
  }
  if (!rows_fit(p.q, p.visibility.L, p.D) || !rows_fit(p.k, p.visibility.M, p.D)) {
    return Status::invalid("retrieval: a row_stride is smaller than the row");
  }
  if (p.update_steps < 1 || p.update_steps > kMostUpdateSteps || !(p.tolerance >= 0) ||
      p.most_steps < 0 || (p.most_steps > 0 && !(p.settled > 0))) {
    return Status::invalid("retrieval: a number of steps or a tolerance is out of range");
  }
  return {};
}

}  // namespace

std::int64_t retrieval_diagnostics_workspace(const RetrievalDiagnostics& p,
                                             const CpuContext& context) {
  return context.pool->threads() * thread_bytes(p);
}

Status retrieval_diagnostics(const RetrievalDiagnostics& p, const CpuContext& context) {
  if (const Status status = check(p); !status.ok()) {
    return status;
  }
  const std::int64_t L = p.visibility.L;
  const std::int64_t M = p.visibility.M;
  const HeadRule no_rule{Separation::softmax, 1.0, 0};  // of what has features for weights
  for_ranges(context, p.B * p.H * L, 4, [&](std::int64_t begin, std::int64_t end) {
    char* memory = static_cast<char*>(p.workspace) + ThreadPool::thread_index() * thread_bytes(p);
    const Scratch scratch(memory + whole_doubles(RowScratch<double>::bytes(M)), p);
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t i = at % L;
      const std::int64_t h = at / L % p.H;
      const std::int64_t b = at / L / p.H;
      double* figures = p.figures + at * kRowFigures;
      if (p.rows != nullptr && p.rows[b * L + i] == 0) {
        std::fill(figures, figures + kRowFigures, kNaN);
        continue;
      }
      Row<double> row{
          p.visibility,
          p.separation,
          is_kernelised(p.separation.kind) ? no_rule : head_rule<double>(p.separation, h),
          RowScratch<double>(memory, M),
          b,
          h,
          i,
          p.beta[h],
          p.k.head<double>(b, h),
          p.k.row_stride,
          p.D};
      Diagnosis(p, row, scratch).of_query(figures);
    }
  });
  return {};
}

}  // namespace basin::kernels
