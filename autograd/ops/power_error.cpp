// sum (x - t)^(2m) by squaring and multiplying: a composite, its gradient, 2m (x - t)^(2m - 1),
// comes from its parts. No pow: its gradient by the exponent is not wanted, and a negative base is
// the usual case here.
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/error.h"

namespace basin {

Variable power_error(const Variable& x, const Tensor& targets, std::int64_t half_power) {
  if (!(x.shape() == targets.shape())) {
    fail("[power_error] values and targets differ in shape: {} and {}", describe(x.value()),
         describe(targets));
  }
  if (half_power < 1) {
    fail("[power_error] half the power must be at least 1, got {}", half_power);
  }
  Variable square_of_difference = square(sub(x, Variable(targets.to(x.device()))));
  Variable result;
  for (std::int64_t left = half_power; left > 0; left >>= 1) {
    if ((left & 1) != 0) {
      result = result.defined() ? mul(result, square_of_difference) : square_of_difference;
    }
    if (left > 1) {
      square_of_difference = square(square_of_difference);
    }
  }
  return sum(result);
}

namespace {

using In = const std::vector<Variable>&;

const RegisterOp registered_power_error(
    {"power_error",
     [](Rng& rng) {
       const auto sample = [&](const char* name, std::int64_t half_power) {
         const Tensor targets = Tensor::from<double>({2, 2}, std::vector<double>{-1, 1, 1, -1});
         return OpSample{name, {rng.uniform({2, 2}, -0.5, 0.5, DType::f64)}, [=](In in) {
                           return power_error(in[0], targets.to(in[0].dtype()), half_power);
                         }};
       };
       return std::vector<OpSample>{sample("squares", 1), sample("power 4", 2),
                                    sample("power 14", 7)};
     },
     [] {
       const Variable x(Tensor::zeros({2}, DType::f32));
       return std::vector<OpError>{
           {"shapes", [=] { (void)power_error(x, Tensor::zeros({3}, DType::f32), 2); },
            "(2) f32 and (3) f32"},
           {"power", [=] { (void)power_error(x, Tensor::zeros({2}, DType::f32), 0); },
            "at least 1, got 0"}};
     }});

}  // namespace

}  // namespace basin
