#include "nn/module.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "autograd/operations.h"
#include "nn/nearest_parameters.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using test::parameter_names;
using test::refuses;

// A module whose parts are chosen by the test.
class Parts : public Module {
 public:
  explicit Parts(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      variables.push_back(add_parameter(name, Tensor::full({2, 3}, 1.0, DType::f64)));
    }
  }
  using Module::add_module;
  using Module::add_parameter;
  std::vector<Variable> variables;
};

TEST(Module, NamesAreJoinedWithDotsOwnParametersFirst) {
  Parts leaf({"weight"});
  Parts inlined({"up", "down"});
  Parts middle({"scale"});
  Parts top({"first", "second"});
  middle.add_module("leaf", leaf);
  top.add_module("middle.0", middle);
  top.add_module("", inlined);
  EXPECT_EQ(parameter_names(top), (std::vector<std::string>{"first", "second", "middle.0.scale",
                                                            "middle.0.leaf.weight", "up", "down"}));
  EXPECT_EQ(top.parameter_count(), 6 * 6);
}

TEST(Module, ParametersAreHandlesOnWhatTheModuleComputesWith) {
  Parts leaf({"weight"});
  Parts top({});
  top.add_module("leaf", leaf);
  ASSERT_EQ(top.parameters().size(), 1u);
  EXPECT_TRUE(top.parameters()[0].variable.same_as(leaf.variables[0]));
  EXPECT_TRUE(top.parameters()[0].variable.requires_grad());
}

TEST(Module, RefusesAParameterNameTwice) {
  Parts module({"weight"});
  EXPECT_TRUE(
      refuses<Error>([&] { module.add_parameter("weight", Tensor::zeros({1}, DType::f32)); },
                     {"already is a parameter named 'weight'"}));
  EXPECT_EQ(parameter_names(module), std::vector<std::string>{"weight"});
}

// Two tensors of one name would overwrite each other in a checkpoint.
TEST(Module, RefusesChildrenWhoseParametersCollide) {
  Parts first({"weight"});
  Parts second({"weight"});
  Parts top({"own"});
  top.add_module("layer", first);
  EXPECT_TRUE(refuses<Error>([&] { top.add_module("layer", second); }, {"'layer.weight'"}));
  top.add_module("", second);  // plain "weight" is free
  Parts third({"own"});
  EXPECT_TRUE(refuses<Error>([&] { top.add_module("", third); }, {"'own'"}));
  EXPECT_TRUE(
      refuses<Error>([&] { top.add_parameter("layer.weight", Tensor::zeros({1}, DType::f32)); },
                     {"'layer.weight'"}));
  EXPECT_EQ(parameter_names(top), (std::vector<std::string>{"own", "layer.weight", "weight"}));
}

TEST(Module, TrainReachesAllDescendants) {
  Parts leaf({});
  Parts middle({});
  Parts top({});
  middle.add_module("leaf", leaf);
  top.add_module("", middle);
  EXPECT_TRUE(top.training() && middle.training() && leaf.training());
  top.train(false);
  EXPECT_FALSE(top.training() || middle.training() || leaf.training());
  middle.train();
  EXPECT_TRUE(!top.training() && middle.training() && leaf.training());
}

TEST(Module, ClearGradForgetsTheGradientsOfAllDescendants) {
  Parts leaf({"weight"});
  Parts top({"weight"});
  top.add_module("leaf", leaf);
  sum(mul(top.variables[0], leaf.variables[0])).backward();
  ASSERT_TRUE(top.variables[0].grad().defined() && leaf.variables[0].grad().defined());
  top.clear_grad();
  EXPECT_FALSE(top.variables[0].grad().defined());
  EXPECT_FALSE(leaf.variables[0].grad().defined());
}

TEST(NearestParameters, AreThoseReachedWithTheFewestOperations) {
  Parts parts({"first", "second", "third", "unused"});
  const Variable first = exp(parts.variables[0]);
  const Variable both = mul(first, parts.variables[1]);
  const Variable later = exp(exp(both));
  const std::vector<Parameter> all = parts.parameters();
  using Names = std::vector<std::string>;
  EXPECT_EQ(nearest_parameters({both}, all), Names{"second"});
  EXPECT_EQ(nearest_parameters({later, Variable()}, all), Names{"second"});
  EXPECT_EQ(nearest_parameters({first, later}, all), Names{"first"});
  EXPECT_EQ(nearest_parameters({parts.variables[2], parts.variables[0]}, all),
            (Names{"first", "third"}));
  EXPECT_EQ(nearest_parameters({Variable(Tensor::zeros({1}, DType::f64))}, all), Names{});
}

}  // namespace
}  // namespace basin::nn
