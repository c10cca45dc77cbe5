// Results as JSON and back.
#include <nlohmann/json.hpp>

#include "tensor/error.h"
#include "tools/profile_kernels/circumstances.h"
#include "tools/report/text_file.h"

namespace basin::profile_kernels {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "basin profile_kernels time";
constexpr int kVersionOfFormat = 1;

Spread spread_from(const Json& json) {
  return {json.at("median").get<double>(), json.at("p10").get<double>(),
          json.at("p90").get<double>()};
}

Json row_json(const Row& row) {
  const double median = row.seconds.median;
  return {{"kernel", row.kernel},
          {"variant", row.variant},
          {"variant_name", row.variant_name},
          {"sizes", row.sizes},
          {"dtype", row.dtype},
          {"arrays", row.cold ? "cold" : "hot"},
          {"seconds", spread_json(row.seconds)},
          {"calls_per_sample", row.calls},
          {"flops", row.flops},
          {"exps", row.exps},
          {"bytes", row.bytes},
          {"flops_per_second", row.flops / median},
          {"bytes_per_second", row.bytes / median},
          {"ceiling", row.ceiling},
          {"share_of_ceiling", row.share},
          {"array_bytes", row.array_bytes},
          {"workspace_bytes", row.workspace_bytes},
          {"copies_of_arrays", row.copies},
          {"peak_resident_bytes", row.peak_resident_bytes},
          {"self_ratio", spread_json(row.self)},
          {"error", row.error},
          {"tolerance", row.tolerance},
          {"checked_on", row.checked_on}};
}

Row row_from(const Json& json) {
  Row row;
  json.at("kernel").get_to(row.kernel);
  json.at("variant").get_to(row.variant);
  json.at("variant_name").get_to(row.variant_name);
  json.at("sizes").get_to(row.sizes);
  json.at("dtype").get_to(row.dtype);
  row.cold = json.at("arrays").get<std::string>() == "cold";
  row.seconds = spread_from(json.at("seconds"));
  json.at("calls_per_sample").get_to(row.calls);
  json.at("flops").get_to(row.flops);
  json.at("exps").get_to(row.exps);
  json.at("bytes").get_to(row.bytes);
  json.at("ceiling").get_to(row.ceiling);
  json.at("share_of_ceiling").get_to(row.share);
  json.at("array_bytes").get_to(row.array_bytes);
  json.at("workspace_bytes").get_to(row.workspace_bytes);
  json.at("copies_of_arrays").get_to(row.copies);
  json.at("peak_resident_bytes").get_to(row.peak_resident_bytes);
  row.self = spread_from(json.at("self_ratio"));
  json.at("error").get_to(row.error);
  json.at("tolerance").get_to(row.tolerance);
  json.at("checked_on").get_to(row.checked_on);
  if (!(row.seconds.median > 0)) {
    throw FileError("a row took no time");
  }
  return row;
}

Results results_from(const Json& json) {
  if (json.at("format").get<std::string>() != kFormat) {
    throw FileError("its format is another one");
  }
  if (json.at("version").get<int>() != kVersionOfFormat) {
    throw FileError(
        fmt::format("its version is {}, not {}", json.at("version").get<int>(), kVersionOfFormat));
  }
  Results results;
  json.at("date").get_to(results.date);
  const Json& machine = json.at("machine");
  machine.at("processor").get_to(results.machine.processor);
  machine.at("cores").get_to(results.machine.cores);
  machine.at("isa").get_to(results.machine.isa);
  machine.at("last_level_cache_bytes").get_to(results.machine.last_level_cache);
  const Json& build = json.at("build");
  build.at("version").get_to(results.version);
  build.at("commit").get_to(results.commit);
  build.at("compiler").get_to(results.compiler);
  build.at("flags").get_to(results.flags);
  json.at("device").get_to(results.device);
  results.card = json.value("card", "");  // not in documents of before there were cards
  json.at("isa").get_to(results.isa);
  json.at("threads").get_to(results.threads);
  json.at("settings").get_to(results.settings);
  for (const auto& [dtype, c] : json.at("ceilings").items()) {
    results.ceilings[dtype] = {
        c.at("flops_per_second").get<double>(), c.at("exps_per_second").get<double>(),
        c.at("bytes_per_second").get<double>(), c.value("tensor_flops_per_second", 0.0)};
  }
  for (const Json& row : json.at("rows")) {
    results.rows.push_back(row_from(row));
  }
  return results;
}

}  // namespace

std::string to_json(const Results& results) {
  Json ceilings = Json::object();
  for (const auto& [dtype, c] : results.ceilings) {
    ceilings[dtype] = {
        {"flops_per_second", c.flops}, {"exps_per_second", c.exps}, {"bytes_per_second", c.bytes}};
    if (c.tensor_flops > 0) {
      ceilings[dtype]["tensor_flops_per_second"] = c.tensor_flops;
    }
  }
  Json rows = Json::array();
  for (const Row& row : results.rows) {
    rows.push_back(row_json(row));
  }
  Json json = head_json(kFormat, kVersionOfFormat, results);
  json["settings"] = results.settings;
  json["ceilings"] = ceilings;
  json["noise"] = spread_json(results.noise());
  json["rows"] = rows;
  return json.dump(2) + "\n";
}

Results read_results(const std::string& path) {
  const std::string text = report::read_text(path);
  try {
    return results_from(Json::parse(text));
  } catch (const Json::exception& error) {
    throw FileError(
        fmt::format("{} is no result of 'profile_kernels time': {}", path, error.what()));
  } catch (const FileError& error) {
    throw FileError(
        fmt::format("{} is no result of 'profile_kernels time': {}", path, error.what()));
  }
}

}  // namespace basin::profile_kernels
