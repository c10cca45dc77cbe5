#include "tasks/experiments/attention_heads_as_memories/dam_xor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "nn/memories/dense.h"

namespace basin::experiments {
namespace {

constexpr std::int64_t kMemories[4][3] = {{-1, -1, -1}, {-1, 1, 1}, {1, -1, 1}, {1, 1, -1}};

std::int64_t power(std::int64_t z, std::int64_t degree, bool rectified) {
  std::int64_t result = rectified && z < 0 ? 0 : 1;
  for (std::int64_t n = 0; n < degree; ++n) {
    result *= z;
  }
  return result;
}

// In whole numbers.
std::int64_t exact_evidence(int input, std::int64_t degree, bool rectified) {
  std::int64_t sum = 0;
  for (const auto& xi : kMemories) {
    const std::int64_t h = xi[0] * kMemories[input][0] + xi[1] * kMemories[input][1];
    sum += power(h + xi[2], degree, rectified) - power(h - xi[2], degree, rectified);
  }
  return sum;
}

TEST(DamXor, EvidenceIsExact) {
  for (const bool rectified : {false, true}) {
    for (std::int64_t degree = 1; degree <= kMostXorDegree; ++degree) {
      const XorEvidence found =
          xor_evidence(rectified ? Interaction::rectified : Interaction::power, degree);
      for (int input = 0; input < 4; ++input) {
        EXPECT_EQ(static_cast<std::int64_t>(found.evidence[static_cast<std::size_t>(input)]),
                  exact_evidence(input, degree, rectified))
            << degree << " " << input;
      }
    }
  }
}

TEST(DamXor, RectifiedPowersFromTwoAndOddPowersFromThreeSolveIt) {
  for (std::int64_t degree = 1; degree <= kMostXorDegree; ++degree) {
    EXPECT_EQ(xor_evidence(Interaction::rectified, degree).solved(), degree >= 2) << degree;
    const XorEvidence plain = xor_evidence(Interaction::power, degree);
    EXPECT_EQ(plain.solved(), degree >= 3 && degree % 2 == 1) << degree;
    EXPECT_EQ(plain.ties, degree % 2 == 0 || degree == 1 ? 4 : 0) << degree;
  }
  EXPECT_TRUE(xor_evidence(Interaction::exponential, 1).solved());
}

// The memory without learning agrees: what it prefers for the third unit is the sign of the
// evidence.
TEST(DamXor, EnergiesOfTheDenseMemoryAgree) {
  std::vector<double> patterns;
  for (const auto& xi : kMemories) {
    patterns.insert(patterns.end(), {static_cast<double>(xi[0]), static_cast<double>(xi[1]),
                                     static_cast<double>(xi[2])});
  }
  const Tensor stored = Tensor::from<double>({4, 3}, patterns);
  for (const std::int64_t degree : {2, 3, 4, 7}) {
    for (const Interaction interaction : {Interaction::power, Interaction::rectified}) {
      const nn::DenseMemory memory(stored, interaction, degree);
      const XorEvidence found = xor_evidence(interaction, degree);
      double scale = 1;
      for (std::int64_t n = 0; n < degree; ++n) {
        scale *= 3;
      }
      for (std::size_t input = 0; input < 4; ++input) {
        const double x = static_cast<double>(kMemories[input][0]);
        const double y = static_cast<double>(kMemories[input][1]);
        const std::vector<double> energies =
            memory.energy(Tensor::from<double>({2, 3}, std::vector<double>{x, y, 1, x, y, -1}))
                .to_vector<double>();
        EXPECT_NEAR((energies[1] - energies[0]) * scale, found.evidence[input], 1e-9 * scale);
      }
    }
  }
}

Results computed(const Settings& settings) {
  Results results;
  for (const Part& part : dam_xor().parts(settings)) {
    results[part.key] = part.compute({[](double, const std::string&) {}});
  }
  return results;
}

TEST(DamXor, VerdictsFollowFromTheTable) {
  for (const Size size : {Size::smoke, Size::small}) {
    Settings settings;
    settings.size = size;
    Results results = computed(settings);
    const Report report = dam_xor().report(settings, results);
    ASSERT_EQ(report.verdicts.size(), 3u);
    for (const Verdict& verdict : report.verdicts) {
      EXPECT_EQ(verdict.judgement, Judgement::reproduced) << verdict.claim;
    }
    EXPECT_EQ(report.tables.at(0).rows.size(), size == Size::smoke ? 19u : 63u);

    // One wrong answer, one tie too few.
    results["interaction=rectified"][3]["right"] = 3;
    results["interaction=power"][1]["ties"] = 2;
    const Report changed = dam_xor().report(settings, results);
    EXPECT_EQ(changed.verdicts[0].judgement, Judgement::contradicted);
    EXPECT_EQ(changed.verdicts[1].judgement, Judgement::reproduced);
    EXPECT_EQ(changed.verdicts[2].judgement, Judgement::contradicted);
  }
}

}  // namespace
}  // namespace basin::experiments
