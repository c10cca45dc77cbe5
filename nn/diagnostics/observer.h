// Looking on while a model retrieves.
#pragma once

#include <functional>

#include "tensor/functions/retrieval.h"

namespace basin::nn {

/// A call of a retrieval layer, as it was made.
struct RetrievalCall {
  RetrievalInputs inputs;  ///< with the options and draws of this call
  Tensor projection;       ///< of random features, else undefined
};

/// While one is alive on this thread, every Retriever tells it of its calls, in their order. The
/// innermost is told. A callback that throws stops the model.
class RetrievalObserver {
 public:
  explicit RetrievalObserver(std::function<void(const RetrievalCall&)> callback);
  ~RetrievalObserver();
  RetrievalObserver(const RetrievalObserver&) = delete;
  RetrievalObserver& operator=(const RetrievalObserver&) = delete;

 private:
  friend bool is_observed();
  friend void tell_observer(const RetrievalCall&);
  std::function<void(const RetrievalCall&)> callback_;
  RetrievalObserver* previous_;
};

/// Whether somebody looks on. For Retriever, and for whoever would otherwise not make the calls.
bool is_observed();
void tell_observer(const RetrievalCall& call);

}  // namespace basin::nn
