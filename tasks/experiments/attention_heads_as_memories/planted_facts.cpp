#include "tasks/experiments/attention_heads_as_memories/planted_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/functions/elementwise.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/reduce.h"
#include "tensor/functions/retrieval.h"
#include "tensor/rng.h"

namespace basin::experiments {

namespace planted_facts_parts {

constexpr std::int64_t kTop = 8;
// Scores of polynomials, so that their powers stay in range.
constexpr double kPolynomialBeta = 2.0;
constexpr double kMostPolynomial = 64.0;

using Rows = std::vector<std::vector<double>>;

Rows rows_of(const Tensor& x) {
  const std::vector<double> all = x.to_vector<double>();
  const auto width = static_cast<std::size_t>(x.size(1));
  Rows rows;
  for (std::size_t at = 0; at < all.size(); at += width) {
    rows.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(at),
                      all.begin() + static_cast<std::ptrdiff_t>(at + width));
  }
  return rows;
}

Tensor unit_rows(const Tensor& x) { return div(x, sqrt(sum(square(x), 1, true))); }

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double squares = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    squares += (a[i] - b[i]) * (a[i] - b[i]);
  }
  return std::sqrt(squares);
}

std::size_t nearest(const Rows& rows, const std::vector<double>& x) {
  std::size_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t n = 0; n < rows.size(); ++n) {
    const double d = distance(rows[n], x);
    if (d < least) {
      least = d;
      best = n;
    }
  }
  return best;
}

// Keys and values of length 1, and noisy keys that ask for them.
struct Facts {
  Tensor keys, values, queries;
  std::vector<std::size_t> wanted;  // of each query
};

Facts plant(const PlantedFactsBudget& budget, std::int64_t pairs, double noise,
            std::uint64_t seed) {
  Rng rng(seed);
  Facts facts;
  facts.keys = unit_rows(rng.normal({pairs, budget.width}, 1.0, DType::f64));
  facts.values = unit_rows(rng.normal({pairs, budget.width}, 1.0, DType::f64));
  const std::int64_t count = 2 * budget.queries;
  const double deviation = noise / std::sqrt(static_cast<double>(budget.width));
  facts.queries = rng.normal({count, budget.width}, 1.0, DType::f64);
  facts.queries = affine(facts.queries, deviation, 0.0);
  const std::uint64_t stream = rng.next_stream();
  for (std::int64_t q = 0; q < count; ++q) {
    const auto wanted = uniform_index(rng.key(), stream, static_cast<std::uint64_t>(q),
                                      static_cast<std::uint64_t>(pairs));
    facts.wanted.push_back(wanted);
    Tensor row = facts.queries.slice(0, q, q + 1);
    row.copy_from(add(row, facts.keys.slice(0, static_cast<std::int64_t>(wanted),
                                            static_cast<std::int64_t>(wanted) + 1)));
  }
  return facts;
}

Tensor as_head(const Tensor& rows) { return rows.reshape({1, 1, rows.size(0), rows.size(1)}); }

// (queries, pairs): one head reads the rows of the identity.
Tensor weights_of(const Facts& facts, const Reader& reader) {
  const std::int64_t pairs = facts.keys.size(0);
  Tensor identity = Tensor::zeros({pairs, pairs}, DType::f64);
  for (std::int64_t n = 0; n < pairs; ++n) {
    identity.mutable_data<double>()[n * pairs + n] = 1.0;
  }
  RetrievalInputs in;
  in.q = as_head(facts.queries);
  in.k = as_head(facts.keys);
  in.v = as_head(identity);
  in.options = reader.options;
  in.beta = Tensor::full({1}, reader.options.beta, DType::f64);
  if (reader.options.separation == Separation::entmax) {
    in.alpha = Tensor::full({1}, reader.options.alpha, DType::f64);
  }
  return retrieval(in).out.reshape({facts.queries.size(0), pairs});
}

// What the theorem needs to know of a query.
struct Geometry {
  bool inside = false;          // within R of the wanted key
  double margin = 0.0;          // x.key - max over others of x.other
  double printed_margin = 0.0;  // x.key - max over others of key.other, as printed
};

std::vector<Geometry> geometry_of(const Facts& facts) {
  const Rows scores = rows_of(matmul(facts.queries, facts.keys.transpose(0, 1)));
  const Rows among = rows_of(matmul(facts.keys, facts.keys.transpose(0, 1)));
  const Rows keys = rows_of(facts.keys);
  const Rows queries = rows_of(facts.queries);
  double nearest_pair = std::numeric_limits<double>::infinity();
  for (std::size_t n = 0; n < keys.size(); ++n) {
    for (std::size_t m = 0; m < n; ++m) {
      nearest_pair = std::min(nearest_pair, std::sqrt(std::max(0.0, 2.0 - 2.0 * among[n][m])));
    }
  }
  std::vector<Geometry> all;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const std::size_t wanted = facts.wanted[q];
    double other = -std::numeric_limits<double>::infinity();
    double printed = other;
    for (std::size_t n = 0; n < keys.size(); ++n) {
      if (n != wanted) {
        other = std::max(other, scores[q][n]);
        printed = std::max(printed, among[wanted][n]);
      }
    }
    all.push_back({distance(queries[q], keys[wanted]) <= nearest_pair / 2.0,
                   scores[q][wanted] - other, scores[q][wanted] - printed});
  }
  return all;
}

