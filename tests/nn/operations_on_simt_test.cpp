// Operations run by the executor, by the kernels that are written for a GPU, give what they give on
// the CPU, forward and backward.
#include <cmath>
#include <set>
#include <string>

#include "tensor/functions/retrieval.h"
#include "tests/support/device_agreement.h"

namespace basin {
namespace {

// Those whose own kernels exist for a GPU; the others refuse to run there.
const std::set<std::string> kOnDevices = {
    "attention", "linear_attention", "retrieval", "matmul", "rnn", "lstm", "gru"};

TEST(OperationsOnSimt, AgreeWithTheCpu) {
  std::set<std::string> seen;
  for (const OpEntry& entry : op_database()) {
    if (kOnDevices.contains(entry.name)) {
      test::operation_agrees(entry, Device::simt);
      seen.insert(entry.name);
    }
  }
  EXPECT_EQ(seen, kOnDevices);
}

RetrievalInputs states_and_patterns(Separation separation) {
  RetrievalInputs in;
  in.q = test::random_tensor({2, 2, 9, 5}, 1);
  in.k = test::random_tensor({2, 2, 40, 5}, 2);
  in.beta = Tensor::from<double>({2}, {0.7, 1.3});
  in.options.separation = separation;
  if (separation == Separation::entmax) {
    in.alpha = Tensor::from<double>({2}, {1.3, 1.8});
  }
  return in;
}

RetrievalInputs moved(RetrievalInputs in, Device device) {
  for (Tensor* tensor : {&in.q, &in.k, &in.v, &in.beta, &in.alpha}) {
    *tensor = tensor->defined() ? tensor->to(device) : Tensor();
  }
  return in;
}

TEST(OperationsOnSimt, EnergiesAreThoseOfTheCpu) {
  for (const Separation separation :
       {Separation::softmax, Separation::sparsemax, Separation::entmax}) {
    RetrievalInputs in = states_and_patterns(separation);
    for (const std::int64_t top_k : {0, 7}) {
      in.options.top_k = top_k;
      EXPECT_TRUE(
          test::near(retrieval_energy(moved(in, Device::simt)), retrieval_energy(in), 1e-12));
    }
  }
}

// The CPU refuses it; a kernel that is queued can only say NaN, and only where it is so.
TEST(OperationsOnSimt, AnExponentOutOfRangeGivesNan) {
  RetrievalInputs in = states_and_patterns(Separation::entmax);
  in.v = in.k;
  in.alpha = Tensor::from<double>({2}, {1.0, 1.8});
  EXPECT_THROW((void)retrieval(in), Error);
  const Tensor out = retrieval(moved(in, Device::simt)).out;
  for (std::int64_t h = 0; h < 2; ++h) {
    for (const double x : out.select(1, h).to_vector<double>()) {
      EXPECT_EQ(std::isnan(x), h == 0) << x;
    }
  }
}

}  // namespace
}  // namespace basin
