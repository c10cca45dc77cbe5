// A block of rows at a time, its logits cut into tiles of classes that fit the second-level cache.
//   1. per tile: logits = x W^T + bias, and for each row the maximum and the sum of exponentials
//   2. per row: lse from the parts of its tiles, and the loss
//   3. per tile: logits become dlogits; dx += dlogits W, dweight += dlogits^T x, dbias += sum
// Steps 1 and 3 meet a logit once each; everything else about it happens in the cache. dx is summed
// in a fixed number of groups of tiles, so that threads never add to the same numbers.
#include "kernels/loss/linear_cross_entropy_tiles.h"

#include <cmath>

#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/loss/linear_cross_entropy_tiles.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/product-inl.h"
#include "kernels/simd/round-inl.h"
#include "kernels/simd/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

constexpr std::int64_t kClasses = 256;  // of a tile
constexpr std::int64_t kDepth = 256;    // of x and W that a product takes at a time
constexpr std::int64_t kGroups = 16;    // of tiles, each with a dx of its own

template <class T>
struct TileLayout {
  std::int64_t tiles, groups, rows;
  std::int64_t per_thread;

  explicit TileLayout(const LinearCrossEntropy& p)
      : tiles((p.classes + kClasses - 1) / kClasses),
        groups(std::min(tiles, kGroups)),
        // Whole blocks of the product at every level.
        rows(std::min(std::max<std::int64_t>(96, p.most_logits / (tiles * kClasses) / 12 * 12),
                      std::max<std::int64_t>(1, p.rows))),
        per_thread(std::max(packed_size<T>(std::min(p.width, kDepth), kClasses),
                            packed_size<T>(kClasses, p.width))) {}

  std::int64_t logits() const { return tiles * rows * kClasses; }
  /// Maximum, sum of exponentials and sum of logits of each row and tile.
  std::int64_t parts() const { return 3 * tiles * rows; }
  std::int64_t elements(const LinearCrossEntropy& p, int threads) const {
    return rows * p.width + packed_size<T>(rows, p.width) + logits() + parts() + rows +
           (p.dx != nullptr ? groups * rows * p.width : 0) + threads * per_thread;
  }
  std::int64_t bytes(const LinearCrossEntropy& p, int threads) const {
    return 2 * rows * static_cast<std::int64_t>(sizeof(std::int64_t)) +
           elements(p, threads) * static_cast<std::int64_t>(sizeof(T));
  }
};

template <class T>
class TiledLoss {
 public:
  TiledLoss(const LinearCrossEntropy& p, const CpuContext& context)
      : p_(p), context_(context), layout_(p) {
    targets_ = static_cast<std::int64_t*>(p.workspace);
    numbers_ = targets_ + layout_.rows;
    x_ = reinterpret_cast<T*>(numbers_ + layout_.rows);
    packed_x_ = x_ + layout_.rows * p.width;
    logits_ = packed_x_ + packed_size<T>(layout_.rows, p.width);
    parts_ = logits_ + layout_.logits();
    lse_ = parts_ + layout_.parts();
    scratch_ = lse_ + layout_.rows;
    dx_ = scratch_ + context.pool->threads() * layout_.per_thread;
  }

  void run() {
    for (std::int64_t at = 0; at < p_.rows;) {
      at = gather(at);
      if (rows_ == 0) {
        break;  // nothing but ignored rows was left
      }
      context_.pool->run(layout_.tiles, [&](std::int64_t tile) { make_logits(tile); });
      for (std::int64_t r = 0; r < rows_; ++r) {
        judge_row(r);
      }
      if (p_.dx != nullptr) {
        pack(x_, p_.width, rows_, p_.width, packed_x_);
        context_.pool->run(layout_.groups, [&](std::int64_t group) { differentiate(group); });
        scatter_dx();
      }
      is_first_ = false;
    }
  }

