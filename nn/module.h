// Module: something with parameters, made of smaller modules.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace basin::nn {

/// A trainable tensor under its dotted name, such as "blocks.0.mix.query.weight".
struct Parameter {
  std::string name;
  Variable variable;
};

/// A tensor that is saved with the parameters but not trained.
struct Buffer {
  std::string name;
  Variable variable;
};

/// Children are ordinary members that the constructor of the parent registers. Neither copied nor
/// moved, because the parent points to its children.
class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// All parameters, in the order of registration, children after own.
  std::vector<Parameter> parameters() const;
  std::int64_t parameter_count() const;
  /// All buffers, likewise.
  std::vector<Buffer> buffers() const;

  /// Switches between training and evaluation, which turns dropout off, here and in all children.
  void train(bool on = true);
  bool training() const { return training_; }

  /// Forgets all gradients.
  void clear_grad();

  /// Moves all parameters, and what else the modules compute with, to a device; gradients are
  /// forgotten. To be called before an optimizer is made. Throws Error if it cannot be used.
  void to(Device device);

 protected:
  /// Registers a parameter and returns the handle to compute with. Throws Error for a name taken.
  Variable add_parameter(const std::string& name, Tensor value);
  /// Registers something that is computed with and neither trained nor saved, so that to() moves it
  /// along; returns the handle to compute with.
  Variable add_constant(Tensor value);
  /// Registers a buffer and returns the handle to keep. Throws Error for a name taken. Whole
  /// numbers count something that the host reads: to() leaves them where they are.
  Variable add_buffer(const std::string& name, Tensor value);
  /// Registers a child. With an empty name its parameters appear as if they were this module's own.
  /// Throws Error if a parameter would have a name that is taken.
  void add_module(const std::string& name, Module& child);

 private:
  void check_free(const std::string& name) const;
  void collect(const std::string& prefix, std::vector<Parameter>& parameters,
               std::vector<Buffer>& buffers) const;

  struct Child {
    std::string name;
    Module* module;
  };
  std::vector<Parameter> parameters_;
  std::vector<Variable> constants_;
  std::vector<Buffer> buffers_;
  std::vector<Child> children_;
  bool training_ = true;
};

}  // namespace basin::nn
