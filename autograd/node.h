// Node: one recorded operation. An operation is written as a forward computation on tensors and a
// function from the gradient of its result to the gradients of its inputs; record() joins the two.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace basin {

/// From the gradient of the result to one gradient per input. `needed[i]` tells whether input i
/// wants one; an undefined tensor stands for none.
using BackwardFunction =
    std::function<std::vector<Tensor>(const Tensor& dy, std::span<const bool> needed)>;

/// The same for an operation of several results: `dys[n]` is the gradient of result n, undefined if
/// nothing came for it. At least one is defined.
using BackwardOfSeveral =
    std::function<std::vector<Tensor>(std::span<const Tensor> dys, std::span<const bool> needed)>;

class Node {
 public:
  Node(const char* name, std::vector<Variable> inputs, std::span<const Tensor> values,
       BackwardOfSeveral backward);
  /// Chains of any length are taken apart without recursion.
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const char* name() const { return name_; }
  /// Rises with every recorded node: an input always has a smaller number than the result.
  std::uint64_t sequence() const { return sequence_; }
  const std::vector<Variable>& inputs() const { return inputs_; }
  std::size_t results() const { return shapes_.size(); }
  const Shape& shape(std::size_t result = 0) const { return shapes_.at(result); }
  DType dtype() const { return dtype_; }  ///< of every result
  bool released() const { return backward_ == nullptr; }

  /// The gradients of the inputs, each checked for the shape and dtype of its input.
  std::vector<Tensor> backward(std::span<const Tensor> dys) const;

  /// Frees what the backward function holds.
  void release() { backward_ = nullptr; }

 private:
  const char* name_;
  std::uint64_t sequence_;
  std::vector<Variable> inputs_;
  std::vector<Shape> shapes_;
  DType dtype_;
  BackwardOfSeveral backward_;
};

/// Whether record() would keep an operation on these inputs for a backward pass.
bool records_gradients(const std::vector<Variable>& inputs);

/// The result of an operation: a Variable with `value` that remembers `inputs` and `backward` if
/// any input requires a gradient (undefined inputs do not), else a plain leaf.
Variable record(const char* name, std::vector<Variable> inputs, Tensor value,
                BackwardFunction backward);

/// The results of an operation that has several, of one dtype: one node that all of them share. It
/// runs once, when the gradients of all results that were used are there.
std::vector<Variable> record_several(const char* name, std::vector<Variable> inputs,
                                     std::vector<Tensor> values, BackwardOfSeveral backward);

/// A tensor kept for the backward pass, with the version it had. get() throws Error naming the
/// operation if it was written to since.
class Saved {
 public:
  explicit Saved(Tensor tensor) : tensor_(std::move(tensor)), version_(tensor_.version()) {}
  const Tensor& get() const;

 private:
  Tensor tensor_;
  std::uint64_t version_;
};

}  // namespace basin
