// What the table entries of attention on tensor cores share: how a case of the same problem in f32
// is made one of theirs, and by what its errors are judged.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/association/association_case.h"
#include "kernels/association/naive_attention.h"
#include "kernels/common/precision.h"
#include "kernels/table/kernel_table.h"
#include "kernels/table/reference.h"

namespace basin::kernels {

inline Precision precision_of(TensorProducts products) {
  return products == TensorProducts::tf32 ? Precision::tf32 : Precision::f32;
}

namespace tensor_case {

// What is stored in f32 where the rest is bf16.
inline void keep_in_f32(KernelCase& problem) {
  for (CaseBuffer& buffer : problem.buffers) {
    buffer.at_least_f32 = buffer.name == "beta" || buffer.name == "dbeta" || buffer.name == "lse" ||
                          buffer.name == "alpha" || buffer.name == "dalpha" ||
                          buffer.name == "statistics";
  }
}

// The numbers of an array; none if there is none of that name.
inline std::span<double> numbers(const KernelCase& problem, void* const* d,
                                 const std::string& name) {
  for (std::size_t at = 0; at < problem.buffers.size(); ++at) {
    if (problem.buffers[at].name == name) {
      std::int64_t count = 1;
      for (const std::int64_t extent : problem.buffers[at].extents) {
        count *= extent;
      }
      return {doubles(d[at]), static_cast<std::size_t>(count)};
    }
  }
  return {};
}

}  // namespace tensor_case

/// `result`, a case in precision_of(products), on tensor cores. `split_variant`: the number there
/// of the kernel by three products. naive(format, data): the same by a plain program that rounds
/// all but its inputs. Those are rounded before; and as that may move dbeta, a single number for
/// each head, to where it should be by chance, it counts as moved away.
template <class Naive>
void put_on_tensor_cores(KernelCase& result, TensorProducts products, int split_variant,
                         Naive naive) {
  result.dtypes = {products == TensorProducts::bf16 ? DType::bf16 : DType::f32};
  result.run = {};
  result.cost.tensor_cores = true;
  if (products == TensorProducts::bf16) {
    tensor_case::keep_in_f32(result);
  } else {
    // Each is one variant of the kernel, and all that its entry has.
    const int number = products == TensorProducts::split ? split_variant : 0;
    const auto only = [number](const auto& run) {
      return [run, number](void* const* d, DType dtype, int, const auto& where) {
        return run(d, dtype, number, where);
      };
    };
    result.run_simt = only(result.run_simt);
    result.run_cuda = result.run_cuda ? only(result.run_cuda) : result.run_cuda;
  }
  if (products != TensorProducts::split) {
    const NaiveFormat& format = products == TensorProducts::bf16 ? kNaiveBf16 : kNaiveTf32;
    const bool rounds = products == TensorProducts::tf32;  // bf16 is what is stored
    result.naive = [naive, &format, rounds, problem = result](void* const* d) {
      const std::span<double> dbeta = tensor_case::numbers(problem, d, "dbeta");
      std::vector<double> of_inputs;
      if (rounds && !dbeta.empty()) {
        naive(format, d);
        of_inputs.assign(dbeta.begin(), dbeta.end());
      }
      for (const char* factor : {"q", "k", "v", "dout"}) {
        for (double& number : tensor_case::numbers(problem, d, factor)) {
          number = format.multiplied(number);
        }
      }
      naive(format, d);
      for (std::size_t h = 0; h < of_inputs.size(); ++h) {
        dbeta[h] = of_inputs[h] + std::abs(dbeta[h] - of_inputs[h]);
      }
    };
  }
}

}  // namespace basin::kernels
