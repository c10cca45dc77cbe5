// AssociationOptions through the attributes of a group and back.
#include "tensor/io/association_group.h"

#include <gtest/gtest.h>

#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace basin::test {
namespace {

AssociationOptions round_trip(const AssociationOptions& options, const std::string& group) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  Hdf5Writer writer(path);
  write_association_options(writer, group, options, 16);
  if (options.learned_beta == LearnedBeta::head) {
    writer.write((group == "/" ? "" : group) + "/beta_per_head",
                 Tensor::full({2}, 0.5, DType::f64));
  }
  writer.commit();
  return read_association_options(Hdf5Reader(path), group);
}

TEST(AssociationGroup, BringsOptionsBack) {
  AssociationOptions options;
  options.beta = 0.7;
  options.causal = true;
  options.update_steps = 3;
  EXPECT_EQ(round_trip(options, "/a/b"), options);
  EXPECT_EQ(round_trip(options, "/"), options);

  AssociationOptions per_head;
  per_head.learned_beta = LearnedBeta::head;
  EXPECT_EQ(round_trip(per_head, "/"), per_head);

  AssociationOptions linear;
  linear.separation = Separation::linear;
  linear.causal = true;
  EXPECT_EQ(round_trip(linear, "/linear"), linear);
}

TEST(AssociationGroup, WritesTheBetaThatIsUsed) {
  EXPECT_EQ(round_trip({}, "/").beta, 0.25);  // 1 / sqrt(16)
}

TEST(AssociationGroup, ReadsTheReferenceVectors) {
  const Hdf5Reader file(BASIN_SOURCE_DIR "/tests/golden/reference.h5");
  const AssociationOptions iterated =
      read_association_options(file, "/attention/softmax_beta_per_head_iterated2");
  EXPECT_EQ(iterated.update_steps, 2);
  EXPECT_EQ(iterated.learned_beta, LearnedBeta::head);
  // Its beta is there for comparisons and has no effect.
  const AssociationOptions linear = read_association_options(file, "/kernel_attention/elu1_causal");
  EXPECT_EQ(linear.separation, Separation::linear);
  EXPECT_TRUE(linear.causal);
  EXPECT_EQ(linear.beta, 0);
}

// What the options cannot say must not be dropped silently.
TEST(AssociationGroup, RefusesWhatItDoesNotKnow) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  Hdf5Writer writer(path);
  writer.set_integer("/nothing", "causal", 1);
  writer.set_text("/sparse", "mechanism", "sparsemax");
  writer.set_text("/window", "mechanism", "softmax");
  writer.set_integer("/window", "window_radius", 3);
  writer.set_text("/masked", "mechanism", "softmax");
  writer.write("/masked/mask", Tensor::zeros({2}, DType::u8));
  writer.set_text("/steps", "mechanism", "softmax");
  writer.set_integer("/steps", "update_steps", 0);
  writer.set_text("/betas", "mechanism", "softmax");
  writer.set_number("/betas", "beta", 1);
  writer.write("/betas/beta_per_head", Tensor::full({2}, 0.5, DType::f64));
  writer.commit();
  const Hdf5Reader file(path);
  const auto refused = [&](const std::string& group, const std::string& why) {
    return refuses<FileError>([&] { (void)read_association_options(file, group); },
                              {path, "'" + group + "'", why});
  };
  EXPECT_TRUE(refused("/nothing", "neither"));
  EXPECT_TRUE(refused("/sparse", "'sparsemax' is not supported; there is softmax"));
  EXPECT_TRUE(refused("/window", "'window_radius' is not supported"));
  EXPECT_TRUE(refused("/masked", "'mask' is not supported"));
  EXPECT_TRUE(refused("/steps", "update_steps must be at least 1"));
  EXPECT_TRUE(refused("/betas", "both"));
}

TEST(Hdf5, ListsAttributes) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  Hdf5Writer writer(path);
  writer.set_integer("/a", "second", 1);
  writer.set_text("/a", "first", "x");
  writer.set_integer("/", "of the file", 1);
  writer.commit();
  const Hdf5Reader file(path);
  EXPECT_EQ(file.attributes("/a"), (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(file.attributes("/"), (std::vector<std::string>{"of the file"}));
  EXPECT_TRUE(refuses<FileError>([&] { (void)file.attributes("/b"); }, {path, "'/b'"}));
}

}  // namespace
}  // namespace basin::test
