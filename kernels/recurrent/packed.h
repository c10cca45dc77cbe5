// Variant 2 of the recurrences: weights packed once for all steps, gates computed from the
// registers of the product. Arguments as checked by the functions without "packed".
#pragma once

#include "kernels/recurrent/gru.h"
#include "kernels/recurrent/lstm.h"
#include "kernels/recurrent/rnn.h"

namespace basin::kernels {

/// Workspaces in bytes.
std::int64_t rnn_forward_packed_workspace(const RnnForward&);
void rnn_forward_packed(const RnnForward&, const CpuContext&);
std::int64_t rnn_backward_packed_workspace(const RnnBackward&);
void rnn_backward_packed(const RnnBackward&, const CpuContext&);

std::int64_t lstm_forward_packed_workspace(const LstmForward&);
void lstm_forward_packed(const LstmForward&, const CpuContext&);
std::int64_t lstm_backward_packed_workspace(const LstmBackward&);
void lstm_backward_packed(const LstmBackward&, const CpuContext&);

std::int64_t gru_forward_packed_workspace(const GruForward&);
void gru_forward_packed(const GruForward&, const CpuContext&);
std::int64_t gru_backward_packed_workspace(const GruBackward&);
void gru_backward_packed(const GruBackward&, const CpuContext&);

}  // namespace basin::kernels
