// What a checkpoint keeps, and which files are refused before anything is changed.
#include "nn/checkpoint.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tensor/io/hdf5.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/trainee.h"

namespace basin::nn {
namespace {

using test::read_bytes;
using test::refuses;
using test::same_bits;
using test::small_backbone;
using test::TemporaryFolder;
using test::Trainee;
using test::training_state;
using test::write_bytes;

BackboneOptions options_of(const std::string& kind, DType dtype = DType::f32) {
  BackboneOptions options = small_backbone(kind, dtype);
  options.dropout = 0.2;
  return options;
}

class EveryCheckpoint : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Checkpoint, EveryCheckpoint, testing::ValuesIn(test::all_backbones()),
                         test::test_name);

TEST_P(EveryCheckpoint, BringsEverythingBackToTheBit) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const TemporaryFolder folder;
    const std::string path = folder / "model.h5";
    Trainee saved(options_of(GetParam(), dtype));
    saved.train(0, 3);
    save_checkpoint(path, saved.model, saved.optimizer, training_state(3));
    EXPECT_FALSE(std::filesystem::exists(path + ".partial"));

    Trainee loaded(options_of(GetParam(), dtype), 77);
    ASSERT_FALSE(same_bits(loaded.everything(), saved.everything()));
    const TrainingState state = load_checkpoint(path, loaded.model, &loaded.optimizer);
    EXPECT_TRUE(same_bits(loaded.everything(), saved.everything()));
    EXPECT_EQ(state.configuration, training_state(3).configuration);
    EXPECT_EQ(state.step, 3);
    EXPECT_EQ(state.metrics, training_state(3).metrics);
    const TrainingState alone = read_training_state(path);
    EXPECT_EQ(alone.configuration, state.configuration);
    EXPECT_EQ(alone.step, 3);
    EXPECT_EQ(alone.metrics, state.metrics);
  }
}

TEST_P(EveryCheckpoint, FiveStepsSavedAndFiveMoreAreTenSteps) {
  const TemporaryFolder folder;
  const std::string path = folder / "model.h5";
  Trainee straight(options_of(GetParam()));
  straight.train(0, 5);
  save_checkpoint(path, straight.model, straight.optimizer, training_state(5));
  straight.train(5, 10);

  // Another seed: weights come from the file, and so does dropout but for its key.
  Trainee resumed(options_of(GetParam()));
  resumed.train(100, 103);
  load_checkpoint(path, resumed.model, &resumed.optimizer);
  resumed.train(5, 10);
  EXPECT_TRUE(same_bits(resumed.everything(), straight.everything()));
}

TEST_P(EveryCheckpoint, LoadsWeightsAloneForEvaluation) {
  const TemporaryFolder folder;
  const std::string path = folder / "model.h5";
  Trainee saved(options_of(GetParam()));
  saved.train(0, 2);
  save_checkpoint(path, saved.model, saved.optimizer, training_state(2));
  LanguageModel model(options_of(GetParam()), 77);
  load_checkpoint(path, model, nullptr);
  EXPECT_TRUE(same_bits(test::weights_of(model), test::weights_of(saved.model)));
}

TEST(Checkpoint, WithoutMetricsAndConfiguration) {
  const TemporaryFolder folder;
  const Trainee saved(options_of("rnn"));
  save_checkpoint(folder / "model.h5", saved.model, saved.optimizer, {});
  const TrainingState state = read_training_state(folder / "model.h5");
  EXPECT_EQ(state.configuration, "");
  EXPECT_EQ(state.step, 0);
  EXPECT_TRUE(state.metrics.empty());
}

TEST(Checkpoint, ReplacesTheOldOne) {
  const TemporaryFolder folder;
  const std::string path = folder / "model.h5";
  Trainee trainee(options_of("attention"));
  save_checkpoint(path, trainee.model, trainee.optimizer, training_state(0));
  trainee.train(0, 1);
  save_checkpoint(path, trainee.model, trainee.optimizer, training_state(1));
  Trainee loaded(options_of("attention"), 77);
  EXPECT_EQ(load_checkpoint(path, loaded.model, &loaded.optimizer).step, 1);
  EXPECT_TRUE(same_bits(loaded.everything(), trainee.everything()));
}

// Loading must fail with all of `parts` in the message and leave model and optimizer as they were.
void expect_refused(const std::string& path, const BackboneOptions& options,
                    std::vector<std::string> parts) {
  Trainee trainee(options, 5);
  trainee.train(0, 1);
  const std::vector<Tensor> before = trainee.everything();
  parts.push_back(path);
  EXPECT_TRUE(
      refuses<FileError>([&] { load_checkpoint(path, trainee.model, &trainee.optimizer); }, parts));
  EXPECT_TRUE(same_bits(trainee.everything(), before)) << "something was changed";
}

