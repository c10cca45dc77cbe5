// Variant 3 of softmax attention: tiles of queries against blocks of keys, scores never stored
// (T. Dao et al. 2022; the running maximum and sum are from M. Milakov and N. Gimelshein 2018).
// Memory beside the arrays: packed copies of keys, values (and, backward, queries and dout), and a
// few tiles per thread.
#pragma once

#include "kernels/association/softmax_attention.h"

namespace basin::kernels {

/// Arguments as checked by attention_forward() and attention_backward().
std::int64_t flash_attention_forward_workspace(const AttentionForward&, const CpuContext&);
void flash_attention_forward(const AttentionForward&, const CpuContext&);

std::int64_t flash_attention_backward_workspace(const AttentionBackward&, const CpuContext&);
void flash_attention_backward(const AttentionBackward&, const CpuContext&);

}  // namespace basin::kernels
