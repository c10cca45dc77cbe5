#include "nn/module.h"

#include <utility>

#include "tensor/error.h"

namespace basin::nn {

std::vector<Parameter> Module::parameters() const {
  std::vector<Parameter> all;
  collect("", all);
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

void Module::add_module(const std::string& name, Module& child) {
  const std::string prefix = name.empty() ? name : name + ".";
  for (const Parameter& parameter : child.parameters()) {
    check_free(prefix + parameter.name);
  }
  children_.push_back({name, &child});
}

void Module::check_free(const std::string& name) const {
  for (const Parameter& parameter : parameters()) {
    if (parameter.name == name) {
      fail("[Module] there already is a parameter named '{}'", name);
    }
  }
}

void Module::collect(const std::string& prefix, std::vector<Parameter>& into) const {
  for (const Parameter& parameter : parameters_) {
    into.push_back({prefix + parameter.name, parameter.variable});
  }
  for (const Child& child : children_) {
    child.module->collect(child.name.empty() ? prefix : prefix + child.name + ".", into);
  }
}

}  // namespace basin::nn