// The theorem is about softmax over the keys that a row sees.
bool is_softmax(const Reader& reader) { return reader.options.separation == Separation::softmax; }

double exact_margin(const Reader& reader) {
  switch (reader.options.separation) {
    case Separation::sparsemax: return 1.0;
    case Separation::entmax: return 1.0 / (reader.options.alpha - 1.0);
    default: return std::numeric_limits<double>::infinity();
  }
}

nlohmann::json read_back(const Facts& facts, const std::vector<Geometry>& geometry,
                         const Reader& reader, std::vector<double>& key_errors) {
  const Tensor weights = weights_of(facts, reader);
  const Rows p = rows_of(weights);
  const Rows found_keys = rows_of(matmul(weights, facts.keys));
  const Rows found_values = rows_of(matmul(weights, facts.values));
  const Rows keys = rows_of(facts.keys);
  const Rows values = rows_of(facts.values);
  const std::size_t half = p.size() / 2;
  const double pairs = static_cast<double>(keys.size());
  double choosing = 0.0;
  double reported = 0.0;
  std::int64_t recalled = 0;
  std::int64_t covered = 0, over_proof = 0, over_printed = 0, exact_rows = 0, exact = 0;
  double log_proof = 0.0, log_printed = 0.0, log_error = 0.0;
  key_errors.clear();
  for (std::size_t q = 0; q < p.size(); ++q) {
    const std::size_t wanted = facts.wanted[q];
    const Geometry& g = geometry[q];
    const double error = distance(found_values[q], values[wanted]);
    const double key_error = distance(found_keys[q], keys[wanted]);
    key_errors.push_back(key_error);
    if (q < half) {
      choosing += error;
    } else {
      reported += error;
      recalled += nearest(values, found_values[q]) == wanted ? 1 : 0;
    }
    const bool in_support = reader.options.top_k == 0 || p[q][wanted] > 0.0;
    if (is_softmax(reader) && g.inside && in_support) {
      const auto support = static_cast<double>(
          std::count_if(p[q].begin(), p[q].end(), [](double weight) { return weight > 0.0; }));
      const double factor = std::log(pairs + (reader.options.top_k > 0 ? support : pairs) - 2.0);
      const double proof = factor - reader.sharpness * g.margin;
      const double printed = factor - reader.sharpness * g.printed_margin;
      // Errors of a few roundings are no news about a bound that is smaller still.
      const double rounding = 1e-13;
      ++covered;
      over_proof += key_error > std::exp(proof) * (1.0 + 1e-9) + rounding ? 1 : 0;
      over_printed += key_error > std::exp(printed) * (1.0 + 1e-9) + rounding ? 1 : 0;
      log_proof += proof;
      log_printed += printed;
      log_error += std::log(std::max(key_error, rounding));
    }
    if (reader.sharpness * g.margin >= exact_margin(reader) * (1.0 + 1e-9)) {
      ++exact_rows;
      exact += key_error == 0.0 && error == 0.0 ? 1 : 0;
    }
  }
  const auto count = static_cast<double>(half);
  return {{"choosing_error", choosing / count},
          {"error", reported / count},
          {"recalled", recalled},
          {"queries", half},
          {"covered", covered},
          {"over_proof", over_proof},
          {"over_printed", over_printed},
          {"log_proof", log_proof},
          {"log_printed", log_printed},
          {"log_error", log_error},
          {"exact_rows", exact_rows},
          {"exact", exact}};
}

