// Checkpoints whose bytes are whole and whose content is wrong: edited by another program that
// knows how to seal a file, or made to deceive.
#include <gtest/gtest.h>
#include <hdf5.h>

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "tests/nn/checkpoint_damage.h"
#include "tests/support/sealed_file.h"

namespace basin::test {
namespace {

// The tables below use the library before basin does, and the library asks to be told first.
const herr_t kClosesItself = H5dont_atexit();

constexpr hsize_t kHuge = hsize_t{1} << 40;

using Edit = std::function<void(hid_t file)>;

struct ContentDamage {
  const char* name;
  Edit edit;
  std::vector<std::string> message;
};
void PrintTo(const ContentDamage& damage, std::ostream* stream) { *stream << damage.name; }

std::string content_damage_name(const testing::TestParamInfo<ContentDamage>& info) {
  return info.param.name;
}

// The checkpoint after an edit, with a seal that fits.
void write_edited(const std::string& path, const Edit& edit) {
  ASSERT_GE(kClosesItself, 0);
  write_bytes(path, checkpoint_bytes());
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  ASSERT_GE(file, 0);
  edit(file);
  ASSERT_GE(H5Fclose(file), 0);
  write_bytes(path, sealed(unsealed(read_bytes(path))));
}

void remove_link(hid_t file, const char* name) {
  ASSERT_GE(H5Ldelete(file, name, H5P_DEFAULT), 0) << name;
}

Edit without(const char* name) {
  return [=](hid_t file) { remove_link(file, name); };
}

Edit without_attribute(const char* object, const char* name) {
  return
      [=](hid_t file) { ASSERT_GE(H5Adelete_by_name(file, object, name, H5P_DEFAULT), 0) << name; };
}

// An attribute in place of the one that is there; no extents: one element.
template <class T>
Edit attribute(const char* object, const char* name, hid_t type, T value, hsize_t count = 1) {
  return [=](hid_t file) {
    without_attribute(object, name)(file);
    const hid_t owner = H5Oopen(file, object, H5P_DEFAULT);
    const hid_t space = count == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &count, nullptr);
    const hid_t id = H5Acreate2(owner, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const std::vector<T> values(count, value);
    ASSERT_GE(H5Awrite(id, type, values.data()), 0) << name;
    H5Aclose(id);
    H5Sclose(space);
    H5Oclose(owner);
  };
}

Edit text_attribute(const char* object, const char* name, const std::string& text) {
  return [=](hid_t file) {
    without_attribute(object, name)(file);
    const hid_t owner = H5Oopen(file, object, H5P_DEFAULT);
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, text.size());
    const hid_t id = H5Acreate2(owner, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    ASSERT_GE(H5Awrite(id, type, text.data()), 0) << name;
    H5Aclose(id);
    H5Tclose(type);
    H5Sclose(space);
    H5Oclose(owner);
  };
}

// A dataset of zeros in place of what is there, if anything is.
Edit dataset(const char* name, const std::vector<hsize_t>& extents, hid_t type = H5T_IEEE_F32LE,
             hid_t properties = H5P_DEFAULT, bool written = true) {
  return [=](hid_t file) {
    if (H5Lexists(file, name, H5P_DEFAULT) > 0) {
      remove_link(file, name);
    }
    const hid_t space = extents.empty() ? H5Screate(H5S_SCALAR)
                                        : H5Screate_simple(static_cast<int>(extents.size()),
                                                           extents.data(), nullptr);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    ASSERT_GE(set, 0) << name;
    if (written) {
      const std::vector<std::byte> zeros(
          static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)) * H5Tget_size(type));
      ASSERT_GE(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros.data()), 0) << name;
    }
    H5Dclose(set);
    H5Sclose(space);
  };
}

