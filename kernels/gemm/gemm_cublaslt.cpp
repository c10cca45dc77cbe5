// The matrix product on a GPU by cuBLASLt, which is opened at run time. Deterministic: where the
// library splits a sum over blocks, it may add the parts up through the workspace only, in a fixed
// order, and the same problem always gets the same algorithm.
#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/cuda/graph.h"
#include "kernels/cuda/libraries.h"
#include "kernels/gemm/gemm_check.h"
#include "kernels/gemm/gemm_ladder.h"
#include "kernels/gemm/rounded_product.h"

namespace basin::kernels {

namespace {

// The functions in use, by their types in cublasLt.h.
struct Functions {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtGetStatusString) status_string;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatrixLayoutSetAttribute) layout_set;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
};

class Library {
 public:
  // Never destroyed: other static objects may still multiply when the program ends.
  static Library& instance() {
    static Library* const library = new Library;
    return *library;
  }

  bool loaded() const { return loaded_; }
  const char* problem() const { return cublas_lt().problem().c_str(); }
  const Functions& call() const { return functions_; }

 private:
  Library() {
    Functions& f = functions_;
    loaded_ = get(f.create, "cublasLtCreate") && get(f.status_string, "cublasLtGetStatusString") &&
              get(f.matmul, "cublasLtMatmul") &&
              get(f.heuristic, "cublasLtMatmulAlgoGetHeuristic") &&
              get(f.desc_create, "cublasLtMatmulDescCreate") &&
              get(f.desc_destroy, "cublasLtMatmulDescDestroy") &&
              get(f.desc_set, "cublasLtMatmulDescSetAttribute") &&
              get(f.layout_create, "cublasLtMatrixLayoutCreate") &&
              get(f.layout_destroy, "cublasLtMatrixLayoutDestroy") &&
              get(f.layout_set, "cublasLtMatrixLayoutSetAttribute") &&
              get(f.preference_create, "cublasLtMatmulPreferenceCreate") &&
              get(f.preference_destroy, "cublasLtMatmulPreferenceDestroy") &&
              get(f.preference_set, "cublasLtMatmulPreferenceSetAttribute");
  }

  template <class F>
  bool get(F& function, const char* name) {
    function = reinterpret_cast<F>(cublas_lt().find(name));
    return function != nullptr;
  }

  Functions functions_{};
  bool loaded_ = false;
};

// cuBLASLt's objects, destroyed with the scope.
template <class T>
using Owned = std::unique_ptr<T, cublasStatus_t (*)(T*)>;
using Operation = Owned<cublasLtMatmulDescOpaque_t>;
using Layout = Owned<cublasLtMatrixLayoutOpaque_t>;

Status failure(const char* message) { return {Status::Code::kernel_fault, message, -1}; }

// Row-major C = A B is column-major C^T = B^T A^T over the same memory: the library gets B as its
// first matrix and A as its second.
struct Call {
  Operation operation;
  Layout b, a, c;
};

constexpr std::int64_t kMostWorkspace = std::int64_t{32} << 20;

// A product for the library: `factors` is how A and B are stored, bf16 once they are rounded to it.
struct LibraryProduct : Gemm {
  DType factors;

  explicit LibraryProduct(const Gemm& p, DType stored) : Gemm(p), factors(stored) {}
};

cudaDataType type_of(DType dtype) {
  switch (dtype) {
    case DType::f64: return CUDA_R_64F;
    case DType::bf16: return CUDA_R_16BF;
    default: return CUDA_R_32F;
  }
}

