#include "nn/module.h"

#include <utility>

#include "tensor/error.h"

namespace basin::nn {

std::vector<Parameter> Module::parameters() const {
  std::vector<Parameter> all;
  std::vector<Buffer> buffers;
  collect("", all, buffers);
  return all;
}

std::vector<Buffer> Module::buffers() const {
  std::vector<Parameter> parameters;
  std::vector<Buffer> all;
  collect("", parameters, all);
  return all;
}

std::int64_t Module::parameter_count() const {
  std::int64_t count = 0;
  for (const Parameter& parameter : parameters()) {
    count += parameter.variable.value().numel();
  }
  return count;
}

void Module::train(bool on) {
  training_ = on;
  for (const Child& child : children_) {
    child.module->train(on);
  }
}

void Module::clear_grad() {
  for (Parameter& parameter : parameters()) {
    parameter.variable.clear_grad();
  }
}

void Module::to(Device device) {
  require(device);
  for (Parameter& parameter : parameters_) {
    parameter.variable.move_to(device);
  }
  for (Variable& constant : constants_) {
    constant.move_to(device);
  }
  for (Buffer& buffer : buffers_) {
    if (is_floating(buffer.variable.dtype())) {
      buffer.variable.move_to(device);
    }
  }
  for (const Child& child : children_) {
    child.module->to(device);
  }
}

Variable Module::add_constant(Tensor value) {
  return constants_.emplace_back(std::move(value), false);
}

Variable Module::add_parameter(const std::string& name, Tensor value) {
  check_free(name);
  parameters_.push_back({name, Variable(std::move(value), true)});
  return parameters_.back().variable;
}

Variable Module::add_buffer(const std::string& name, Tensor value) {
  check_free(name);
  buffers_.push_back({name, Variable(std::move(value))});
  return buffers_.back().variable;
}

void Module::add_module(const std::string& name, Module& child) {
  const std::string prefix = name.empty() ? name : name + ".";
  for (const Parameter& parameter : child.parameters()) {
    check_free(prefix + parameter.name);
  }
  for (const Buffer& buffer : child.buffers()) {
    check_free(prefix + buffer.name);
  }
  children_.push_back({name, &child});
}

void Module::check_free(const std::string& name) const {
  for (const Parameter& parameter : parameters()) {
    if (parameter.name == name) {
      fail("[Module] there already is a parameter named '{}'", name);
    }
  }
  for (const Buffer& buffer : buffers()) {
    if (buffer.name == name) {
      fail("[Module] there already is a buffer named '{}'", name);
    }
  }
}

void Module::collect(const std::string& prefix, std::vector<Parameter>& parameters,
                     std::vector<Buffer>& buffers) const {
  for (const Parameter& parameter : parameters_) {
    parameters.push_back({prefix + parameter.name, parameter.variable});
  }
  for (const Buffer& buffer : buffers_) {
    buffers.push_back({prefix + buffer.name, buffer.variable});
  }
  for (const Child& child : children_) {
    child.module->collect(child.name.empty() ? prefix : prefix + child.name + ".", parameters,
                          buffers);
  }
}

}  // namespace basin::nn
