// Softmax attention on the CPU, in tiles of queries. Of the keys of a tile, those that all its
// queries see go through matrix products; those that only some see (the diagonal of a causal
// tile) are taken query by query, so that a hidden key is never multiplied, not even by 0.
#include <cmath>
#include <limits>

#include "kernels/association/check.h"
#include "kernels/association/flash_attention.h"
#include "kernels/association/softmax_attention.h"
#include "kernels/common/dispatch.h"
#include "kernels/common/row_math.h"
#include "kernels/gemm/blas.h"
#include "kernels/simd/isa.h"

namespace basin::kernels {

namespace {

constexpr std::int64_t kTile = 32;

// The queries [begin, end) of one head and their keys: [0, common) is seen by all of them.
struct Tile {
  std::int64_t begin, end, common;
  std::int64_t rows() const { return end - begin; }
};

// Geometry shared by both directions; P is AttentionForward or AttentionBackward.
template <class P>
Tile tile_at(const P& p, std::int64_t b, std::int64_t begin) {
  Tile tile{begin, std::min(begin + kTile, p.L), 0};
  // Visibility grows with i, so the first query of the tile sees the least.
  tile.common = p.variant == 1 ? 0 : visible_keys(p.key_lengths, b, p.causal, begin, p.L, p.M);
  return tile;
}

template <class P>
std::int64_t visible(const P& p, std::int64_t b, std::int64_t i) {
  return visible_keys(p.key_lengths, b, p.causal, i, p.L, p.M);
}

// scores[r, j] = beta q_(begin + r).k_j for the visible j; row distance M.
template <class T, class P>
void scores_of(const P& p, const Tile& tile, std::int64_t b, std::int64_t h, T beta, T* scores) {
  const T* q = p.q.template head<T>(b, h) + tile.begin * p.q.row_stride;
  const T* k = p.k.template head<T>(b, h);
  if (tile.common > 0) {
    blas::gemm(false, true, tile.rows(), tile.common, p.D, beta, q, p.q.row_stride, k,
               p.k.row_stride, T(0), scores, p.M);
  }
  for (std::int64_t r = 0; r < tile.rows(); ++r) {
    const std::int64_t end = visible(p, b, tile.begin + r);
    for (std::int64_t j = tile.common; j < end; ++j) {
      scores[r * p.M + j] = beta * row_dot(q + r * p.q.row_stride, k + j * p.k.row_stride, p.D);
    }
  }
}

// y_(begin + r) = sum over visible j of weights[r, j] x_j, for x (M, width).
template <class T, class P>
void read_out(const P& p, const Tile& tile, std::int64_t b, const T* weights, const T* x,
              std::int64_t x_stride, std::int64_t width, T* y, std::int64_t y_stride) {
  if (tile.common > 0) {
    blas::gemm(false, false, tile.rows(), width, tile.common, T(1), weights, p.M, x, x_stride, T(0),
               y, y_stride);
  }
  for (std::int64_t r = 0; r < tile.rows(); ++r) {
    if (tile.common == 0) {
      std::fill(y + r * y_stride, y + r * y_stride + width, T(0));
    }
    const std::int64_t end = visible(p, b, tile.begin + r);
    for (std::int64_t j = tile.common; j < end; ++j) {
      row_add(y + r * y_stride, x + j * x_stride, width, weights[r * p.M + j]);
    }
  }
}

// y_j += scale sum over queries r of the tile that see j of weights[r, j] x_(begin + r).
template <class T, class P>
void scatter_in(const P& p, const Tile& tile, std::int64_t b, T scale, const T* weights, const T* x,
                std::int64_t x_stride, std::int64_t width, T* y, std::int64_t y_stride) {
  if (tile.common > 0) {
    blas::gemm(true, false, tile.common, width, tile.rows(), scale, weights, p.M, x, x_stride, T(1),
               y, y_stride);
  }
  for (std::int64_t r = 0; r < tile.rows(); ++r) {
    const std::int64_t end = visible(p, b, tile.begin + r);
    for (std::int64_t j = tile.common; j < end; ++j) {
      row_add(y + j * y_stride, x + r * x_stride, width, scale * weights[r * p.M + j]);
    }
  }
}

template <class T>
void forward_tile(const AttentionForward& p, std::int64_t b, std::int64_t h, std::int64_t begin,
                  T* scores) {
  const Tile tile = tile_at(p, b, begin);
  scores_of(p, tile, b, h, static_cast<const T*>(p.beta)[h], scores);
  T* lse = static_cast<T*>(p.lse) + (b * p.H + h) * p.L + begin;
  for (std::int64_t r = 0; r < tile.rows(); ++r) {
    const std::int64_t count = visible(p, b, begin + r);
    T* row = scores + r * p.M;
    if (count == 0) {
      lse[r] = -std::numeric_limits<T>::infinity();
      continue;
    }
    const T shift = row_max(row, count);
    const T sum = row_exp(row, row, count, shift);
    lse[r] = shift + std::log(sum);
    for (std::int64_t j = 0; j < count; ++j) {
      row[j] /= sum;
    }
  }
  read_out(p, tile, b, scores, p.v.head<T>(b, h), p.v.row_stride, p.Dv,
           p.out.head<T>(b, h) + begin * p.out.row_stride, p.out.row_stride);
}

template <class T>
void backward_tile(const AttentionBackward& p, std::int64_t b, std::int64_t h, std::int64_t begin,
                   T* weights, T* slopes, double& dbeta) {
  const Tile tile = tile_at(p, b, begin);
  const T beta = static_cast<const T*>(p.beta)[h];
  const T* q = p.q.head<T>(b, h) + begin * p.q.row_stride;
  const T* k = p.k.head<T>(b, h);
  const T* v = p.v.head<T>(b, h);
  const T* out = p.out.head<T>(b, h) + begin * p.out.row_stride;
  const T* dout = p.dout.head<T>(b, h) + begin * p.dout.row_stride;
  T* dq = p.dq.head<T>(b, h) + begin * p.dq.row_stride;
  const T* lse = static_cast<const T*>(p.lse) + (b * p.H + h) * p.L + begin;

  scores_of(p, tile, b, h, beta, weights);
  if (tile.common > 0) {
    blas::gemm(false, true, tile.rows(), tile.common, p.Dv, T(1), dout, p.dout.row_stride, v,
               p.v.row_stride, T(0), slopes, p.M);
  }
  for (std::int64_t r = 0; r < tile.rows(); ++r) {
    const std::int64_t count = visible(p, b, begin + r);
    const T* dout_row = dout + r * p.dout.row_stride;
    T* weight = weights + r * p.M;
    T* slope = slopes + r * p.M;
    for (std::int64_t j = tile.common; j < count; ++j) {
      slope[j] = row_dot(dout_row, v + j * p.v.row_stride, p.Dv);
    }
    const T delta = row_dot(dout_row, out + r * p.out.row_stride, p.Dv);
    for (std::int64_t j = 0; j < count; ++j) {
      weight[j] = exp_of(weight[j] - lse[r]);
      slope[j] = weight[j] * (slope[j] - delta);
    }
  }
  scatter_in(p, tile, b, T(1), weights, dout, p.dout.row_stride, p.Dv, p.dv.head<T>(b, h),
             p.dv.row_stride);
  scatter_in(p, tile, b, beta, slopes, q, p.q.row_stride, p.D, p.dk.head<T>(b, h), p.dk.row_stride);
  // dq without its factor beta first: its product with q is the gradient of beta, also at beta = 0.
  read_out(p, tile, b, slopes, k, p.k.row_stride, p.D, dq, p.dq.row_stride);
  for (std::int64_t r = 0; r < tile.rows(); ++r) {
    T* row = dq + r * p.dq.row_stride;
    dbeta += static_cast<double>(row_dot(q + r * p.q.row_stride, row, p.D));
    for (std::int64_t d = 0; d < p.D; ++d) {
      row[d] *= beta;
    }
  }
}

// Without vector instructions of ours, OpenBLAS still has its own.
template <class P>
bool is_flash(const P& p) {
  const bool floating = p.dtype == DType::f32 || p.dtype == DType::f64;
  return floating && (p.variant == 3 || (p.variant == 0 && isa() != Isa::baseline));
}

constexpr const char* kInF32 =
    "attention: the CPU multiplies in f32; factors in tf32 are to be rounded before";

std::int64_t tile_bytes(std::int64_t keys, DType dtype) {
  return kTile * keys * static_cast<std::int64_t>(size_of(dtype));
}

}  // namespace

std::int64_t attention_forward_workspace(const AttentionForward& p, const CpuContext& context) {
  if (is_flash(p)) {
    return flash_attention_forward_workspace(p, context);
  }
  return context.pool->threads() * tile_bytes(p.M, p.dtype);
}

Status attention_forward(const AttentionForward& p, const CpuContext& context) {
  if (const Status status = check_attention(p, 3); !status.ok()) {
    return status;
  }
  if (p.precision != Precision::f32) {
    return Status::unsupported(kInF32);
  }
  if (is_flash(p)) {
    flash_attention_forward(p, context);
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t tiles = (p.L + kTile - 1) / kTile;
    context.pool->run(p.B * p.H * tiles, [&](std::int64_t chunk) {
      T* scores = static_cast<T*>(p.workspace) + ThreadPool::thread_index() * kTile * p.M;
      const std::int64_t head = chunk / tiles;
      forward_tile<T>(p, head / p.H, head % p.H, chunk % tiles * kTile, scores);
    });
    return Status{};
  });
}