class CheckpointErrors : public testing::Test {
 protected:
  CheckpointErrors() : path_(folder_ / "model.h5"), trainee_(options_of("attention")) {
    trainee_.train(0, 1);
    save_checkpoint(path_, trainee_.model, trainee_.optimizer, training_state(1));
  }
  TemporaryFolder folder_;
  std::string path_;
  Trainee trainee_;
};

TEST_F(CheckpointErrors, AnotherModel) {
  const auto refuse = [&](const std::function<void(BackboneOptions&)>& change,
                          const std::vector<std::string>& parts) {
    BackboneOptions options = options_of("attention");
    change(options);
    expect_refused(path_, options, parts);
  };
  const std::string another = "belongs to another model";
  // The file lacks something.
  refuse([](auto& o) { o.learned_beta = LearnedBeta::head; },
         {another, "it has no", "blocks.0.mix.log_beta"});
  refuse([](auto& o) { o.layers = 3; }, {another, "it has no", "blocks.2.norm1.weight"});
  refuse([](auto& o) { o.kind = "rnn"; }, {another, "it has no", "blocks.0.mix.rnn.weight_ih_l0"});
  // The file has something more.
  refuse([](auto& o) { o.positions = PositionKind::none; },
         {another, "in /model it has 'positions.weight'", "the model does not"});
  refuse([](auto& o) { o.layers = 1; },
         {another, "in /model it has 'blocks.1.", "the model does not"});
  // Another shape: of the very first parameter and of one in the middle.
  refuse([](auto& o) { o.vocabulary = 12; }, {another, "'tokens.weight'", "(11, 16)", "(12, 16)"});
  refuse([](auto& o) { o.mlp_ratio = 3; },
         {another, "'blocks.0.up.weight'", "(32, 16)", "(48, 16)"});
  // Another dtype.
  refuse([](auto& o) { o.dtype = DType::f64; }, {another, "'tokens.weight'", "f32", "f64"});
}

TEST_F(CheckpointErrors, NoFileAtAll) {
  expect_refused(folder_ / "missing.h5", options_of("attention"), {});
  expect_refused(folder_.path(), options_of("attention"), {});
  EXPECT_TRUE(refuses<FileError>([&] { read_training_state(folder_ / "missing.h5"); },
                                 {folder_ / "missing.h5"}));
}

TEST_F(CheckpointErrors, NoHdf5File) {
  const std::string text = folder_ / "text.h5";
  write_bytes(text, "step,loss\n1,2.5\n");
  expect_refused(text, options_of("attention"), {"HDF5"});
  write_bytes(text, std::string(100000, '\0'));
  expect_refused(text, options_of("attention"), {"HDF5"});
  const std::string empty = folder_ / "empty.h5";
  write_bytes(empty, "");
  expect_refused(empty, options_of("attention"), {});
}

TEST_F(CheckpointErrors, CutShort) {
  const std::string whole = read_bytes(path_);
  ASSERT_GT(whole.size(), 20000u);
  const std::string cut = folder_ / "cut.h5";
  // The file is filled up with zeros to whole pages: the last byte that says something.
  const std::size_t last = whole.find_last_not_of('\0');
  for (const std::size_t bytes :
       {std::size_t{1}, std::size_t{8}, std::size_t{100}, std::size_t{2000}, whole.size() / 4,
        whole.size() / 2, whole.size() - 4096, last}) {
    write_bytes(cut, whole.substr(0, bytes));
    SCOPED_TRACE(bytes);
    expect_refused(cut, options_of("attention"), {});
  }
}

TEST_F(CheckpointErrors, AnotherHdf5File) {
  const std::string other = folder_ / "other.h5";
  const auto refuse = [&](const std::function<void(Hdf5Writer&)>& fill,
                          const std::vector<std::string>& parts) {
    {
      Hdf5Writer file(other);
      fill(file);
      file.commit();
    }
    expect_refused(other, options_of("attention"), parts);
  };
  const std::string no_checkpoint = "no basin checkpoint";
  refuse([](Hdf5Writer& file) { file.write("/x", Tensor::zeros({3}, DType::f32)); },
         {no_checkpoint});
  refuse([](Hdf5Writer& file) { file.set_text("/", "format", "another format"); }, {no_checkpoint});
  refuse(
      [](Hdf5Writer& file) {
        file.set_text("/", "format", "basin checkpoint");
        file.set_integer("/", "version", 1);
      },
      {"version 1", "reads version 2"});
  refuse([](Hdf5Writer& file) { file.set_text("/", "format", "basin checkpoint"); }, {"version"});
  // Attributes that no run writes would index outside of the data later.
  refuse(
      [](Hdf5Writer& file) {
        file.set_text("/", "format", "basin checkpoint");
        file.set_integer("/", "version", 2);
        file.set_text("/", "configuration", "");
        file.set_integer("/", "step", -1);
      },
      {"step", "-1"});
}