Edit group(const char* name) {
  return [=](hid_t file) {
    if (H5Lexists(file, name, H5P_DEFAULT) > 0) {
      remove_link(file, name);
    }
    H5Gclose(H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  };
}

Edit soft_link(const char* name, const char* target) {
  return [=](hid_t file) {
    remove_link(file, name);
    ASSERT_GE(H5Lcreate_soft(target, file, name, H5P_DEFAULT, H5P_DEFAULT), 0);
  };
}

Edit external_link(const char* name, const char* path, const char* target) {
  return [=](hid_t file) {
    remove_link(file, name);
    ASSERT_GE(H5Lcreate_external(path, target, file, name, H5P_DEFAULT, H5P_DEFAULT), 0);
  };
}

Edit exchanged(const char* one, const char* other) {
  return [=](hid_t file) {
    ASSERT_GE(H5Lmove(file, one, file, "/aside", H5P_DEFAULT, H5P_DEFAULT), 0);
    ASSERT_GE(H5Lmove(file, other, file, one, H5P_DEFAULT, H5P_DEFAULT), 0);
    ASSERT_GE(H5Lmove(file, "/aside", file, other, H5P_DEFAULT, H5P_DEFAULT), 0);
  };
}

// Creation properties live as long as the test program.
hid_t chunked(hsize_t rows, hsize_t columns) {
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  const std::array<hsize_t, 2> chunk = {rows, columns};
  H5Pset_chunk(properties, 2, chunk.data());
  return properties;
}

hid_t compressed(hsize_t rows, hsize_t columns) {
  const hid_t properties = chunked(rows, columns);
  H5Pset_deflate(properties, 9);
  return properties;
}

hid_t checksummed(hsize_t rows, hsize_t columns) {
  const hid_t properties = chunked(rows, columns);
  H5Pset_fletcher32(properties);
  return properties;
}

hid_t kept_elsewhere(hsize_t bytes) {
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_external(properties, "/etc/passwd", 0, bytes);
  return properties;
}

hid_t virtual_of(const std::vector<hsize_t>& extents) {
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  const hid_t space = H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr);
  H5Pset_virtual(properties, space, "other.h5", "/x", space);
  return properties;
}

constexpr const char* kWeight = "/model/tokens.weight";  // (5, 4)

std::vector<ContentDamage> damage_to_attributes() {
  const auto integer = [](const char* object, const char* name, std::int64_t value) {
    return attribute<std::int64_t>(object, name, H5T_NATIVE_INT64, value);
  };
  const std::string none = "no basin checkpoint";
  return {
      {"FormatMissing", without_attribute("/", "format"), {none}},
      {"FormatOfAnotherProgram", text_attribute("/", "format", "basin checkpoin"), {none}},
      {"FormatThatIsANumber", integer("/", "format", 1), {"'format' of '/'", "not a text"}},
      {"VersionMissing", without_attribute("/", "version"), {"no attribute 'version'"}},
      {"VersionBefore", integer("/", "version", 1), {"of version 1", "reads version 2"}},
      {"VersionToCome", integer("/", "version", 3), {"of version 3", "reads version 2"}},
      {"VersionThatIsAText", text_attribute("/", "version", "2"), {"a text, not an integer"}},
      {"ConfigurationMissing", without_attribute("/", "configuration"), {"'configuration'"}},
      {"ConfigurationThatIsANumber", integer("/", "configuration", 7), {"not a text"}},
      {"StepMissing", without_attribute("/", "step"), {"no attribute 'step' of '/'"}},
      {"StepNegative", integer("/", "step", -1), {"'step' of '/' is -1"}},
      {"StepSmallest", integer("/", "step", INT64_MIN), {"is -9223372036854775808"}},
      {"StepThatIsAFraction",
       attribute<double>("/", "step", H5T_NATIVE_DOUBLE, 2.5),
       {"'step'", "a 64-bit float, not an integer"}},
      {"StepBeyond63Bits",
       attribute<std::uint64_t>("/", "step", H5T_NATIVE_UINT64, UINT64_MAX),
       {"18446744073709551615", "does not fit"}},
      {"StepThatIsAText", text_attribute("/", "step", "two"), {"a text, not an integer"}},
      {"StepTwice",
       attribute<std::int64_t>("/", "step", H5T_NATIVE_INT64, 2, 2),
       {"'step'", "has 2 elements; one is needed"}},
      {"DropoutPositionMissing",
       without_attribute("/", "dropout_position"),
       {"'dropout_position'"}},
      {"DropoutPositionNegative",
       integer("/", "dropout_position", -5),
       {"'dropout_position'", "-5"}},
      {"OptimizerStepsMissing",
       without_attribute("/optimizer", "steps"),
       {"no attribute 'steps' of '/optimizer'"}},
      {"OptimizerStepsNegative",
       integer("/optimizer", "steps", -2),
       {"'steps' of '/optimizer' is -2"}},
      {"MetricNamesMissing", without_attribute("/metrics", "names"), {"'names' of '/metrics'"}},
      {"MetricNamesTooFew",
       text_attribute("/metrics", "names", "loss"),
       {"has 1 names", "(2) f64"}},
      {"MetricNamesTooMany", text_attribute("/metrics", "names", "a\nb\nc"), {"has 3 names"}},
      {"MetricNamesTheSame", text_attribute("/metrics", "names", "loss\nloss"), {"has 2 names"}},
      {"MetricValuesMissing", without("/metrics/values"), {"no dataset '/metrics/values'"}},
      {"MetricValuesOfIntegers", dataset("/metrics/values", {2}, H5T_STD_I64LE), {"(2) i64"}},
      {"MetricValuesInATable", dataset("/metrics/values", {2, 1}, H5T_IEEE_F64LE), {"(2, 1) f64"}},
      {"MetricsThatAreADataset", dataset("/metrics", {2}), {"'names' of '/metrics'"}},
  };
}

