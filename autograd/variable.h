// Variable: a tensor that knows how it was computed.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace basin {

class Node;

/// A handle; copies refer to the same value, gradient and history. An operation on variables of
/// which one requires a gradient records a Node, unless a NoGrad is alive.
class Variable {
 public:
  /// Undefined.
  Variable() = default;
  /// A leaf. Throws Error if a gradient is required of a dtype other than f32 and f64.
  explicit Variable(Tensor value, bool requires_grad = false);

  bool defined() const { return impl_ != nullptr; }
  const Tensor& value() const;
  /// For optimizers and tests: writing through it raises the version, which backward() checks.
  Tensor& mutable_value();
  const Shape& shape() const { return value().shape(); }
  DType dtype() const { return value().dtype(); }
  Device device() const { return value().device(); }
  std::int64_t size(int dim) const { return value().size(dim); }

  bool requires_grad() const;
  /// Null for a leaf.
  const std::shared_ptr<Node>& node() const;
  /// Which result of node() this is; 0 for a leaf.
  std::size_t result() const;

  /// The sum of all gradients since the last clear_grad(); undefined before the first. Leaves only.
  const Tensor& grad() const;
  void clear_grad();
  void add_grad(const Tensor& gradient);

  /// Gradients of this variable by every leaf that requires one, added into their grad(). Without a
  /// seed the variable must have one element and the seed is 1. The graph is freed unless
  /// `retain_graph`; a second backward() through a freed graph throws Error.
  void backward(const Tensor& seed = {}, bool retain_graph = false) const;

  /// The same value without history.
  Variable detach() const;

  /// Moves the value of a leaf to another device, for all handles, and forgets its gradient. Throws
  /// Error for a variable that was computed, and if the device cannot be used.
  void move_to(Device device);

  bool same_as(const Variable& other) const { return impl_ == other.impl_; }

 private:
  friend class Node;
  friend std::vector<Variable> record_several(
      const char*, std::vector<Variable>, std::vector<Tensor>,
      std::function<std::vector<Tensor>(std::span<const Tensor>, std::span<const bool>)>);
  struct Impl;
  explicit Variable(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

/// While one is alive on this thread, operations record nothing.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool previous_;
};
/// The opposite, for a backward function that has to record.
class EnableGrad {
 public:
  EnableGrad();
  ~EnableGrad();
  EnableGrad(const EnableGrad&) = delete;
  EnableGrad& operator=(const EnableGrad&) = delete;

 private:
  bool previous_;
};
bool grad_enabled();

}  // namespace basin
