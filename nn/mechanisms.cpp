#include "nn/mechanisms.h"

namespace basin::nn {

const std::vector<Mechanism>& mechanisms() {
  static const std::vector<Mechanism> all = {
      {"softmax", "--backbone attention, hopfield",
       "weights e^s over their sum: the dense modern "
       "Hopfield network",
       "4 L M D operations and L M exponentials forward, 10 L M D backward; memory grows with L"},
      {"sparsemax", "--backbone sparse-hopfield",
       "weights max(s - tau, 0): most are exactly 0, and a clear winner is retrieved to the bit",
       "2 L M D operations for the scores and little for the few keys with a weight"},
      {"entmax", "--backbone entmax-hopfield, --alpha, --learned-alpha",
       "between softmax (alpha near 1) and sparsemax (alpha = 2), with an exponent per head",
       "2 L M D operations for the scores, then what its support takes; alpha 1.5 needs no powers"},
      {"polynomial", "--backbone polynomial-hopfield, --degree",
       "weights relu(s)^(n-1) over their sum: a dense associative memory",
       "4 L M D operations forward, 10 backward, no exponentials"},
      {"top-k", "--backbone topk-hopfield, --top-k, --top-fraction",
       "only the keys with the k largest scores are seen; ties stay in",
       "2 L M D operations for the scores, a selection in each row, then what is kept"},
      {"window", "--backbone window-hopfield, --window, --dilation, --global-tokens",
       "only keys near the position are seen, and the global tokens",
       "time and memory grow with L times the width of the window"},
      {"random mask", "--backbone random-masked-hopfield, --random-keep, --random-grain",
       "a key is seen with a given probability, decided by a counter and never stored",
       "by element as much as softmax; by tile or block it falls with the share that is kept"},
      {"linear", "--backbone linear-attention",
       "phi(q).phi(k) with phi(x) = elu(x) + 1 in place of e^s: a state of fixed size",
       "2 (L + M) D^2 operations forward: time grows with L, D^2 numbers stand for the past"},
      {"random features",
       "--backbone random-feature-attention, --features, --orthogonal, --redraw-every, "
       "--feature-map",
       "random phi with phi(q).phi(k) close to e^s: an unbiased estimate of softmax",
       "2 m (L + M) D operations forward for m features: time grows with L"},
      {"update steps", "--update-steps, --tolerance",
       "the state is replaced by what it retrieves T - 1 times before the values are read",
       "T times the cost of one step; with a tolerance each query stops when it has settled"}};
  return all;
}

}  // namespace basin::nn
