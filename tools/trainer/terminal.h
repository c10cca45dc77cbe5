// Standard output as the place where progress is shown.
#pragma once

#include <cstddef>
#include <string>

namespace basin::trainer {

/// Whether standard output is a terminal on which a line can be drawn over.
bool draws_lines_over();

/// How wide it is; 80 if nobody knows.
std::size_t terminal_columns();

/// Prints at once. A reader that went away must not end the work; main() looks at the state of the
/// stream.
void print_now(const std::string& text);

/// "[####......] text" where there is room for a bar, and less of the end of `text` where there is
/// none; over the line that was there. `done` is a share.
void draw_bar(double done, const std::string& text);

/// Takes the line of draw_bar() away.
void erase_bar();

}  // namespace basin::trainer