 private:
  std::int64_t classes_of(std::int64_t tile) const {
    return std::min(kClasses, p_.classes - tile * kClasses);
  }
  T* tile_of(std::int64_t tile) const { return logits_ + tile * layout_.rows * kClasses; }
  T* part(std::int64_t tile, std::int64_t r) const {
    return parts_ + 3 * (tile * layout_.rows + r);
  }
  T* scratch() const { return scratch_ + ThreadPool::thread_index() * layout_.per_thread; }
  const T* weight_of(std::int64_t tile) const {
    return static_cast<const T*>(p_.weight) + tile * kClasses * p_.width;
  }

  // Copies the next rows that count side by side, as factors of products; returns where to go on.
  std::int64_t gather(std::int64_t at) {
    rows_ = 0;
    for (; at < p_.rows && rows_ < layout_.rows; ++at) {
      if (p_.targets[at] == p_.ignore_index) {
        static_cast<T*>(p_.row_loss)[at] = T(0);
        if (p_.dx != nullptr) {
          std::fill_n(static_cast<T*>(p_.dx) + at * p_.width, p_.width, T(0));
        }
        continue;
      }
      round_row(static_cast<const T*>(p_.x) + at * p_.width, x_ + rows_ * p_.width, p_.width,
                p_.precision);
      targets_[rows_] = p_.targets[at];
      numbers_[rows_++] = at;
    }
    return at;
  }

  void make_logits(std::int64_t tile) {
    const std::int64_t classes = classes_of(tile);
    T* logits = tile_of(tile);
    T* packed = scratch();
    for (std::int64_t k = 0; k < p_.width; k += kDepth) {
      const std::int64_t depth = std::min(kDepth, p_.width - k);
      pack_transposed(weight_of(tile) + k, p_.width, depth, classes, packed);
      round_row(packed, packed, packed_size<T>(depth, classes), p_.precision);
      product(rows_, classes, depth, Left<T>{x_ + k, p_.width, 1}, Packed<T>::of(packed, depth),
              logits, kClasses, Update<T>{T(1), k == 0 ? T(0) : T(1)});
    }
    const T* bias = p_.bias == nullptr ? nullptr : static_cast<const T*>(p_.bias) + tile * kClasses;
    for (std::int64_t r = 0; r < rows_; ++r) {
      T* row = logits + r * kClasses;
      if (bias != nullptr) {
        for (std::int64_t c = 0; c < classes; ++c) {
          row[c] += bias[c];
        }
      }
      T* to = part(tile, r);
      to[0] = vector_max(row, classes);
      // A NaN among the logits makes the sum NaN whatever the maximum is.
      to[1] = vector_sum_exp(row, classes, to[0]);
      to[2] = T(0);
      for (std::int64_t c = 0; p_.label_smoothing != 0.0 && c < classes; ++c) {
        to[2] += row[c];
      }
    }
  }

  void judge_row(std::int64_t r) {
    T top = part(0, r)[0];
    for (std::int64_t tile = 1; tile < layout_.tiles; ++tile) {
      top = std::max(top, part(tile, r)[0]);
    }
    T sum = 0;
    T total = 0;
    for (std::int64_t tile = 0; tile < layout_.tiles; ++tile) {
      const T* from = part(tile, r);
      sum += from[1] * exp_of(from[0] - top);
      total += from[2];
    }
    lse_[r] = top + std::log(sum);
    const std::int64_t target = targets_[r];
    const T hit = tile_of(target / kClasses)[r * kClasses + target % kClasses];
    const T smoothing = static_cast<T>(p_.label_smoothing);
    // lse - logit rather than -log p: with the target far above the rest this is 0, never -0.
    T loss = lse_[r] - hit;
    if (smoothing != T(0)) {
      loss = (T(1) - smoothing) * loss + smoothing * (lse_[r] - total / static_cast<T>(p_.classes));
    }
    static_cast<T*>(p_.row_loss)[numbers_[r]] = loss;
  }

