#include "tensor/functions/linear_cross_entropy.h"

#include <algorithm>
#include <type_traits>

#include "kernels/loss/linear_cross_entropy.h"
#include "kernels/loss/linear_rows.h"
#include "tensor/check.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/reduce.h"
#include "tensor/indices.h"
#include "tensor/workspace.h"

namespace basin {

namespace {

// 1 / the number of targets that count, f64 (), where the labels lie.
Tensor target_scale(const Tensor& labels, std::int64_t ignore_index) {
  Tensor scale = Tensor::empty({}, DType::f64, labels.device());
  const kernels::LinearTargetScale p{labels.kernel_data<std::int64_t>(), labels.numel(),
                                     ignore_index, static_cast<double*>(scale.mutable_raw())};
  const auto run = [&](const auto& at) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(at)>, kernels::CpuContext>) {
      return kernels::Status{};  // not asked for
    } else {
      return kernels::linear_target_scale(p, at);
    }
  };
  check(on_device(labels.device(), run), "linear_cross_entropy", labels);
  return scale;
}

}  // namespace

LinearCrossEntropyResult linear_cross_entropy(const Tensor& x, const Tensor& weight,
                                              const Tensor& bias, const Tensor& targets,
                                              std::int64_t ignore_index, double label_smoothing,
                                              bool with_gradients, Precision precision) {
  check_same_floating("linear_cross_entropy", x, weight);
  check_precision("linear_cross_entropy", precision, x);
  if (x.rank() < 1 || weight.rank() != 2 || x.size(-1) != weight.size(1) ||
      targets.dtype() != DType::i64 ||
      !std::equal(targets.shape().begin(), targets.shape().end(), x.shape().begin(),
                  x.shape().end() - 1)) {
    fail(
        "[linear_cross_entropy] needs x (..., width), weight (classes, width) and i64 targets "
        "(...), got {}, {} and {}",
        describe(x), describe(weight), describe(targets));
  }
  if (bias.defined()) {
    check_same_floating("linear_cross_entropy", x, bias);
    if (!(bias.shape() == Shape{weight.size(0)})) {
      fail("[linear_cross_entropy] bias must be ({}), got {}", weight.size(0), describe(bias));
    }
  }
  if (!(label_smoothing >= 0.0 && label_smoothing < 1.0)) {
    fail("[linear_cross_entropy] label smoothing must be in [0, 1), got {}", label_smoothing);
  }
  const Tensor rows_of_x = x.contiguous();
  const Tensor matrix = weight.contiguous();
  const Tensor offsets = bias.defined() ? bias.contiguous() : Tensor();
  check_range("linear_cross_entropy", targets, 0, weight.size(0), x.device(), &ignore_index);
  const Tensor labels = targets.contiguous().to(x.device());
  const std::int64_t rows = targets.numel();
  // Targets that lie on a device are counted there, and nobody waits.
  const bool counts_here = targets.device() == Device::cpu || x.device() == Device::cpu;
  const Tensor scale_there = counts_here ? Tensor() : target_scale(labels, ignore_index);
  const std::int64_t count = scale_there.defined() ? 1 : count_other_than(targets, ignore_index);
  if (count == 0) {
    fail("[linear_cross_entropy] every target of {} is the ignored index {}", describe(targets),
         ignore_index);
  }
  LinearCrossEntropyResult result;
  Tensor row_loss = Tensor::empty({rows}, x.dtype(), x.device());
  kernels::LinearCrossEntropy p{};
  p.x = rows_of_x.raw();
  p.weight = matrix.raw();
  p.bias = offsets.defined() ? offsets.raw() : nullptr;
  p.targets = labels.kernel_data<std::int64_t>();
  p.row_loss = row_loss.mutable_raw();
  if (with_gradients) {
    result.dx = Tensor::empty(x.shape(), x.dtype(), x.device());
    result.dweight = Tensor::empty(weight.shape(), x.dtype(), x.device());
    p.dx = result.dx.mutable_raw();
    p.dweight = result.dweight.mutable_raw();
    if (bias.defined()) {
      result.dbias = Tensor::empty(bias.shape(), x.dtype(), x.device());
      p.dbias = result.dbias.mutable_raw();
    }
  }
  p.rows = rows;
  p.width = x.size(-1);
  p.classes = weight.size(0);
  p.ignore_index = ignore_index;
  p.label_smoothing = label_smoothing;
  p.scale = 1.0 / static_cast<double>(count);
  p.scale_pointer = scale_there.defined() ? scale_there.kernel_data<double>() : nullptr;
  p.dtype = x.dtype();
  p.precision = precision;
  Workspace workspace(
      on_device(x.device(),
                [&](const auto& at) { return kernels::linear_cross_entropy_workspace(p, at); }),
      x.device());
  p.workspace = workspace.data();
  check(on_device(x.device(), [&](const auto& at) { return kernels::linear_cross_entropy(p, at); }),
        "linear_cross_entropy", x, weight, targets);
  result.loss = scale_there.defined()
                    ? mul(sum(row_loss), scale_there.to(x.dtype()))
                    : affine(sum(row_loss), 1.0 / static_cast<double>(count), 0.0);
  return result;
}

}  // namespace basin