std::vector<ContentDamage> damage_to_tensors() {
  const std::string another = "belongs to another model";
  const std::string here = "'tokens.weight' is ";
  const hid_t text = H5Tcopy(H5T_C_S1);
  return {
      {"ModelMissing", without("/model"), {"no group '/model'", "metrics, optimizer"}},
      {"ModelThatIsADataset", dataset("/model", {3}), {"'/model' is a dataset, not a group"}},
      {"ModelEmpty", group("/model"), {another, "it has no /model"}},
      {"WeightMissing", without(kWeight), {another, "no /model 'tokens.weight'"}},
      {"WeightTooMany", dataset("/model/extra", {3}), {another, "in /model it has 'extra'"}},
      {"WeightUnderAnotherName",
       [](hid_t file) {
         H5Lmove(file, kWeight, file, "/model/Tokens.weight", H5P_DEFAULT, H5P_DEFAULT);
       },
       {another, "no /model 'tokens.weight'"}},
      {"WeightThatIsAGroup", group(kWeight), {"'/model/tokens.weight' is a group, not a dataset"}},
      {"WeightOfF64", dataset(kWeight, {5, 4}, H5T_IEEE_F64LE), {another, here + "(5, 4) f64"}},
      {"WeightOfIntegers", dataset(kWeight, {5, 4}, H5T_STD_I32LE), {another, here + "(5, 4) i32"}},
      {"WeightOfTexts", dataset(kWeight, {5, 4}, text), {"holds a text"}},
      {"WeightThatIsAScalar", dataset(kWeight, {}), {another, here + "() f32"}},
      {"WeightTransposed", dataset(kWeight, {4, 5}), {another, here + "(4, 5) f32"}},
      {"WeightFlat", dataset(kWeight, {20}), {another, here + "(20) f32"}},
      {"WeightWithOneMoreDimension", dataset(kWeight, {1, 5, 4}), {another, "(1, 5, 4) f32"}},
      {"WeightTooLarge", dataset(kWeight, {6, 4}), {another, here + "(6, 4) f32"}},
      {"WeightWithoutElements", dataset(kWeight, {0, 4}), {another, here + "(0, 4) f32"}},
      {"WeightOfNineDimensions", dataset(kWeight, {1, 1, 1, 1, 1, 1, 1, 5, 4}), {"9 dimensions"}},
      {"WeightNeverWritten",
       dataset(kWeight, {5, 4}, H5T_IEEE_F32LE, H5P_DEFAULT, false),
       {"needs 80 bytes, but the file holds 0"}},
      {"WeightOfHugeClaim",
       dataset(kWeight, {kHuge, 4}, H5T_IEEE_F32LE, H5P_DEFAULT, false),
       {"the file holds 0"}},
      {"WeightBeyondAllMemory",
       dataset(kWeight, {kHuge, kHuge}, H5T_IEEE_F32LE, H5P_DEFAULT, false),
       {"no memory holds"}},
      {"WeightCompressed",
       dataset(kWeight, {5, 4}, H5T_IEEE_F32LE, compressed(5, 4)),
       {"is compressed or filtered"}},
      {"WeightThatIsABomb",  // 16 MiB in a few KiB
       dataset(kWeight, {2048, 2048}, H5T_IEEE_F32LE, compressed(2048, 2048)),
       {"is compressed or filtered"}},
      {"WeightWithAFilter",
       dataset(kWeight, {5, 4}, H5T_IEEE_F32LE, checksummed(5, 4)),
       {"is compressed or filtered"}},
      {"WeightInAnotherFile",
       dataset(kWeight, {5, 4}, H5T_IEEE_F32LE, kept_elsewhere(80), false),
       {"takes its elements from other files"}},
      {"WeightPutTogether",
       dataset(kWeight, {5, 4}, H5T_IEEE_F32LE, virtual_of({5, 4}), false),
       {"takes its elements from other files"}},
      {"WeightsExchanged", exchanged(kWeight, "/model/head.bias"), {another, here + "(5) f32"}},
      {"LinkToNothing", soft_link(kWeight, "/nowhere"), {"leads to nothing in this file"}},
      {"LinkToItself", soft_link(kWeight, kWeight), {"leads to nothing in this file"}},
      {"LinkToAnotherFile", external_link(kWeight, "/etc/passwd", "/x"), {"no other file is read"}},
      {"ModelInAnotherFile",
       external_link("/model", "other.h5", "/model"),
       {"no other file is read"}},
      {"ModelThatHoldsItself",
       [](hid_t file) {
         H5Lcreate_hard(file, "/model", file, "/model/loop", H5P_DEFAULT, H5P_DEFAULT);
       },
       {another, "'loop'"}},
      {"OptimizerMissing", without("/optimizer"), {"no group '/optimizer'"}},
      {"SlotMissing", without("/optimizer/v"), {"another optimizer", "no /optimizer 'v'"}},
      {"SlotOfAnotherOptimizer", group("/optimizer/momentum"), {"another optimizer", "'momentum'"}},
      {"SlotWithoutAParameter",
       without("/optimizer/m/head.bias"),
       {"another optimizer", "no /optimizer/m 'head.bias'"}},
      {"SlotWithAParameterTooMany",
       dataset("/optimizer/m/extra", {5}),
       {"another optimizer", "in /optimizer/m it has 'extra'"}},
      {"SlotOfAnotherShape",
       dataset("/optimizer/v/head.bias", {6}),
       {another, "in /optimizer/v 'head.bias' is (6) f32"}},
      {"SlotOfAnotherDtype",
       dataset("/optimizer/v/head.bias", {5}, H5T_IEEE_F64LE),
       {another, "in /optimizer/v 'head.bias' is (5) f64"}},
  };
}

