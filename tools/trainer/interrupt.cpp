#include "tools/trainer/interrupt.h"

#include <csignal>

namespace basin::trainer {

namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM};
volatile std::sig_atomic_t g_requested = 0;
struct sigaction g_previous[2];

extern "C" void on_signal(int) {
  g_requested = 1;
  for (int n = 0; n < 2; ++n) {
    if (g_previous[n].sa_handler != SIG_IGN) {
      std::signal(kSignals[n], SIG_DFL);
    }
  }
}

}  // namespace

Interrupt::Interrupt() {
  g_requested = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (int n = 0; n < 2; ++n) {
    sigaction(kSignals[n], nullptr, &g_previous[n]);
    if (g_previous[n].sa_handler != SIG_IGN) {
      sigaction(kSignals[n], &action, nullptr);
    }
  }
}

Interrupt::~Interrupt() {
  for (int n = 0; n < 2; ++n) {
    sigaction(kSignals[n], &g_previous[n], nullptr);
  }
}

bool Interrupt::requested() const { return g_requested != 0; }

}  // namespace basin::trainer
