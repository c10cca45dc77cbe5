#include "tools/trainer/summary.h"

#include <nlohmann/json.hpp>

#include "tensor/error.h"
#include "tools/report/text_file.h"

namespace basin::trainer {

namespace {

using Json = nlohmann::ordered_json;

Json to_json(const std::vector<tasks::Metric>& metrics) {
  Json list = Json::array();
  for (const tasks::Metric& metric : metrics) {
    list.push_back({{"name", metric.name}, {"value", metric.value}});
  }
  return list;
}

std::vector<tasks::Metric> to_metrics(const Json& list) {
  std::vector<tasks::Metric> metrics;
  for (const Json& entry : list) {
    metrics.push_back({entry.at("name").get<std::string>(), entry.at("value").get<double>()});
  }
  return metrics;
}

}  // namespace

void write_summary(const std::string& path, const Summary& s) {
  Json best = {{"step", s.best_step}, {"value", s.best_value}};
  if (s.best_test) {
    best["test"] = {{"loss", s.best_test->loss}, {"metrics", to_json(s.best_test->metrics)}};
  }
  const Json json = {
      {"program", "basin trainer"},
      {"version", s.version},
      {"task", s.task},
      {"backbone", s.backbone},
      {"parameters", s.parameters},
      {"steps", s.steps},
      {"epochs", s.epochs},
      {"seed", s.seed},
      {"threads", s.threads},
      {"test", {{"examples", s.test_examples}, {"loss", s.loss}, {"metrics", to_json(s.metrics)}}},
      {"baselines", to_json(s.baselines)},
      {"higher_is_better", s.higher_is_better},
      {"best_validation", best},
      {"seconds", s.seconds},
      {"tokens_per_second", s.tokens_per_second},
      {"peak_memory_bytes", s.peak_memory_bytes},
      {"steps_run", s.steps_run},
      {"configuration", s.configuration},
  };
  // Paths need not be UTF-8, JSON must be.
  report::write_text(path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Summary read_summary(const std::string& path) {
  const std::string text = report::read_text(path);
  try {
    const Json json = Json::parse(text);
    const Json& test = json.at("test");
    Summary s;
    json.at("version").get_to(s.version);
    json.at("task").get_to(s.task);
    json.at("backbone").get_to(s.backbone);
    json.at("parameters").get_to(s.parameters);
    json.at("steps").get_to(s.steps);
    json.at("epochs").get_to(s.epochs);
    json.at("seed").get_to(s.seed);
    json.at("threads").get_to(s.threads);
    test.at("examples").get_to(s.test_examples);
    test.at("loss").get_to(s.loss);
    s.metrics = to_metrics(test.at("metrics"));
    s.baselines = to_metrics(json.at("baselines"));
    json.at("higher_is_better").get_to(s.higher_is_better);
    json.at("best_validation").at("step").get_to(s.best_step);
    json.at("best_validation").at("value").get_to(s.best_value);
    if (const Json& best = json.at("best_validation"); best.contains("test")) {
      const Json& of_best = best.at("test");
      s.best_test = {of_best.at("loss").get<double>(), to_metrics(of_best.at("metrics"))};
    }
    json.at("seconds").get_to(s.seconds);
    json.at("tokens_per_second").get_to(s.tokens_per_second);
    json.at("peak_memory_bytes").get_to(s.peak_memory_bytes);
    s.steps_run = json.value("steps_run", "");
    json.at("configuration").get_to(s.configuration);
    if (s.metrics.empty()) {
      throw FileError(fmt::format("{} is not the summary of a run: it has no metrics", path));
    }
    return s;
  } catch (const nlohmann::json::exception& error) {
    throw FileError(fmt::format("{} is not the summary of a run: {}", path, error.what()));
  }
}

}  // namespace basin::trainer
