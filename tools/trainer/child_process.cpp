#include "tools/trainer/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "tensor/error.h"
#include "tools/trainer/shell_word.h"

namespace basin::trainer {

namespace {

// The child's half, after fork(): only calls that are safe there.
[[noreturn]] void become_trainer(char** words, int log, pid_t parent, const sigset_t& mask) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) {
    _exit(1);  // it ended before it could be told
  }
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  // A signal that came meanwhile ends the child here instead of meeting the parent's handler.
  for (const int number : {SIGINT, SIGTERM}) {
    struct sigaction action {};
    sigaction(number, nullptr, &action);
    if (action.sa_handler != SIG_IGN) {
      signal(number, SIG_DFL);
    }
  }
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  execv("/proc/self/exe", words);
  constexpr char text[] = "trainer: this program cannot be started again\n";
  (void)!write(STDERR_FILENO, text, sizeof text - 1);
  _exit(1);
}

}  // namespace

pid_t start_trainer(const std::vector<std::string>& words, const std::string& log) {
  const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0) {
    throw FileError(fmt::format("{} cannot be written: {}", log, std::strerror(errno)));
  }
  const std::string command = "$ " + shell_command(words) + "\n";
  (void)!::write(file, command.data(), command.size());  // what matters is written by the run
  std::vector<std::string> kept = words;
  std::vector<char*> pointers = {const_cast<char*>("trainer")};
  for (std::string& word : kept) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    become_trainer(pointers.data(), file, parent, before);
  }
  const int reason = errno;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  ::close(file);
  if (child < 0) {
    throw FileError(fmt::format("a run cannot be started: {}", std::strerror(reason)));
  }
  return child;
}

std::optional<std::string> poll_child(pid_t child) {
  int status = 0;
  const pid_t ended = waitpid(child, &status, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) {
    return std::nullopt;
  }
  if (ended < 0) {
    return fmt::format("lost: {}", std::strerror(errno));
  }
  if (WIFSIGNALED(status)) {
    return fmt::format("ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  }
  return WEXITSTATUS(status) == 0 ? "" : fmt::format("exit status {}", WEXITSTATUS(status));
}

}  // namespace basin::trainer