std::int64_t attention_backward_workspace(const AttentionBackward& p, const CpuContext& context) {
  if (is_flash(p)) {
    return flash_attention_backward_workspace(p, context);
  }
  return context.pool->threads() * 2 * tile_bytes(p.M, p.dtype) +
         p.B * p.H * static_cast<std::int64_t>(sizeof(double));
}

Status attention_backward(const AttentionBackward& p, const CpuContext& context) {
  if (const Status status = check_attention(p, 3); !status.ok()) {
    return status;
  }
  if (p.precision != Precision::f32) {
    return Status::unsupported(kInF32);
  }
  if (is_flash(p)) {
    flash_attention_backward(p, context);
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    // The doubles come first: they need the larger alignment.
    double* dbeta = static_cast<double*>(p.workspace);
    T* scratch = reinterpret_cast<T*>(dbeta + p.B * p.H);
    // A head is one chunk: its dk and dv collect contributions from all its tiles, in order.
    context.pool->run(p.B * p.H, [&](std::int64_t head) {
      const std::int64_t b = head / p.H;
      const std::int64_t h = head % p.H;
      T* weights = scratch + ThreadPool::thread_index() * 2 * kTile * p.M;
      T* slopes = weights + kTile * p.M;
      for (std::int64_t j = 0; j < p.M; ++j) {
        T* dk = p.dk.head<T>(b, h) + j * p.dk.row_stride;
        T* dv = p.dv.head<T>(b, h) + j * p.dv.row_stride;
        std::fill(dk, dk + p.D, T(0));
        std::fill(dv, dv + p.Dv, T(0));
      }
      dbeta[head] = 0;
      for (std::int64_t begin = 0; begin < p.L; begin += kTile) {
        backward_tile<T>(p, b, h, begin, weights, slopes, dbeta[head]);
      }
    });
    if (p.dbeta != nullptr) {
      for (std::int64_t h = 0; h < p.H; ++h) {
        double total = 0;
        for (std::int64_t b = 0; b < p.B; ++b) {
          total += dbeta[b * p.H + h];
        }
        static_cast<T*>(p.dbeta)[h] = static_cast<T>(total);
      }
    }
    return Status{};
  });
}

}  // namespace basin::kernels
