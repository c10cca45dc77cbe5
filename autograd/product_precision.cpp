#include "autograd/product_precision.h"

namespace basin {

namespace {

thread_local Precision current = Precision::f32;

}  // namespace

ProductPrecision::ProductPrecision(Precision precision) : previous_(current) {
  current = precision;
}

ProductPrecision::~ProductPrecision() { current = previous_; }

Precision product_precision() { return current; }

}  // namespace basin
