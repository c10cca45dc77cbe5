// What a call that must be refused has to say.
#pragma once

#include <gtest/gtest.h>

#include <exception>
#include <string>
#include <vector>

namespace basin::test {

/// Passes if `call` throws an Exception whose one-line message contains all of `parts`.
template <class Exception, class Call>
testing::AssertionResult refuses(Call&& call, const std::vector<std::string>& parts) {
  try {
    call();
  } catch (const Exception& error) {
    const std::string message = error.what();
    for (const std::string& part : parts) {
      if (message.find(part) == std::string::npos) {
        return testing::AssertionFailure()
               << "'" << part << "' is missing from the message: " << message;
      }
    }
    if (message.find('\n') != std::string::npos) {
      return testing::AssertionFailure() << "the message has more than one line: " << message;
    }
    return testing::AssertionSuccess();
  } catch (const std::exception& error) {
    return testing::AssertionFailure() << "another exception came: " << error.what();
  }
  return testing::AssertionFailure() << "nothing was thrown";
}

}  // namespace basin::test