cublasComputeType_t compute_type(const LibraryProduct& p) {
  if (p.dtype == DType::f64) {
    return CUBLAS_COMPUTE_64F;
  }
  return p.precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

Layout layout(std::int64_t rows, std::int64_t columns, std::int64_t distance, std::int64_t items,
              std::int64_t item_stride, DType dtype) {
  const Functions& f = Library::instance().call();
  cublasLtMatrixLayout_t made = nullptr;
  f.layout_create(&made, type_of(dtype), static_cast<std::uint64_t>(rows),
                  static_cast<std::uint64_t>(columns), distance);
  Layout result(made, f.layout_destroy);
  if (result && items > 1) {
    const auto count = static_cast<std::int32_t>(items);
    f.layout_set(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count);
    f.layout_set(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &item_stride,
                 sizeof item_stride);
  }
  return result;
}

// `bias`: added by the product's kernel.
Call describe(const LibraryProduct& p, bool bias) {
  const Functions& f = Library::instance().call();
  cublasLtMatmulDesc_t made = nullptr;
  f.desc_create(&made, compute_type(p), type_of(p.dtype));
  Call call{Operation(made, f.desc_destroy),
            layout(p.transpose_b ? p.k : p.n, p.transpose_b ? p.n : p.k, p.ldb, p.batch,
                   p.b_batch_stride, p.factors),
            layout(p.transpose_a ? p.m : p.k, p.transpose_a ? p.k : p.m, p.lda, p.batch,
                   p.a_batch_stride, p.factors),
            layout(p.n, p.m, p.ldc, p.batch, p.c_batch_stride, p.dtype)};
  if (made != nullptr) {
    const auto set = [&](cublasLtMatmulDescAttributes_t what, const auto& value) {
      f.desc_set(made, what, &value, sizeof value);
    };
    const auto transposed = [](bool yes) { return yes ? CUBLAS_OP_T : CUBLAS_OP_N; };
    set(CUBLASLT_MATMUL_DESC_TRANSA, transposed(p.transpose_b));
    set(CUBLASLT_MATMUL_DESC_TRANSB, transposed(p.transpose_a));
    if (bias) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
    }
  }
  return call;
}

// The largest power of two, at most 256, by which the addresses of all items are divisible.
std::uint32_t alignment_of(const void* address, std::int64_t stride = 0, DType dtype = DType::f32) {
  const auto bits = reinterpret_cast<std::uintptr_t>(address) |
                    (static_cast<std::uintptr_t>(stride) * size_of(dtype)) | 256;
  return static_cast<std::uint32_t>(bits & (~bits + 1));
}

struct Alignments {
  std::uint32_t a, b, c;
  explicit Alignments(const LibraryProduct& p)
      : a(alignment_of(p.a, p.a_batch_stride, p.factors)),
        b(alignment_of(p.b, p.b_batch_stride, p.factors)),
        c(alignment_of(p.c, p.c_batch_stride, p.dtype)) {}
};

// What an algorithm depends on.
using Key = std::vector<std::int64_t>;

Key key_of(const LibraryProduct& p, int device, bool bias, std::int64_t workspace) {
  const Alignments alignment(p);
  return {device,
          static_cast<int>(p.dtype),
          static_cast<int>(p.factors),
          static_cast<int>(p.precision),
          p.transpose_a,
          p.transpose_b,
          p.m,
          p.n,
          p.k,
          p.lda,
          p.ldb,
          p.ldc,
          p.batch,
          p.a_batch_stride,
          p.b_batch_stride,
          p.c_batch_stride,
          alignment.a,
          alignment.b,
          alignment.c,
          bias ? alignment_of(p.bias) : 0,
          workspace};
}

struct Choice {
  bool found = false;
  cublasLtMatmulAlgo_t algorithm{};
};

Choice choose(const LibraryProduct& p, const Call& call, cublasLtHandle_t handle,
              std::uint64_t workspace) {
  const Functions& f = Library::instance().call();
  cublasLtMatmulPreference_t made = nullptr;
  f.preference_create(&made);
  const Owned<cublasLtMatmulPreferenceOpaque_t> preference(made, f.preference_destroy);
  Choice choice;
  if (made == nullptr) {
    return choice;
  }
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t what, const auto& value) {
    f.preference_set(made, what, &value, sizeof value);
  };
  const Alignments alignment(p);
  // Not INPLACE, which adds the parts of a sum up in the order in which they are ready.
  const std::uint32_t reductions =
      CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace);
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment.b);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment.a);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment.c);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment.c);
  cublasLtMatmulHeuristicResult_t result{};
  int count = 0;
  const cublasStatus_t status =
      f.heuristic(handle, call.operation.get(), call.b.get(), call.a.get(), call.c.get(),
                  call.c.get(), made, 1, &result, &count);
  choice.found =
      status == CUBLAS_STATUS_SUCCESS && count > 0 && result.state == CUBLAS_STATUS_SUCCESS;
  choice.algorithm = result.algo;
  return choice;
}

// A handle for each GPU, and the algorithms chosen so far.
class Memory {
 public:
  static Memory& instance() {
    static Memory* const memory = new Memory;
    return *memory;
  }

  cublasLtHandle_t handle(int device) {
    const std::lock_guard lock(mutex_);
    cublasLtHandle_t& handle = handles_[device];
    if (handle == nullptr) {
      Library::instance().call().create(&handle);
    }
    return handle;
  }