  void differentiate(std::int64_t group) {
    T* dx = dx_ + group * layout_.rows * p_.width;
    const std::int64_t first = group * layout_.tiles / layout_.groups;
    const std::int64_t end = (group + 1) * layout_.tiles / layout_.groups;
    for (std::int64_t tile = first; tile < end; ++tile) {
      const std::int64_t classes = classes_of(tile);
      T* slopes = tile_of(tile);
      for (std::int64_t r = 0; r < rows_; ++r) {
        slope_row(slopes + r * kClasses, classes, r, targets_[r] - tile * kClasses);
      }
      add_to_dbias(tile, classes);
      for (std::int64_t r = 0; r < rows_; ++r) {
        round_row(slopes + r * kClasses, slopes + r * kClasses, classes, p_.precision);
      }
      T* packed = scratch();
      pack(weight_of(tile), p_.width, classes, p_.width, packed);
      round_row(packed, packed, packed_size<T>(classes, p_.width), p_.precision);
      product(rows_, p_.width, classes, Left<T>{slopes, kClasses, 1},
              Packed<T>::of(packed, classes), dx, p_.width,
              Update<T>{T(1), tile == first ? T(0) : T(1)});
      product(classes, p_.width, rows_, Left<T>{slopes, 1, kClasses},
              Packed<T>::of(packed_x_, rows_),
              static_cast<T*>(p_.dweight) + tile * kClasses * p_.width, p_.width,
              Update<T>{T(1), is_first_ ? T(0) : T(1)});
    }
  }

  // The slopes of a tile, before they are rounded for the products.
  void add_to_dbias(std::int64_t tile, std::int64_t classes) {
    if (p_.dbias == nullptr) {
      return;
    }
    const T* slopes = tile_of(tile);
    T* dbias = static_cast<T*>(p_.dbias) + tile * kClasses;
    if (is_first_) {
      std::fill_n(dbias, classes, T(0));
    }
    for (std::int64_t r = 0; r < rows_; ++r) {
      for (std::int64_t c = 0; c < classes; ++c) {
        dbias[c] += slopes[r * kClasses + c];
      }
    }
  }

  // Logits of one row and tile become dlogits; `hit` is the target's place in the tile, or outside.
  void slope_row(T* row, std::int64_t classes, std::int64_t r, std::int64_t hit) {
    const T scale = static_cast<T>(p_.scale);
    const T even = static_cast<T>(p_.label_smoothing / static_cast<double>(p_.classes));
    vector_exp_sum(row, row, classes, lse_[r]);
    for (std::int64_t c = 0; c < classes; ++c) {
      row[c] = scale * (row[c] - even);
    }
    if (hit >= 0 && hit < classes) {
      row[hit] -= scale * static_cast<T>(1.0 - p_.label_smoothing);
    }
  }

  void scatter_dx() {
    for_ranges(context_, rows_, 32, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        T* to = static_cast<T*>(p_.dx) + numbers_[r] * p_.width;
        const T* from = dx_ + r * p_.width;
        for (std::int64_t k = 0; k < p_.width; ++k) {
          to[k] = from[k];
        }
        for (std::int64_t group = 1; group < layout_.groups; ++group) {
          const T* more = from + group * layout_.rows * p_.width;
          for (std::int64_t k = 0; k < p_.width; ++k) {
            to[k] += more[k];
          }
        }
      }
    });
  }

  const LinearCrossEntropy& p_;
  const CpuContext& context_;
  TileLayout<T> layout_;
  std::int64_t rows_ = 0;  // of the block at hand
  bool is_first_ = true;
  std::int64_t *targets_, *numbers_;
  T *x_, *packed_x_, *logits_, *parts_, *lse_, *scratch_, *dx_;
};

void tiles_target(const LinearCrossEntropy& p, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    TiledLoss<double>(p, context).run();
  } else {
    TiledLoss<float>(p, context).run();
  }
}

std::int64_t tiles_workspace_target(const LinearCrossEntropy& p, const CpuContext& context) {
  const int threads = context.pool->threads();
  return p.dtype == DType::f64 ? TileLayout<double>(p).bytes(p, threads)
                               : TileLayout<float>(p).bytes(p, threads);
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(tiles_target);
HWY_EXPORT(tiles_workspace_target);

void linear_cross_entropy_tiles(const LinearCrossEntropy& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(tiles_target)(p, context);
}

std::int64_t linear_cross_entropy_tiles_workspace(const LinearCrossEntropy& p,
                                                  const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(tiles_workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif
