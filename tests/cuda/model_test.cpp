// Each differentiable operation and whole training steps on a GPU agree with the CPU's.
#include <gtest/gtest.h>

#include "tests/cuda/gpu.h"
#include "tests/support/device_agreement.h"
#include "tests/support/precision_rule.h"

namespace basin {
namespace {

class OperationOnGpu : public test::OnGpu, public testing::WithParamInterface<std::size_t> {};

TEST_P(OperationOnGpu, AgreesWithTheCpu) {
  test::operation_agrees(op_database()[GetParam()], Device::cuda);
}

INSTANTIATE_TEST_SUITE_P(Operations, OperationOnGpu,
                         testing::Range<std::size_t>(0, op_database().size()), test::op_test_name);

class ModelOnGpu : public test::OnGpu, public testing::WithParamInterface<test::ModelCase> {};

TEST_P(ModelOnGpu, TrainsAsOnTheCpu) { test::model_agrees(GetParam(), Device::cuda); }

INSTANTIATE_TEST_SUITE_P(Every, ModelOnGpu, testing::ValuesIn(test::model_cases()),
                         test::model_case_name);

// tf32 and bf16, by tensor cores.
class PrecisionOnGpu : public test::OnGpu, public testing::WithParamInterface<std::string> {};

TEST_P(PrecisionOnGpu, IsAtMostThreeTimesAsWrongAsANaiveComputation) {
  test::precision_rule_holds(GetParam(), Device::cuda);
}

INSTANTIATE_TEST_SUITE_P(Every, PrecisionOnGpu, testing::ValuesIn(test::all_backbones()),
                         test::test_name);

}  // namespace
}  // namespace basin
