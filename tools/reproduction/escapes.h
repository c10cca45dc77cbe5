// Text of experiments inside the languages of reports.
#pragma once

#include <string>

namespace basin::reproduction {

/// For the content and the attributes of HTML elements.
std::string html_escaped(const std::string& text);

/// For a line of Markdown outside code: nothing in it is markup. Line ends become blanks.
std::string markdown_escaped(const std::string& text);

/// Control characters and line ends become blanks.
std::string one_line(const std::string& text);

/// RFC 4648, with padding.
std::string base64(const std::string& bytes);

}  // namespace basin::reproduction
