#include "tasks/experiments/attention_heads_as_memories/dam_mnist.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "tasks/experiments/attention_heads_as_memories/dam_mnist_report.h"
#include "tasks/experiments/attention_heads_as_memories/image_baselines.h"
#include "tasks/images/mnist.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/reduce.h"

namespace basin::experiments {

namespace dam_mnist_parts {

constexpr std::int64_t kPictures = 25;
constexpr std::int64_t kComparedImages = 2000;
constexpr std::int64_t kLogisticEpochs = 10;

struct Data {
  LabelledRows train, validation, test;
};

LabelledRows rows_of(const tasks::LabelledImages& images, std::int64_t begin, std::int64_t end) {
  const tasks::LabelledImages some = images.slice(begin, end);
  return {tasks::signed_pixels(some, DType::f32), some.labels};
}

std::shared_ptr<const Data> read_data(const Settings& settings, const DamMnistBudget& budget) {
  const tasks::Mnist mnist = tasks::read_mnist(settings.data);
  const std::int64_t count = mnist.train.count();
  if (count < budget.train_images + budget.validation_images) {
    throw FileError(fmt::format(
        "MNIST's training files in {} hold {} images; {} for training and the last {} for "
        "validation are needed",
        settings.data, count, budget.train_images, budget.validation_images));
  }
  const std::int64_t test = std::min(budget.test_images, mnist.test.count());
  return std::make_shared<const Data>(Data{
      rows_of(mnist.train, 0, budget.train_images),
      rows_of(mnist.train, count - budget.validation_images, count), rows_of(mnist.test, 0, test)});
}

// Rows with mean 0 and length 1.
Tensor standardised(const Tensor& rows) {
  const auto width = static_cast<double>(rows.size(1));
  const Tensor centred = sub(rows, affine(sum(rows, 1, true), 1.0 / width, 0.0));
  return div(centred, sqrt(affine(sum(square(centred), 1, true), 1.0, 1e-12)));
}

// How much each memory looks like the training image that it resembles most: the largest
// correlation of their pixels, averaged over memories.
double likeness(const Tensor& memories, const LabelledRows& train) {
  const std::int64_t pixels = train.pixels.size(1);
  const Tensor images =
      standardised(train.pixels.slice(0, 0, std::min(kComparedImages, train.count())));
  const Tensor visible = standardised(memories.slice(1, 0, pixels).contiguous());
  const Tensor best = max(matmul(visible, images.transpose(0, 1)), 1);
  return sum(best).item() / static_cast<double>(best.numel());
}

// The pixels of the first memories in thousandths, which is enough for a picture.
nlohmann::json pictures(const Tensor& memories, std::int64_t pixels) {
  nlohmann::json all = nlohmann::json::array();
  const std::int64_t count = std::min(kPictures, memories.size(0));
  for (std::int64_t k = 0; k < count; ++k) {
    nlohmann::json picture = nlohmann::json::array();
    for (const double value : memories.select(0, k).slice(0, 0, pixels).to_vector<double>()) {
      picture.push_back(std::lround(1000.0 * value));
    }
    all.push_back(picture);
  }
  return all;
}

nlohmann::json run_part(const Data& data, const DamMnistSetting& setting, std::uint64_t seed,
                        bool with_pictures, const Progress& progress) {
  const DenseTraining& by = setting.training;
  const DenseRun run = train_dense(
      data.train, data.validation, data.test, by, seed,
      [&](double share, double train_error, double validation_error) {
        progress.tell(share, fmt::format("{}: error {:.2f} % in training, {:.2f} % in "
                                         "validation",
                                         setting.name(), train_error, validation_error));
      });
  nlohmann::json result = {{"train_error", run.train_error},
                           {"validation_error", run.validation_error},
                           {"best_epoch", run.best_epoch},
                           {"test_error_last", run.test_error_last},
                           {"test_error_best", run.test_error_best},
                           {"memories_for_half", run.memories_for_half},
                           {"likeness", likeness(run.memories, data.train)},
                           {"test_images", data.test.count()}};
  if (with_pictures) {
    result["pictures"] = pictures(run.memories, data.train.pixels.size(1));
  }
  return result;
}

nlohmann::json baselines(const Data& data, std::int64_t neighbours, std::uint64_t seed,
                         const Progress& progress) {
  nlohmann::json result;
  progress.tell(0.0, "baselines: majority, nearest mean");
  result["majority"] = majority_error(data.train, data.test);
  result["nearest_mean"] = nearest_mean_error(data.train, data.test);
  progress.tell(0.1, "baselines: logistic regression");
  result["logistic_regression"] =
      logistic_regression_error(data.train, data.test, kLogisticEpochs, seed);
  progress.tell(0.5, "baselines: nearest neighbour");
  const std::int64_t known = std::min(neighbours, data.train.count());
  const LabelledRows some{data.train.pixels.slice(0, 0, known),
                          data.train.labels.slice(0, 0, known)};
  result["nearest_neighbour"] = nearest_neighbour_error(some, data.test);
  result["test_images"] = data.test.count();
  return result;
}

std::vector<Part> parts(const Settings& settings) {
  const DamMnistBudget budget = dam_mnist_budget(settings.size);
  const std::shared_ptr<const Data> data = read_data(settings, budget);
  const double images = static_cast<double>(budget.train_images);
  std::vector<Part> all;
  all.push_back({"baselines", 4.0 * images, [=](const Progress& progress) {
                   return baselines(*data, budget.neighbours,
                                    static_cast<std::uint64_t>(settings.seed), progress);
                 }});
  for (std::int64_t n = 0; n < budget.seeds; ++n) {
    const std::int64_t seed = settings.seed + n;
    for (const DamMnistSetting& setting : budget.settings) {
      all.push_back(
          {dam_mnist_key(setting, seed),
           images * static_cast<double>(setting.training.epochs * setting.training.model.memories) /
               100.0,
           [=](const Progress& progress) {
             return run_part(*data, setting, static_cast<std::uint64_t>(seed), n == 0, progress);
           }});
    }
  }
  return all;
}

// Chosen by validation error: see the remarks of the report.
DamMnistSetting setting_of(std::int64_t degree, double temperature, std::int64_t half_power,
                           double initial_mean) {
  DamMnistSetting setting;
  DenseTraining& by = setting.training;
  by.model.memories = 500;
  by.model.degree = degree;
  by.model.temperature = temperature;
  by.model.initial_mean = initial_mean;
  by.half_power = half_power;
  by.batch = 250;
  return setting;
}

// Of degree 20; what DenseTraining begins with.
DamMnistSetting published_setting() {
  DamMnistSetting setting;
  setting.as_published = true;
  return setting;
}

}  // namespace dam_mnist_parts

std::string DamMnistSetting::name() const {
  return fmt::format("n = {}{}", training.model.degree, as_published ? " as published" : "");
}

std::string dam_mnist_key(const DamMnistSetting& setting, std::int64_t seed) {
  return fmt::format("degree={}{}/seed={}", setting.training.model.degree,
                     setting.as_published ? "/published" : "", seed);
}

DamMnistBudget dam_mnist_budget(Size size) {
  using namespace dam_mnist_parts;
  DamMnistBudget budget;
  budget.settings = {setting_of(2, 40, 4, 0.0), setting_of(3, 70, 4, 0.0),
                     setting_of(20, 400, 30, -0.1), setting_of(30, 450, 30, -0.1),
                     published_setting()};
  if (size == Size::full) {
    budget.seeds = 10;
  }
  const bool smoke = size == Size::smoke;
  for (DamMnistSetting& setting : budget.settings) {
    DenseTraining& by = setting.training;
    if (smoke) {
      by.epochs = 30;
      by.decay = 0.9;
      by.batch = 50;
      by.model.memories = 25;
    } else if (!setting.as_published) {
      by.epochs = size == Size::full ? 300 : 60;
      by.decay = size == Size::full ? 0.99 : 0.955;
    }
  }
  if (smoke) {
    budget.train_images = 500;
    budget.validation_images = 200;
    budget.test_images = 200;
    budget.neighbours = 500;
  }
  return budget;
}

Experiment dam_mnist() {
  using namespace dam_mnist_parts;
  return {"dam-mnist",
          "Attention heads as associative memories (memo); D. Krotov, J. Hopfield 2016",
          "How well does a dense associative memory classify digits, and what do its memories look "
          "like when the degree of the energy grows?",
          "mnist",
          parts,
          dam_mnist_report,
          "",
          false};
}

}  // namespace basin::experiments
