#include "kernels/memory/recall.h"

#include <cstring>

namespace basin {

const char* name_of(RecallOrder order) {
  switch (order) {
    case RecallOrder::random: return "random";
    case RecallOrder::index: return "index";
    case RecallOrder::synchronous: return "synchronous";
  }
  return "?";
}

const char* name_of(RecallOutcome outcome) {
  switch (outcome) {
    case RecallOutcome::unsettled: return "unsettled";
    case RecallOutcome::fixed_point: return "fixed point";
    case RecallOutcome::cycle: return "cycle";
  }
  return "?";
}

bool parse(const char* name, RecallOrder& order) {
  for (const RecallOrder known :
       {RecallOrder::random, RecallOrder::index, RecallOrder::synchronous}) {
    if (std::strcmp(name, name_of(known)) == 0) {
      order = known;
      return true;
    }
  }
  return false;
}

}  // namespace basin
