#include "tools/report/gnuplot.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace basin::report {

namespace {

// The palette of Okabe and Ito without its yellow, which is too light for lines, in an order in
// which neighbours differ in lightness, too.
constexpr const char* kColours[] = {"#0072B2", "#E69F00", "#009E73", "#CC79A7",
                                    "#D55E00", "#56B4E9", "#000000"};
// Solid, dashes, dots, dash-dot and so on: lengths of line and gap.
constexpr const char* kDashes[] = {"solid", "(14,5)",         "(3,4)", "(14,4,3,4)",
                                   "(7,4)", "(14,4,3,4,3,4)", "(24,6)"};
// Filled circle, square, triangle, open circle, filled diamond, open square, open triangle.
constexpr int kPoints[] = {7, 5, 9, 6, 13, 4, 8};

std::string line_of(std::size_t kind) {
  return fmt::format("linewidth 2.5 linecolor '{}' dashtype {}", kColours[kind], kDashes[kind]);
}

std::string mark_of(std::size_t kind) {
  return fmt::format("pointtype {} pointsize 0.9", kPoints[kind]);
}

std::string datablock_name(std::size_t n) { return fmt::format("$curve{}", n + 1); }

// gnuplot repeats the command and points at the mistake; the last line says what it is.
std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n");
  if (end == std::string::npos) {
    return "it gave no reason";
  }
  const std::size_t begin = text.rfind('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1, end - begin);
}

// The child's half of run_gnuplot, after fork(): only calls that are safe there.
[[noreturn]] void become_gnuplot(const char* folder, const char* script, int output) {
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  if (chdir(folder) == 0) {
    execlp("gnuplot", "gnuplot", script, static_cast<char*>(nullptr));
  }
  _exit(errno == ENOENT ? 127 : 126);
}

// All that comes through the pipe; reading on keeps the writer from waiting.
std::string read_all(int file) {
  std::string text;
  char piece[4096];
  while (true) {
    const ssize_t got = read(file, piece, sizeof piece);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return text;
    }
    text.append(piece, static_cast<std::size_t>(got));
  }
}

}  // namespace

std::string gnuplot_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "''";
    } else {
      quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return quoted + '\'';
}

std::string script_head(const std::string& svg_name, int width, int height) {
  return fmt::format(
      "set terminal svg size {},{} dynamic font 'sans-serif,15' background '#FFFFFF' noenhanced\n"
      "set output {}\n"
      "set border 3 linewidth 1 linecolor '#404040'\n"
      "set tics nomirror out\n"
      "set grid ytics linetype 1 linewidth 0.6 linecolor '#D8D8D8'\n",
      width, height, gnuplot_quoted(svg_name));
}

std::string curve_style(std::size_t n) {
  constexpr std::size_t kinds = std::size(kColours);
  return fmt::format("with linespoints {} {}", line_of(n % kinds), mark_of(n % kinds));
}

std::string level_style(std::size_t n) {
  constexpr const char* dashes[] = {"(6,4)", "(2,4)", "(12,4,2,4)"};
  return fmt::format("with lines linewidth 1.5 linecolor '#404040' dashtype {}",
                     dashes[n % std::size(dashes)]);
}

std::string curves_script(const Plot& plot, const std::string& svg_name) {
  std::string text = script_head(svg_name, 960, 600);
  text += fmt::format("set title {} font ',17'\n", gnuplot_quoted(plot.title));
  text += fmt::format("set xlabel {}\nset ylabel {}\n", gnuplot_quoted(plot.x_label),
                      gnuplot_quoted(plot.y_label));
  text += "set key below center horizontal Left reverse samplen 4 spacing 1.3\n";
  if (plot.y_range) {
    text += fmt::format("set yrange [{}:{}]\n", plot.y_range->first, plot.y_range->second);
  }
  double last = 0.0;
  for (std::size_t n = 0; n < plot.curves.size(); ++n) {
    text += fmt::format("\n{} << EOD\n", datablock_name(n));
    for (const auto& [x, y] : plot.curves[n].points) {
      text += fmt::format("{} {}\n", x, y);
      last = std::max(last, x);
    }
    text += "EOD\n";
  }
  text += fmt::format("\nset xrange [0:{}]\nplot \\\n", last > 0.0 ? last : 1.0);
  // Levels lie behind the curves; the legend is written apart and has them last.
  std::vector<std::string> drawn, legend;
  const std::size_t kinds = std::size(kColours);
  for (std::size_t n = 0; n < plot.curves.size(); ++n) {
    drawn.push_back(fmt::format("{} with lines {} notitle", datablock_name(n), line_of(n % kinds)));
    // Marks of curves that lie upon each other are at different places.
    const std::size_t interval = std::max<std::size_t>(1, plot.curves[n].points.size() / 5);
    drawn.push_back(fmt::format("{} every {}::{} with points linewidth 2 linecolor '{}' {} notitle",
                                datablock_name(n), interval, n % interval, kColours[n % kinds],
                                mark_of(n % kinds)));
    legend.push_back(
        fmt::format("keyentry {} title {}", curve_style(n), gnuplot_quoted(plot.curves[n].title)));
  }
  std::vector<std::string> parts;
  for (std::size_t n = 0; n < plot.levels.size(); ++n) {
    parts.push_back(fmt::format("{} {} notitle", plot.levels[n].y, level_style(n)));
    legend.push_back(
        fmt::format("keyentry {} title {}", level_style(n), gnuplot_quoted(plot.levels[n].title)));
  }
  parts.insert(parts.end(), drawn.begin(), drawn.end());
  parts.insert(parts.end(), legend.begin(), legend.end());
  return text + fmt::format("  {}\n", fmt::join(parts, ", \\\n  "));
}

std::string run_gnuplot(const std::string& folder, const std::string& script_name) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) {
    return fmt::format("gnuplot could not be started: {}", std::strerror(errno));
  }
  const std::string script = "./" + script_name;  // a name may begin with a dash
  const pid_t child = fork();
  if (child == 0) {
    become_gnuplot(folder.c_str(), script.c_str(), pipe_ends[1]);
  }
  close(pipe_ends[1]);
  if (child < 0) {
    close(pipe_ends[0]);
    return fmt::format("gnuplot could not be started: {}", std::strerror(errno));
  }
  const std::string output = read_all(pipe_ends[0]);
  close(pipe_ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    return "";
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
    return "gnuplot is not installed";
  }
  return fmt::format("gnuplot failed: {}", last_line(output));
}

}  // namespace basin::report