class CheckpointContent : public testing::TestWithParam<ContentDamage> {};
INSTANTIATE_TEST_SUITE_P(Attributes, CheckpointContent, testing::ValuesIn(damage_to_attributes()),
                         content_damage_name);
INSTANTIATE_TEST_SUITE_P(Tensors, CheckpointContent, testing::ValuesIn(damage_to_tensors()),
                         content_damage_name);

TEST_P(CheckpointContent, IsRefused) {
  const TemporaryFolder folder;
  ASSERT_NO_FATAL_FAILURE(write_edited(folder / "x", GetParam().edit));
  expect_refused(folder / "x", GetParam().message);
}

// What HDF5 can say in more than one way.
TEST(CheckpointContent, UnusualButTrueIsRead) {
  const TemporaryFolder folder;
  for (const Edit& edit : {
           Edit([](hid_t) {}),
           dataset(kWeight, {5, 4}, H5T_IEEE_F32BE),
           dataset(kWeight, {5, 4}, H5T_IEEE_F32LE, chunked(2, 3)),
           dataset("/notes of another program", {3}),
           attribute<std::uint8_t>("/", "step", H5T_NATIVE_UINT8, 2),
       }) {
    ASSERT_NO_FATAL_FAILURE(write_edited(folder / "x", edit));
    Trainee trainee(tiny_backbone(), 5);
    EXPECT_EQ(nn::load_checkpoint(folder / "x", trainee.model, &trainee.optimizer).step, 2);
  }
}

// The run had them: what they mean is for those who evaluate it.
TEST(CheckpointContent, NotANumberComesBackToTheBit) {
  const TemporaryFolder folder;
  Trainee saved(tiny_backbone());
  Tensor weights = saved.model.parameters().front().variable.mutable_value();
  weights.fill(std::numeric_limits<double>::quiet_NaN());
  nn::save_checkpoint(folder / "x", saved.model, saved.optimizer, training_state(2));
  Trainee loaded(tiny_backbone(), 5);
  nn::load_checkpoint(folder / "x", loaded.model, &loaded.optimizer);
  EXPECT_TRUE(same_bits(loaded.everything(), saved.everything()));
}

}  // namespace
}  // namespace basin::test
