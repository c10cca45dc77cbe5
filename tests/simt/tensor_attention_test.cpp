// Attention in bf16 on tensor cores, by the executor: against float64, and against what a plain
// computation with the same roundings would be off by.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/association/association_case.h"
#include "kernels/association/softmax_attention.h"
#include "kernels/common/half.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

using Halves = std::vector<BFloat16>;

Halves rounded(const std::vector<float>& numbers) {
  Halves result;
  for (const float number : numbers) {
    result.push_back(to_bfloat16(number));
  }
  return result;
}

double number(const Halves& from, std::int64_t at) {
  return static_cast<double>(to_float(from[static_cast<std::size_t>(at)]));
}

// Arrays of a problem with contiguous heads; rows of out may have a gap.
struct Arrays {
  explicit Arrays(const AssociationProblem& problem, std::int64_t gap = 0)
      : s(problem),
        out_row(s.Dv + gap),
        q(rounded(uniform_numbers<float>(size(s.L, s.D), 1))),
        k(rounded(uniform_numbers<float>(size(s.M, s.D), 2))),
        v(rounded(uniform_numbers<float>(size(s.M, s.Dv), 3))) {
    for (std::int64_t h = 0; h < s.H; ++h) {
      beta.push_back(0.4f + 0.5f * static_cast<float>(h));
    }
  }
  std::int64_t size(std::int64_t rows, std::int64_t width) const {
    return s.B * s.H * rows * width;
  }
  HeadView view(const Halves& data, std::int64_t rows, std::int64_t width) const {
    return {const_cast<BFloat16*>(data.data()), s.H * rows * width, rows * width, width};
  }
  AttentionForward call(Halves& out, std::vector<float>& lse) const {
    out.assign(static_cast<std::size_t>(size(s.L, out_row)), BFloat16{0x4040});  // 3
    lse.assign(static_cast<std::size_t>(s.B * s.H * s.L), 7.0f);
    return {view(q, s.L, s.D),
            view(k, s.M, s.D),
            view(v, s.M, s.Dv),
            view(out, s.L, out_row),
            beta.data(),
            s.lengths(),
            lse.data(),
            nullptr,
            s.B,
            s.H,
            s.L,
            s.M,
            s.D,
            s.Dv,
            s.causal,
            DType::bf16};
  }

  AssociationProblem s;
  std::int64_t out_row;
  Halves q, k, v;
  std::vector<float> beta;
};

struct Expected {
  std::vector<double> out, lse;
};

// The definition; with `round`, weights (not yet divided by their sum) and result pass through bf16
// as in a plain program for this format.
Expected definition(const Arrays& a, bool round) {
  const AssociationProblem& s = a.s;
  const auto maybe = [&](double x) {
    return round ? static_cast<double>(to_float(to_bfloat16(x))) : x;
  };
  Expected result;
  for (std::int64_t head = 0; head < s.B * s.H; ++head) {
    for (std::int64_t i = 0; i < s.L; ++i) {
      std::vector<double> scores(static_cast<std::size_t>(s.M), -INFINITY);
      double most = -INFINITY;
      for (std::int64_t j = 0; j < s.M; ++j) {
        if (s.sees(head / s.H, i, j)) {
          double score = 0;
          for (std::int64_t d = 0; d < s.D; ++d) {
            score +=
                number(a.q, (head * s.L + i) * s.D + d) * number(a.k, (head * s.M + j) * s.D + d);
          }
          scores[static_cast<std::size_t>(j)] =
              score * static_cast<double>(a.beta[static_cast<std::size_t>(head % s.H)]);
          most = std::max(most, scores[static_cast<std::size_t>(j)]);
        }
      }
      double sum = 0;
      std::vector<double> out(static_cast<std::size_t>(s.Dv));
      for (std::int64_t j = 0; j < s.M; ++j) {
        if (s.sees(head / s.H, i, j)) {
          const double weight = std::exp(scores[static_cast<std::size_t>(j)] - most);
          sum += weight;
          for (std::int64_t c = 0; c < s.Dv; ++c) {
            out[static_cast<std::size_t>(c)] +=
                maybe(weight) * number(a.v, (head * s.M + j) * s.Dv + c);
          }
        }
      }
      for (const double x : out) {
        result.out.push_back(sum > 0 ? maybe(x / sum) : 0);
      }
      result.lse.push_back(most + std::log(sum));
    }
  }
  return result;
}

// Of the numbers that belong to rows of out, without its gaps.
double largest_difference(const Arrays& a, const Halves& out, const std::vector<double>& expected) {
  double worst = 0;
  for (std::int64_t row = 0; row < a.size(a.s.L, 1); ++row) {
    for (std::int64_t c = 0; c < a.s.Dv; ++c) {
      const double found = number(out, row * a.out_row + c);
      const double difference =
          std::abs(found - expected[static_cast<std::size_t>(row * a.s.Dv + c)]);
      worst = std::isnan(found) ? INFINITY : std::max(worst, difference);
    }
  }
  return worst;
}

std::vector<AssociationProblem> problems() {
  std::vector<AssociationProblem> all = association_problems();
  all.push_back({.name = "wide", .B = 1, .H = 1, .L = 70, .M = 130, .D = 256, .Dv = 200});
  all.push_back(
      {.name = "half_wide", .B = 1, .H = 2, .L = 65, .M = 129, .D = 128, .Dv = 96, .causal = true});
  return all;
}

