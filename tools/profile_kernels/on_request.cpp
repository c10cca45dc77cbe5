#include "tools/profile_kernels/on_request.h"

#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "tensor/error.h"

namespace basin::profile_kernels {

namespace {

void print_line(const nlohmann::ordered_json& json) {
  fmt::print("{}\n", json.dump());
  if (std::fflush(stdout) != 0) {
    fail("standard output cannot be written");
  }
}

}  // namespace

command_line::Option on_request_option() {
  return {"on-request", "",
          "print a line of JSON when set up, then one for each line 'round' read"};
}

void answer_requests(const nlohmann::ordered_json& ready,
                     const std::function<nlohmann::ordered_json()>& round) {
  print_line(ready);
  for (std::string line; std::getline(std::cin, line);) {
    if (line != "round") {
      fail("standard input: '{:.40}' is no request; write 'round', or end the input", line);
    }
    print_line(round());
  }
}

}  // namespace basin::profile_kernels
