#include "nn/diagnostics/observer.h"

#include <utility>

namespace basin::nn {

namespace {

thread_local RetrievalObserver* innermost = nullptr;

}  // namespace

RetrievalObserver::RetrievalObserver(std::function<void(const RetrievalCall&)> callback)
    : callback_(std::move(callback)), previous_(innermost) {
  innermost = this;
}

RetrievalObserver::~RetrievalObserver() { innermost = previous_; }

bool is_observed() { return innermost != nullptr; }

void tell_observer(const RetrievalCall& call) { innermost->callback_(call); }

}  // namespace basin::nn
