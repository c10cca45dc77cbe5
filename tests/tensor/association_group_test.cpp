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

  AssociationOptions entmax;
  entmax.beta = 0.7;
  entmax.separation = Separation::entmax;
  entmax.alpha = 1.3;
  entmax.window = 5;
  entmax.dilation = 2;
  entmax.global_tokens = 1;
  entmax.normalise = Normalise::all;
  entmax.update_steps = 4;
  entmax.tolerance = 0.01;
  EXPECT_EQ(round_trip(entmax, "/entmax"), entmax);

  AssociationOptions polynomial;
  polynomial.beta = 0.7;
  polynomial.separation = Separation::polynomial;
  polynomial.degree = 5;
  polynomial.random_keep = 0.25;
  polynomial.random_grain = MaskGrain::tile;
  polynomial.top_fraction = 0.5;
  EXPECT_EQ(round_trip(polynomial, "/polynomial"), polynomial);

  AssociationOptions top;
  top.beta = 0.7;
  top.separation = Separation::sparsemax;
  top.top_k = 3;
  EXPECT_EQ(round_trip(top, "/top"), top);
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
  writer.set_text("/dense", "mechanism", "dense");
  writer.set_text("/linear", "mechanism", "linear");
  writer.set_text("/window", "mechanism", "softmax");
  writer.set_integer("/window", "window", 3);
  writer.set_text("/masked", "mechanism", "softmax");
  writer.set_number("/masked", "keep", 0.5);
  writer.set_text("/alphas", "mechanism", "entmax");
  writer.set_number("/alphas", "alpha", 1.5);
  writer.write("/alphas/alpha_per_head", Tensor::full({2}, 1.5, DType::f64));
  writer.set_text("/prf", "features", "prf");
  writer.set_text("/features", "features", "elu1");
  writer.write("/features/projection", Tensor::zeros({2}, DType::f64));
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
  EXPECT_TRUE(refused("/dense", "'dense' is not supported; there are softmax"));
  EXPECT_TRUE(refused("/linear", "'linear' is not supported; there are softmax"));
  EXPECT_TRUE(refused("/window", "'window' is not supported"));
  EXPECT_TRUE(refused("/masked", "no dataset 'mask'"));
  EXPECT_TRUE(refused("/alphas", "both"));
  EXPECT_TRUE(refused("/features", "'projection' is for features prf and relu"));
  EXPECT_TRUE(refused("/prf", "need a dataset 'projection'"));
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
