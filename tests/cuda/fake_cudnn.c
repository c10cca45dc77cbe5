/* What libraries_test.cpp finds instead of cuDNN. FAKE_CUDA says which CUDA it is made for. */
#include <stdlib.h>

size_t cudnnGetVersion(void) { return 91300; }

size_t cudnnGetCudartVersion(void) {
  const char* const made_for = getenv("FAKE_CUDA");
  return made_for == NULL ? 0 : (size_t)atoi(made_for);
}
