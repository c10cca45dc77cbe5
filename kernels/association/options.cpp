// Which options make sense, alone and together.
#include "kernels/association/options.h"

#include <charconv>
#include <cmath>

namespace basin {

namespace {

std::string number(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, result.ptr);
}

// Each number by itself.
std::string check_ranges(const AssociationOptions& o) {
  const auto whole = [](const char* name, std::int64_t value, std::int64_t least) {
    return value >= least ? ""
                          : std::string(name) + " must be at least " + std::to_string(least) +
                                "; got " + std::to_string(value);
  };
  if (!(o.beta >= 0.0) || !std::isfinite(o.beta)) {
    return "beta must be a positive number, or 0 for 1/sqrt(head width); got " + number(o.beta);
  }
  if (!(o.tolerance >= 0.0) || !std::isfinite(o.tolerance)) {
    return "tolerance must be 0 or a positive number; got " + number(o.tolerance);
  }
  if (!(o.alpha >= 1.01 && o.alpha <= 2.0)) {
    return "alpha must be at least 1.01 and at most 2; got " + number(o.alpha);
  }
  if (!(o.random_keep > 0.0 && o.random_keep <= 1.0)) {
    return "random_keep must be above 0 and at most 1; got " + number(o.random_keep);
  }
  if (!(o.top_fraction >= 0.0 && o.top_fraction <= 1.0)) {
    return "top_fraction must be above 0 and at most 1, or 0 for all keys; got " +
           number(o.top_fraction);
  }
  if (!(o.weight_dropout >= 0.0 && o.weight_dropout < 1.0)) {
    return "weight_dropout must be at least 0 and below 1; got " + number(o.weight_dropout);
  }
  if (o.window < -1) {
    return "window must be a radius, or -1 for none; got " + std::to_string(o.window);
  }
  for (const std::string& problem :
       {whole("update_steps", o.update_steps, 1), whole("degree", o.degree, 2),
        whole("dilation", o.dilation, 1), whole("global_tokens", o.global_tokens, 0),
        whole("top_k", o.top_k, 0), whole("features", o.features, 0),
        whole("redraw_every", o.redraw_every, 0)}) {
    if (!problem.empty()) {
      return problem;
    }
  }
  return "";
}

bool hides_by_more_than_a_prefix(const AssociationOptions& o) {
  return o.window >= 0 || o.random_keep < 1.0 || o.top_k > 0 || o.top_fraction > 0;
}

std::string check_kernelised(const AssociationOptions& o) {
  const std::string name = name_of(o.separation);
  if (o.update_steps != 1) {
    return name + " separation has one update step; got " + std::to_string(o.update_steps);
  }
  if (o.separation == Separation::linear &&
      (o.beta != 0.0 || o.learned_beta != LearnedBeta::none)) {
    return "linear separation has no inverse temperature; leave beta at 0 and learned_beta at none";
  }
  if (!is_plain(o)) {
    return name +
           " separation has no weights of single keys that a window, a random mask, top-k, "
           "normalise=all or weight_dropout could change";
  }
  return "";
}

}  // namespace

bool is_plain(const AssociationOptions& o) {
  return !hides_by_more_than_a_prefix(o) && o.normalise == Normalise::support &&
         o.weight_dropout == 0.0 && (o.tolerance == 0.0 || o.update_steps == 1);
}

std::string validate(const AssociationOptions& o) {
  if (const std::string problem = check_ranges(o); !problem.empty()) {
    return problem;
  }
  const AssociationOptions standard;
  if (o.separation != Separation::random_features &&
      (o.features != standard.features || o.orthogonal != standard.orthogonal ||
       o.redraw_every != standard.redraw_every || o.feature_map != standard.feature_map)) {
    return std::string(
               "features, orthogonal, redraw_every and feature_map belong to "
               "random_features; ") +
           name_of(o.separation) + " has none";
  }
  if (is_kernelised(o.separation)) {
    if (const std::string problem = check_kernelised(o); !problem.empty()) {
      return problem;
    }
  }
  if (o.separation != Separation::entmax && (o.learned_alpha || o.alpha != 1.5)) {
    return std::string("alpha belongs to entmax; ") + name_of(o.separation) + " has none";
  }
  // 1 + sigmoid(a) never reaches 2.
  if (o.learned_alpha && o.alpha >= 2.0) {
    return "a learned alpha starts below 2; for 2 take sparsemax";
  }
  if (o.separation != Separation::polynomial && o.degree != standard.degree) {
    return std::string("degree belongs to polynomial separation; ") + name_of(o.separation) +
           " has none";
  }
  if (o.tolerance > 0 && o.update_steps == 1) {
    return "tolerance ends retrieval before update_steps are done; with one step it has no effect";
  }
  if (o.window < 0 && (o.dilation != 1 || o.global_tokens != 0)) {
    return "dilation and global_tokens belong to a window; set window";
  }
  if (o.random_keep == 1.0 &&
      (o.random_grain != MaskGrain::element || o.random_draw != MaskDraw::call)) {
    return "random_grain and random_draw belong to a random mask; set random_keep below 1";
  }
  if (o.top_k > 0 && o.top_fraction > 0) {
    return "top_k and top_fraction say the same thing twice; set one of them";
  }
  if (o.normalise == Normalise::all && o.causal) {
    return "normalise=all would let later keys into the sum of a causal query";
  }
  return "";
}

}  // namespace basin