nlohmann::json run_part(const PlantedFactsBudget& budget, std::int64_t pairs, double noise,
                        std::uint64_t seed, const Progress& progress) {
  const Facts facts = plant(budget, pairs, noise, seed);
  const std::vector<Geometry> geometry = geometry_of(facts);
  const std::vector<Reader> readers = planted_facts_readers(budget.sharpness);
  const Rows values = rows_of(facts.values);
  nlohmann::json result;
  // The ceiling: the pair whose key has the largest score.
  std::int64_t right = 0;
  double error = 0.0;
  const std::vector<std::int64_t> best =
      argmax(matmul(facts.queries, facts.keys.transpose(0, 1)), 1).to_vector<std::int64_t>();
  for (std::size_t q = best.size() / 2; q < best.size(); ++q) {
    const auto found = static_cast<std::size_t>(best[q]);
    right += found == facts.wanted[q] ? 1 : 0;
    error += distance(values[found], values[facts.wanted[q]]);
  }
  result["argmax_recalled"] = right;
  result["argmax_error"] = error / static_cast<double>(budget.queries);
  // The other end: the mean of all values, whatever is asked.
  const std::vector<double> mean =
      rows_of(affine(sum(facts.values, 0, true), 1.0 / static_cast<double>(pairs), 0.0))[0];
  double mean_error = 0.0;
  for (std::size_t q = best.size() / 2; q < best.size(); ++q) {
    mean_error += distance(mean, values[facts.wanted[q]]);
  }
  result["mean_error"] = mean_error / static_cast<double>(budget.queries);
  // Softmax comes first, sparsemax second, at each sharpness.
  std::vector<double> dense, errors;
  for (std::size_t n = 0; n < readers.size(); ++n) {
    nlohmann::json row = read_back(facts, geometry, readers[n], errors);
    row["separation"] = readers[n].separation;
    row["sharpness"] = readers[n].sharpness;
    if (readers[n].separation == "softmax") {
      dense = errors;
    } else if (readers[n].separation == "sparsemax") {
      std::int64_t inside = 0;
      std::int64_t worse = 0;
      std::int64_t worse_outside = 0;
      for (std::size_t q = 0; q < errors.size(); ++q) {
        const bool is_worse = errors[q] > dense[q] + 1e-12;
        inside += geometry[q].inside ? 1 : 0;
        worse += is_worse && geometry[q].inside ? 1 : 0;
        worse_outside += is_worse && !geometry[q].inside ? 1 : 0;
      }
      row["inside"] = inside;
      row["worse_outside"] = worse_outside;
      row["worse_than_dense"] = worse;
    }
    result["readers"].push_back(row);
    progress.tell(static_cast<double>(n + 1) / static_cast<double>(readers.size()),
                  fmt::format("{} pairs, noise {}, {}", pairs, noise, readers[n].separation));
  }
  return result;
}

std::vector<Part> parts(const Settings& settings) {
  const PlantedFactsBudget budget = planted_facts_budget(settings.size);
  std::vector<Part> all;
  for (const std::int64_t pairs : budget.pairs) {
    for (const double noise : budget.noise) {
      for (std::int64_t n = 0; n < budget.seeds; ++n) {
        const std::int64_t seed = settings.seed + n;
        all.push_back({planted_facts_key(pairs, noise, seed), static_cast<double>(pairs),
                       [=](const Progress& progress) {
                         return run_part(budget, pairs, noise, static_cast<std::uint64_t>(seed),
                                         progress);
                       }});
      }
    }
  }
  return all;
}

}  // namespace planted_facts_parts

std::string planted_facts_key(std::int64_t pairs, double noise, std::int64_t seed) {
  return fmt::format("pairs={}/noise={}/seed={}", pairs, noise, seed);
}

std::vector<Reader> planted_facts_readers(const std::vector<double>& sharpness) {
  using namespace planted_facts_parts;
  std::vector<Reader> all;
  for (const double beta : sharpness) {
    const auto add = [&](const std::string& name, const auto& change) {
      Reader reader{name, beta, {}};
      reader.options.beta = beta;
      change(reader.options);
      all.push_back(reader);
    };
    add("softmax", [](AssociationOptions&) {});
    add("sparsemax", [](AssociationOptions& o) { o.separation = Separation::sparsemax; });
    add("entmax-1.5", [](AssociationOptions& o) { o.separation = Separation::entmax; });
    add(fmt::format("top-{} softmax", kTop), [](AssociationOptions& o) { o.top_k = kTop; });
    if (beta <= kMostPolynomial) {
      add("polynomial", [&](AssociationOptions& o) {
        o.separation = Separation::polynomial;
        o.degree = static_cast<std::int64_t>(beta) + 1;
        o.beta = kPolynomialBeta;
      });
    }
  }
  return all;
}

PlantedFactsBudget planted_facts_budget(Size size) {
  PlantedFactsBudget budget;
  budget.pairs = {16, 64, 256, 1024};
  budget.noise = {0.0, 0.1, 0.3, 0.5, 1.0, 1.5, 2.0};
  budget.sharpness = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
  if (size == Size::smoke) {
    budget.width = 32;
    budget.queries = 32;
    budget.seeds = 3;
    budget.pairs = {16, 64};
    budget.noise = {0.1, 0.5, 1.0};
    budget.sharpness = {1, 8, 32, 256};
  } else if (size == Size::full) {
    budget.seeds = 10;
    budget.queries = 512;
    budget.pairs.push_back(4096);
  }
  return budget;
}

Experiment planted_facts() {
  using namespace planted_facts_parts;
  return {"planted-facts",
          "Attention heads as associative memories (memo)",
          "How well does one head read known pairs of key and value back?",
          "",
          parts,
          planted_facts_report,
          "",
          false};
}

}  // namespace basin::experiments
