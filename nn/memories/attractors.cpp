#include "nn/memories/attractors.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

#include "tensor/error.h"

namespace basin::nn {

namespace {

using Numbers = std::vector<double>;

double distance(const double* a, const double* b, std::size_t width, double sign) {
  double sum = 0;
  for (std::size_t i = 0; i < width; ++i) {
    const double d = a[i] - sign * b[i];
    sum += d * d;
  }
  return std::sqrt(sum);
}

double default_radius(const Numbers& patterns, std::size_t width) {
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t a = 0; a < patterns.size(); a += width) {
    for (std::size_t b = 0; b < a; b += width) {
      least = std::min(least, distance(&patterns[a], &patterns[b], width, 1.0));
    }
  }
  if (!(least > 0) || std::isinf(least)) {
    fail("[sort_by_attractor] needs a radius: there are no two patterns, or two are the same");
  }
  return least / 4;
}

}  // namespace

Basins sort_by_attractor(const Tensor& ends, const Tensor& patterns, double radius) {
  if (ends.rank() != 2 || patterns.rank() != 2 || ends.size(1) != patterns.size(1) ||
      ends.size(1) < 1 || !(radius >= 0)) {
    fail(
        "[sort_by_attractor] needs ends (Q, D), patterns (M, D) and a radius of at least 0; got "
        "{}, {} and {}",
        describe(ends), describe(patterns), radius);
  }
  const auto width = static_cast<std::size_t>(ends.size(1));
  const Numbers x = ends.to_vector<double>();
  const Numbers xi = patterns.to_vector<double>();
  radius = radius > 0 ? radius : default_radius(xi, width);
  std::vector<Attractor> found;
  std::vector<std::size_t> of;
  for (std::size_t at = 0; at < x.size(); at += width) {
    Attractor here;
    double nearest = radius;
    // Patterns before negatives: where one is the negative of the other, both are patterns.
    for (const auto kind : {Attractor::Kind::pattern, Attractor::Kind::negative}) {
      const double sign = kind == Attractor::Kind::pattern ? 1.0 : -1.0;
      for (std::size_t mu = 0; mu < xi.size(); mu += width) {
        const double d = distance(&x[at], &xi[mu], width, sign);
        if (d < nearest || (d <= nearest && here.pattern < 0)) {
          nearest = d;
          here.kind = kind;
          here.pattern = static_cast<std::int64_t>(mu / width);
        }
      }
    }
    const auto same = [&](const Attractor& other) {
      return other.kind == here.kind && other.pattern == here.pattern &&
             (here.kind != Attractor::Kind::spurious ||
              distance(&x[at], other.state.data(), width, 1.0) <= radius);
    };
    auto known = std::find_if(found.begin(), found.end(), same);
    if (known == found.end()) {
      here.state.assign(x.begin() + static_cast<std::ptrdiff_t>(at),
                        x.begin() + static_cast<std::ptrdiff_t>(at + width));
      known = found.insert(found.end(), here);
    }
    of.push_back(static_cast<std::size_t>(known - found.begin()));
  }
  // Patterns first, in their order.
  std::vector<std::size_t> order(found.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return found[a].kind != found[b].kind ? found[a].kind < found[b].kind
                                          : found[a].pattern < found[b].pattern;
  });
  Basins basins;
  std::vector<std::int64_t> place(found.size());
  for (std::size_t n = 0; n < order.size(); ++n) {
    basins.attractors.push_back(found[order[n]]);
    place[order[n]] = static_cast<std::int64_t>(n);
  }
  for (const std::size_t index : of) {
    basins.of.push_back(place[index]);
  }
  return basins;
}

Tensor grid_states(double x_low, double x_high, std::int64_t columns, double y_low, double y_high,
                   std::int64_t rows) {
  if (columns < 1 || rows < 1 || !(x_low < x_high) || !(y_low < y_high)) {
    fail(
        "[grid_states] needs at least one column and row and two ranges that are not empty; got "
        "{} x {} cells over [{}, {}] x [{}, {}]",
        columns, rows, x_low, x_high, y_low, y_high);
  }
  Numbers states;
  states.reserve(static_cast<std::size_t>(2 * rows * columns));
  const double dx = (x_high - x_low) / static_cast<double>(columns);
  const double dy = (y_high - y_low) / static_cast<double>(rows);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      states.push_back(x_low + dx * (static_cast<double>(c) + 0.5));
      states.push_back(y_low + dy * (static_cast<double>(r) + 0.5));
    }
  }
  return Tensor::from(Shape{rows * columns, 2}, states);
}

}  // namespace basin::nn