TEST(TensorAttention, IsAtMostTwiceAsWrongAsAPlainComputation) {
  for (const AssociationProblem& s : problems()) {
    SCOPED_TRACE(s.name);
    const Arrays a(s, 3);
    const Expected exact = definition(a, false);
    const Expected plain = definition(a, true);
    double plain_error = 0;
    for (std::size_t i = 0; i < exact.out.size(); ++i) {
      plain_error = std::max(plain_error, std::abs(plain.out[i] - exact.out[i]));
    }
    Halves first;
    for (const SimtContext& order : all_orders()) {
      SCOPED_TRACE(order_name(order));
      Halves out;
      std::vector<float> lse;
      const AttentionForward p = a.call(out, lse);
      const Status status = attention_forward(p, order);
      ASSERT_TRUE(status.ok()) << status.message;
      EXPECT_LE(largest_difference(a, out, exact.out), 2 * plain_error);
      for (std::size_t i = 0; i < lse.size(); ++i) {
        if (exact.lse[i] == -INFINITY) {
          ASSERT_EQ(lse[i], -std::numeric_limits<float>::infinity()) << i;
        } else {
          ASSERT_NEAR(lse[i], exact.lse[i], 1e-5 * (1 + std::abs(exact.lse[i]))) << i;
        }
      }
      for (std::int64_t row = 0; row < a.size(s.L, 1); ++row) {
        for (std::int64_t c = s.Dv; c < a.out_row; ++c) {
          ASSERT_EQ(number(out, row * a.out_row + c), 3) << "wrote into the gap of row " << row;
        }
      }
      if (first.empty()) {
        first = out;
      }
      for (std::size_t i = 0; i < out.size(); ++i) {
        ASSERT_EQ(out[i].bits, first[i].bits) << "other bits in another order, at " << i;
      }
    }
  }
}

// Bits of what does not see a key stay the same, whatever stands in it.
TEST(TensorAttention, HiddenKeysDoNotReachAQuery) {
  for (const float strange :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1000.0f}) {
    for (const AssociationProblem& s : problems()) {
      for (const std::int64_t first : {s.M / 3, s.M - 1}) {
        SCOPED_TRACE(s.name + " " + std::to_string(strange) + " from " + std::to_string(first));
        const Arrays before(s);
        Arrays after(s);
        for (std::int64_t head = 0; head < s.B * s.H; ++head) {
          for (std::int64_t j = std::max<std::int64_t>(first, 0); j < s.M; ++j) {
            for (std::int64_t d = 0; d < s.D; ++d) {
              after.k[static_cast<std::size_t>((head * s.M + j) * s.D + d)] = to_bfloat16(strange);
            }
            for (std::int64_t d = 0; d < s.Dv; ++d) {
              after.v[static_cast<std::size_t>((head * s.M + j) * s.Dv + d)] = to_bfloat16(strange);
            }
          }
        }
        Halves out[2];
        std::vector<float> lse[2];
        ASSERT_TRUE(attention_forward(before.call(out[0], lse[0]), SimtContext{}).ok());
        ASSERT_TRUE(attention_forward(after.call(out[1], lse[1]), SimtContext{}).ok());
        for (std::int64_t head = 0; head < s.B * s.H; ++head) {
          for (std::int64_t i = 0; i < s.L; ++i) {
            bool sees = false;
            for (std::int64_t j = std::max<std::int64_t>(first, 0); j < s.M; ++j) {
              sees = sees || s.sees(head / s.H, i, j);
            }
            for (std::int64_t c = 0; c < s.Dv; ++c) {
              const auto at = static_cast<std::size_t>((head * s.L + i) * s.Dv + c);
              if (!sees) {
                ASSERT_EQ(out[1][at].bits, out[0][at].bits) << "query " << i;
              } else if (std::isnan(strange)) {
                ASSERT_TRUE(std::isnan(to_float(out[1][at]))) << "query " << i << " hides a NaN";
              }
            }
          }
        }
      }
    }
  }
}

// Only the values are strange: the weights of the query stay finite, and so does every other
// column.
TEST(TensorAttention, AStrangeValueReachesThoseWhoSeeItAndItsColumn) {
  const AssociationProblem s{
      .name = "", .B = 1, .H = 1, .L = 80, .M = 80, .D = 32, .Dv = 32, .causal = true};
  Arrays a(s);
  constexpr std::int64_t kKey = 70, kColumn = 5;
  Halves before, after;
  std::vector<float> lse;
  ASSERT_TRUE(attention_forward(a.call(before, lse), SimtContext{}).ok());
  a.v[kKey * 32 + kColumn] = to_bfloat16(-std::numeric_limits<float>::infinity());
  ASSERT_TRUE(attention_forward(a.call(after, lse), SimtContext{}).ok());
  for (std::int64_t i = 0; i < s.L; ++i) {
    for (std::int64_t c = 0; c < s.Dv; ++c) {
      if (i >= kKey && c == kColumn) {
        EXPECT_EQ(number(after, i * s.Dv + c), -INFINITY) << i;
      } else if (i < kKey || c != kColumn) {
        EXPECT_EQ(number(after, i * s.Dv + c), number(before, i * s.Dv + c)) << i << " " << c;
      }
    }
  }
}

TEST(TensorAttention, RefusesWhatItCannotDo) {
  const AssociationProblem s{.name = "", .B = 1, .H = 1, .L = 2, .M = 2, .D = 257, .Dv = 4};
  const Arrays a(s);
  Halves out;
  std::vector<float> lse;
  EXPECT_EQ(attention_forward(a.call(out, lse), SimtContext{}).code, Status::Code::unsupported);
  const TestContext cpu(1);
  const AssociationProblem small{.name = "", .B = 1, .H = 1, .L = 2, .M = 2, .D = 8, .Dv = 4};
  EXPECT_EQ(attention_forward(Arrays(small).call(out, lse), cpu.get()).code,
            Status::Code::unsupported);
}

}  // namespace
}  // namespace basin::kernels
