#include "tools/reproduction/session.h"

#include <fmt/format.h>

#include "kernels/simd/isa.h"
#include "tensor/error.h"
#include "tools/origin/build.h"
#include "tools/origin/machine.h"

namespace basin::reproduction {

namespace {

using experiments::Protocol;
using experiments::Settings;
using experiments::Size;
using Json = nlohmann::json;

constexpr int kFormat = 1;

}  // namespace

Session this_session(Device device) {
  const origin::Machine machine = origin::this_machine();
  return {origin::kVersion,
          origin::kCommit,
          origin::now_text(),
          machine.processor,
          name_of(kernels::isa()),
          machine.cores,
          threads(),
          device == Device::cpu ? "cpu" : describe_device(device)};
}

std::string program_text(const Session& s) {
  return s.commit.empty() ? s.version : fmt::format("{}, commit {}", s.version, s.commit);
}

Json to_json(const Session& s) {
  return {{"version", s.version},     {"commit", s.commit}, {"date", s.date},
          {"processor", s.processor}, {"isa", s.isa},       {"cores", s.cores},
          {"threads", s.threads},     {"device", s.device}};
}

Session to_session(const Json& json) {
  try {
    return {json.at("version"), json.at("commit"), json.at("date"),    json.at("processor"),
            json.at("isa"),     json.at("cores"),  json.at("threads"), json.at("device")};
  } catch (const Json::exception& error) {
    fail("the journal's record of a session is not whole: {}", error.what());
  }
}

Json header_of(const experiments::Experiment& experiment, const Settings& s) {
  return {{"format", kFormat},
          {"experiment", experiment.name},
          {"settings",
           {{"size", name_of(s.size)},
            {"protocol", name_of(s.protocol)},
            {"seed", s.seed},
            {"data", s.data},
            {"device", basin::name_of(s.device)}}}};
}

Settings settings_in(const Json& header) {
  Settings s;
  try {
    if (header.at("format") != kFormat) {
      fail("its format is {}, not {}", header.at("format").dump(), kFormat);
    }
    const Json& json = header.at("settings");
    const auto choose = [&json]<class T>(const char* name, T& value,
                                         std::initializer_list<T> choices) {
      for (const T choice : choices) {
        if (json.at(name) == name_of(choice)) {
          value = choice;
          return;
        }
      }
      fail("it has the {} {}", name, json.at(name).dump());
    };
    choose("size", s.size, {Size::smoke, Size::small, Size::gpu, Size::full});
    choose("protocol", s.protocol, {Protocol::corrected, Protocol::as_coded});
    choose("device", s.device, {Device::cpu, Device::cuda, Device::simt});
    json.at("seed").get_to(s.seed);
    json.at("data").get_to(s.data);
  } catch (const Json::exception& error) {
    fail("it has no such settings: {}", error.what());
  }
  return s;
}

}  // namespace basin::reproduction
