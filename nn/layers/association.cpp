#include "nn/layers/association.h"

#include "autograd/operations.h"
#include "tensor/error.h"

namespace basin::nn {

namespace {

std::int64_t checked_head_width(std::int64_t width, std::int64_t heads, bool rotary) {
  if (heads < 1 || width % heads != 0) {
    fail("[Association] the width {} must be a multiple of the number of heads {}", width, heads);
  }
  if (rotary && width / heads % 2 != 0) {
    fail("[Association] rotary positions need an even head width; {} / {} is {}", width, heads,
         width / heads);
  }
  return width / heads;
}

}  // namespace

Association::Association(std::int64_t width, std::int64_t heads, const AssociationOptions& options,
                         Rng& rng, DType dtype, bool rotary, Rng* draws)
    : width_(width),
      heads_(heads),
      rotary_(rotary),
      retriever_(heads, checked_head_width(width, heads, rotary), options, rng, draws, dtype),
      query_(width, width, rng, dtype),
      key_(width, width, rng, dtype),
      value_(width, width, rng, dtype),
      out_(width, width, rng, dtype) {
  add_module("", retriever_);
  add_module("query", query_);
  add_module("key", key_);
  add_module("value", value_);
  add_module("out", out_);
}

// (B, L, width) to (B, heads, L, width / heads), a view.
Variable Association::split_heads(const Variable& x) const {
  return transpose(reshape(x, {x.size(0), x.size(1), heads_, width_ / heads_}), 1, 2);
}

Variable Association::forward(const Variable& query, const Variable& stored, const Variable& values,
                              const Tensor& key_lengths, Tensor* steps) const {
  const auto positioned = [this](const Variable& x) { return rotary_ ? rotary(x) : x; };
  const Variable k = positioned(split_heads(key_.forward(stored)));
  const Variable v = split_heads(value_.forward(values));
  const Variable q = positioned(split_heads(query_.forward(query)));
  const Variable read = retriever_.forward(q, k, v, key_lengths, {}, steps);
  return out_.forward(reshape(transpose(read, 1, 2), {query.size(0), query.size(1), width_}));
}

Variable Association::step(const Variable& x, RetrievalState& state) const {
  const NoGrad no_grad;
  const std::int64_t position = state.positions;
  // Positions turn rows by their number: the row stands behind as many others.
  const auto positioned = [&](const Variable& row) {
    if (!rotary_) {
      return row.value();
    }
    Tensor rows = Tensor::zeros({row.size(0), heads_, position + 1, row.size(3)}, row.dtype(),
                                row.value().device());
    rows.slice(2, position, position + 1).copy_from(row.value());
    return rotary(Variable(rows)).value().slice(2, position, position + 1);
  };
  const Tensor q = positioned(split_heads(query_.forward(x)));
  const Tensor k = positioned(split_heads(key_.forward(x)));
  const Variable read(retriever_.step(q, k, split_heads(value_.forward(x)).value(), state));
  return out_.forward(reshape(transpose(read, 1, 2), {x.size(0), 1, width_}));
}

}  // namespace basin::nn
