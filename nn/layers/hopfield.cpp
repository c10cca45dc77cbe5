#include "nn/layers/hopfield.h"

#include "autograd/operations.h"
#include "tensor/error.h"

namespace basin::nn {

namespace {

HopfieldOptions completed(HopfieldOptions o) {
  if (o.heads < 1 || o.query_width < 1 || o.stored_width < 1 || o.value_width < 1 ||
      o.head_width < 0 || o.value_head_width < 0 || o.output_width < 0) {
    fail("[Hopfield] widths and heads must be positive");
  }
  if (o.head_width == 0) {
    if (o.query_width % o.heads != 0) {
      fail("[Hopfield] set head_width: {} heads do not divide the query width {}", o.heads,
           o.query_width);
    }
    o.head_width = o.query_width / o.heads;
  }
  o.value_head_width = o.value_head_width == 0 ? o.head_width : o.value_head_width;
  const auto check_raw = [&](bool projects, const char* what, std::int64_t width,
                             std::int64_t needed) {
    if (!projects && width != needed) {
      fail("[Hopfield] without its projection the {} width must be {}; it is {}", what, needed,
           width);
    }
  };
  check_raw(o.project_query, "query", o.query_width, o.heads * o.head_width);
  check_raw(o.project_stored, "stored", o.stored_width, o.heads * o.head_width);
  check_raw(o.project_values, "value", o.value_width, o.heads * o.value_head_width);
  if (o.project_output) {
    o.output_width = o.output_width == 0 ? o.query_width : o.output_width;
  } else {
    if (o.output_width != 0 && o.output_width != o.heads * o.value_head_width) {
      fail("[Hopfield] without its projection the output width is {}; asked for is {}",
           o.heads * o.value_head_width, o.output_width);
    }
    o.output_width = o.heads * o.value_head_width;
  }
  return o;
}

// The state of a pooling layer has the width of all heads, and no projection.
HopfieldOptions pooling(HopfieldOptions o) {
  if (o.association.causal || o.association.window >= 0) {
    fail("[HopfieldPooling] learned queries stand nowhere: neither causal nor a window");
  }
  if (o.head_width == 0) {
    if (o.heads < 1 || o.stored_width % o.heads != 0) {
      fail("[HopfieldPooling] set head_width: {} heads do not divide the stored width {}", o.heads,
           o.stored_width);
    }
    o.head_width = o.stored_width / o.heads;
  }
  if (o.output_width == 0 && o.project_output) {
    o.output_width = o.stored_width;
  }
  o.query_width = o.heads * o.head_width;
  o.project_query = false;
  o.norm_query = false;
  return o;
}

// (rows, width) for every item of a batch, without a copy.
Variable for_all_items(const Variable& rows, std::int64_t batch) {
  return expand(reshape(rows, {1, rows.size(0), rows.size(1)}),
                {batch, rows.size(0), rows.size(1)});
}

}  // namespace

Hopfield::Hopfield(const HopfieldOptions& options, Rng& rng, DType dtype, Rng* draws)
    : options_(completed(options)),
      retriever_(options_.heads, options_.head_width, options_.association, rng, draws, dtype) {
  add_module("", retriever_);
  const HopfieldOptions& o = options_;
  const auto add_linear = [&](bool wanted, const char* name, std::int64_t in, std::int64_t out,
                              std::unique_ptr<Linear>& into) {
    if (wanted) {
      into = std::make_unique<Linear>(in, out, rng, dtype);
      add_module(name, *into);
    }
  };
  const auto add_norm = [&](bool wanted, const char* name, std::int64_t width,
                            std::unique_ptr<LayerNorm>& into) {
    if (wanted) {
      into = std::make_unique<LayerNorm>(width, dtype);
      add_module(name, *into);
    }
  };
  add_linear(o.project_query, "query", o.query_width, o.heads * o.head_width, query_);
  add_linear(o.project_stored, "key", o.stored_width, o.heads * o.head_width, key_);
  add_linear(o.project_values, "value", o.value_width, o.heads * o.value_head_width, value_);
  add_linear(o.project_output, "out", o.heads * o.value_head_width, o.output_width, out_);
  add_norm(o.norm_query, "norm_query", o.query_width, norm_query_);
  add_norm(o.norm_stored, "norm_stored", o.stored_width, norm_stored_);
  add_norm(o.norm_values, "norm_values", o.value_width, norm_values_);
  add_norm(o.pattern_norm == PatternNorm::layer, "norm_state", o.head_width, norm_state_);
  add_norm(o.pattern_norm == PatternNorm::layer, "norm_pattern", o.head_width, norm_pattern_);
  if (o.pattern_norm == PatternNorm::standardised) {
    one_ = add_constant(Tensor::full({o.head_width}, 1.0, dtype));
    zero_ = add_constant(Tensor::zeros({o.head_width}, dtype));
  }
}

// (B, rows, any) to (B, heads, rows, width).
Variable Hopfield::heads_of(const Variable& x, const LayerNorm* norm, const Linear* projection,
                            std::int64_t width) const {
  Variable y = norm != nullptr ? norm->forward(x) : x;
  y = projection != nullptr ? projection->forward(y) : y;
  return transpose(reshape(y, {x.size(0), x.size(1), options_.heads, width}), 1, 2);
}

Variable Hopfield::normalised(const Variable& x, const LayerNorm* norm) const {
  // Keeps a pattern of zeros what it is.
  constexpr double kEps = 1e-12;
  switch (options_.pattern_norm) {
    case PatternNorm::none: break;
    case PatternNorm::unit: return div(x, sqrt(affine(sum(square(x), -1, true), 1.0, kEps)));
    case PatternNorm::layer: return norm->forward(x);
    case PatternNorm::standardised: return layer_norm(x, one_, zero_, kEps);
  }
  return x;
}

Variable Hopfield::forward(const Variable& query, const Variable& stored, const Variable& values,
                           const Tensor& key_lengths, const Tensor& mask, Tensor* steps) const {
  const auto check_input = [](const char* name, const Variable& x, std::int64_t width) {
    if (x.shape().rank() != 3 || x.size(2) != width) {
      fail("[Hopfield] {} must be (B, rows, {}), got {}", name, width, describe(x.value()));
    }
  };
  check_input("query", query, options_.query_width);
  check_input("stored", stored, options_.stored_width);
  check_input("values", values, options_.value_width);
  const Variable q = normalised(
      heads_of(query, norm_query_.get(), query_.get(), options_.head_width), norm_state_.get());
  const Variable k = normalised(
      heads_of(stored, norm_stored_.get(), key_.get(), options_.head_width), norm_pattern_.get());
  const Variable v = heads_of(values, norm_values_.get(), value_.get(), options_.value_head_width);
  const Variable read = retriever_.forward(q, k, v, key_lengths, mask, steps);
  const Variable joined =
      reshape(transpose(read, 1, 2),
              {query.size(0), query.size(1), options_.heads * options_.value_head_width});
  return out_ != nullptr ? out_->forward(joined) : joined;
}

HopfieldPooling::HopfieldPooling(std::int64_t num_patterns, HopfieldOptions options, Rng& rng,
                                 DType dtype, Rng* draws)
    : num_patterns_(num_patterns), hopfield_(pooling(std::move(options)), rng, dtype, draws) {
  if (num_patterns < 1) {
    fail("[HopfieldPooling] num_patterns must be at least 1, got {}", num_patterns);
  }
  state_ = add_parameter("state",
                         rng.normal({num_patterns, hopfield_.options().query_width}, 1.0, dtype));
  add_module("", hopfield_);
}

Variable HopfieldPooling::forward(const Variable& stored, const Tensor& key_lengths,
                                  Tensor* steps) const {
  return hopfield_.forward(for_all_items(state_, stored.size(0)), stored, stored, key_lengths, {},
                           steps);
}

HopfieldLayer::HopfieldLayer(std::int64_t num_patterns, const HopfieldOptions& options, Rng& rng,
                             DType dtype, Rng* draws)
    : hopfield_(options, rng, dtype, draws) {
  if (num_patterns < 1) {
    fail("[HopfieldLayer] num_patterns must be at least 1, got {}", num_patterns);
  }
  stored_ = add_parameter("stored",
                          rng.normal({num_patterns, hopfield_.options().stored_width}, 1.0, dtype));
  values_ = add_parameter("values",
                          rng.normal({num_patterns, hopfield_.options().value_width}, 1.0, dtype));
  add_module("", hopfield_);
}

HopfieldLayer::HopfieldLayer(const Tensor& stored, const Tensor& values,
                             const HopfieldOptions& options, Rng& rng, Rng* draws)
    : hopfield_(options, rng, stored.dtype(), draws),
      stored_(add_constant(stored)),
      values_(add_constant(values)) {
  if (stored.rank() != 2 || values.rank() != 2 || stored.size(0) != values.size(0) ||
      stored.size(1) != hopfield_.options().stored_width ||
      values.size(1) != hopfield_.options().value_width) {
    fail("[HopfieldLayer] needs stored (M, {}) and values (M, {}); got {} and {}",
         hopfield_.options().stored_width, hopfield_.options().value_width, describe(stored),
         describe(values));
  }
  add_module("", hopfield_);
}

Variable HopfieldLayer::forward(const Variable& query, Tensor* steps) const {
  return hopfield_.forward(query, for_all_items(stored_, query.size(0)),
                           for_all_items(values_, query.size(0)), {}, {}, steps);
}

}  // namespace basin::nn