// A checkpoint whose model is complete but whose optimizer is not: the weights, too, stay as they
// are.
TEST_F(CheckpointErrors, AnIncompleteOptimizer) {
  const std::string other = folder_ / "other.h5";
  {
    const Hdf5Reader from(path_);
    Hdf5Writer to(other);
    to.set_text("/", "format", "basin checkpoint");
    to.set_integer("/", "version", 2);
    to.set_text("/", "configuration", "");
    to.set_integer("/", "step", 1);
    to.set_integer("/", "dropout_position", 0);
    to.set_integer("/optimizer", "steps", 1);
    for (const std::string group : {"/model", "/optimizer/m", "/optimizer/v"}) {
      for (const std::string& name : from.members(group)) {
        if (group != "/optimizer/v" || name != "head.bias") {
          to.write(group + "/" + name, from.read(group + "/" + name));
        }
      }
    }
    to.commit();
  }
  expect_refused(other, options_of("attention"), {"/optimizer/v", "head.bias"});
  // Without an optimizer there is nothing amiss.
  LanguageModel model(options_of("attention"), 77);
  EXPECT_EQ(load_checkpoint(other, model, nullptr).step, 1);
  EXPECT_TRUE(same_bits(test::weights_of(model), test::weights_of(trainee_.model)));
}

class SavingFails : public CheckpointErrors {
 protected:
  // Saving to path_ fails and leaves the old file and nothing beside it.
  void expect_old_file_intact(const std::function<void()>& save,
                              const std::vector<std::string>& parts) {
    const std::string before = read_bytes(path_);
    EXPECT_TRUE(refuses<FileError>(save, parts));
    EXPECT_EQ(read_bytes(path_), before) << "the old checkpoint was changed";
    Trainee loaded(options_of("attention"), 77);
    EXPECT_EQ(load_checkpoint(path_, loaded.model, &loaded.optimizer).step, 1);
  }
  std::function<void()> save_to(const std::string& path) const {
    return [this, path] {
      save_checkpoint(path, trainee_.model, trainee_.optimizer, training_state(2));
    };
  }
};

TEST_F(SavingFails, WhereThereIsNoFolderToWriteTo) {
  const std::string missing = folder_ / "missing/model.h5";
  EXPECT_TRUE(refuses<FileError>(save_to(missing), {missing}));
  const std::string below_a_file = path_ + "/model.h5";
  expect_old_file_intact(save_to(below_a_file), {below_a_file});
  // The process file system takes no files from anybody.
  EXPECT_TRUE(refuses<FileError>(save_to("/proc/model.h5"), {"/proc/model.h5"}));
  // The path is a folder.
  EXPECT_TRUE(refuses<FileError>(save_to(folder_.path()), {folder_.path()}));
  EXPECT_TRUE(std::filesystem::is_directory(folder_.path()));
}

TEST_F(SavingFails, WhereTheTemporaryNameIsAFolder) {
  std::filesystem::create_directory(path_ + ".partial");
  expect_old_file_intact(save_to(path_), {path_});
}

TEST_F(SavingFails, HalfWayThrough) {
  expect_old_file_intact(
      [&] {
        TrainingState state = training_state(2);
        state.configuration = std::string("a\0b", 3);
        save_checkpoint(path_, trainee_.model, trainee_.optimizer, state);
      },
      {path_});
  EXPECT_FALSE(std::filesystem::exists(path_ + ".partial"));
}

// As on a full disk: the system refuses to let a file grow.
TEST_F(SavingFails, WhenTheFileCannotGrow) {
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  auto* const old_handler = signal(SIGXFSZ, SIG_IGN);
  expect_old_file_intact(
      [&] {
        rlimit small = old;
        small.rlim_cur = 4096;
        setrlimit(RLIMIT_FSIZE, &small);
        try {
          save_to(path_)();
        } catch (...) {
          setrlimit(RLIMIT_FSIZE, &old);
          throw;
        }
        setrlimit(RLIMIT_FSIZE, &old);
      },
      {path_});
  signal(SIGXFSZ, old_handler);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".partial"));
}

}  // namespace
}  // namespace basin::nn