  template <class F>
  Choice choice(const Key& key, F&& make) {
    const std::lock_guard lock(mutex_);
    const auto known = choices_.find(key);
    return known != choices_.end() ? known->second : choices_.emplace(key, make()).first->second;
  }

 private:
  std::mutex mutex_;
  std::map<int, cublasLtHandle_t> handles_;
  std::map<Key, Choice> choices_;
};

template <class T>
Status multiply(const LibraryProduct& p, const CudaContext& context) {
  const Functions& f = Library::instance().call();
  int device = 0;
  if (const cudaError_t error = cudaGetDevice(&device); error != cudaSuccess) {
    return failure(cudaGetErrorString(error));
  }
  const cublasLtHandle_t handle = Memory::instance().handle(device);
  if (handle == nullptr) {
    return failure("gemm: cuBLASLt does not start on this GPU");
  }
  const std::int64_t workspace = p.workspace == nullptr ? 0 : gemm_workspace(p, context);
  // The product's kernel adds f32 biases that can be read 16 bytes at a time.
  bool fused = p.bias != nullptr && p.dtype == DType::f32 && alignment_of(p.bias) >= 16;
  const auto choose_with = [&](const Call& call) {
    return Memory::instance().choice(key_of(p, device, fused, workspace), [&] {
      return choose(p, call, handle, static_cast<std::uint64_t>(workspace));
    });
  };
  Call call = describe(p, fused);
  Choice choice = choose_with(call);
  if (!choice.found && fused) {
    fused = false;
    call = describe(p, fused);
    choice = choose_with(call);
  }
  if (!choice.found) {  // it has no kernel for this layout
    return p.factors == p.dtype ? gemm_ladder(p, context)
                                : failure("gemm: cuBLASLt has no product of bf16 on this GPU");
  }
  const T alpha = static_cast<T>(p.alpha);
  const T beta = static_cast<T>(p.beta);
  count_cuda_launch();
  const cublasStatus_t status =
      f.matmul(handle, call.operation.get(), &alpha, p.b, call.b.get(), p.a, call.a.get(), &beta,
               p.c, call.c.get(), p.c, call.c.get(), &choice.algorithm, p.workspace,
               static_cast<std::size_t>(workspace), context.stream);
  if (status != CUBLAS_STATUS_SUCCESS) {
    return failure(f.status_string(status));
  }
  return p.bias == nullptr || fused ? Status{} : gemm_add_bias(p, context);
}

// The library multiplies f32 in tf32 by itself.
bool copies_factors(const Gemm& p) {
  return rounds_factors(p) && (p.variant != 0 || p.precision == Precision::bf16);
}

}  // namespace

std::int64_t gemm_workspace(const Gemm& p, const CudaContext& context) {
  if (copies_factors(p)) {
    const RoundedProduct rounded(p, p.variant == 0);
    return rounded.bytes() + gemm_workspace(rounded.product(), context);
  }
  if (p.variant != 0 || p.k == 0) {
    return 0;
  }
  // Room for the sums of up to 32 parts; what the library takes at most.
  const std::int64_t parts = 32 * static_cast<std::int64_t>(size_of(p.dtype)) * p.m * p.n * p.batch;
  return std::min(kMostWorkspace, parts + (64 << 10));
}

Status gemm(const Gemm& p, const CudaContext& context) {
  if (const Status status = check_gemm(p); !status.ok()) {
    return status;
  }
  if (p.m == 0 || p.n == 0 || p.batch == 0) {
    return {};
  }
  const bool is_ladder = p.variant != 0 || p.k == 0;
  if (!is_ladder && !Library::instance().loaded()) {
    return Status::unsupported(Library::instance().problem());
  }
  if (copies_factors(p)) {
    const RoundedProduct rounded(p, !is_ladder);
    if (const Status status = rounded.round(context); !status.ok()) {
      return status;
    }
    return is_ladder ? gemm_ladder(rounded.product(), context)
                     : multiply<float>(LibraryProduct(rounded.product(), DType::bf16), context);
  }
  if (is_ladder) {
    return gemm_ladder(p, context);
  }
  return p.dtype == DType::f32 ? multiply<float>(LibraryProduct(p, p.dtype), context)
                               : multiply<double>(LibraryProduct(p, p.dtype), context);
}

}  // namespace basin::kernels
