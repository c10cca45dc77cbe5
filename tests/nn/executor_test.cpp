// The kernels for CUDA, run by the executor, under everything above: each differentiable operation
// and whole training steps agree with the CPU's.
#include <gtest/gtest.h>

#include "tests/support/device_agreement.h"

namespace basin {
namespace {

class OnExecutor : public test::OpTest {};

TEST_P(OnExecutor, TheOperationAgreesWithTheCpu) { test::operation_agrees(entry(), Device::simt); }

INSTANTIATE_TEST_SUITE_P(Operations, OnExecutor,
                         testing::Range<std::size_t>(0, op_database().size()), test::op_test_name);

class ModelOnExecutor : public testing::TestWithParam<test::ModelCase> {};

TEST_P(ModelOnExecutor, TrainsAsOnTheCpu) { test::model_agrees(GetParam(), Device::simt); }

INSTANTIATE_TEST_SUITE_P(Every, ModelOnExecutor, testing::ValuesIn(test::model_cases()),
                         test::model_case_name);

}  // namespace
}  // namespace basin
