// A report as one page.
#pragma once

#include <string>
#include <vector>

#include "tasks/experiments/report.h"
#include "tools/reproduction/markdown.h"
#include "tools/reproduction/record.h"

namespace basin::reproduction {

/// With the pictures in it; without scripts, and without anything from elsewhere. `pictures`: one
/// for each figure.
std::string html_page(const experiments::Report& report, const Record& record,
                      const std::vector<Picture>& pictures);

/// A whole document around `body`, with the style that all pages share.
std::string html_document(const std::string& title, const std::string& body);

/// The word for a judgement with a sign and a frame, so that it is read without colours.
std::string badge(experiments::Judgement judgement);

}  // namespace basin::reproduction
