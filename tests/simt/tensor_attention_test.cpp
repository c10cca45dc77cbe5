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
        v(rounded(uniform_numbers<float>(size(s.M, s.Dv), 3))),
        dout(rounded(uniform_numbers<float>(size(s.L, s.Dv), 4))) {
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
  Halves q, k, v, dout;
  std::vector<float> beta;
};

struct Gradients {
  Halves dq, dk, dv;
  std::vector<float> dbeta;
};

// Forward and backward. Rows of the results that the kernel does not write keep a 3.
Gradients gradients(const Arrays& a, const SimtContext& context) {
  const AssociationProblem& s = a.s;
  Halves out;
  std::vector<float> lse;
  const AttentionForward f = a.call(out, lse);
  EXPECT_TRUE(attention_forward(f, context).ok());
  Gradients g;
  g.dq.assign(a.q.size(), BFloat16{0x4040});
  g.dk.assign(a.k.size(), BFloat16{0x4040});
  g.dv.assign(a.v.size(), BFloat16{0x4040});
  g.dbeta.assign(a.beta.size(), 3.0f);
  AttentionBackward p{f.q,
                      f.k,
                      f.v,
                      f.out,
                      a.view(a.dout, s.L, s.Dv),
                      a.view(g.dq, s.L, s.D),
                      a.view(g.dk, s.M, s.D),
                      a.view(g.dv, s.M, s.Dv),
                      f.beta,
                      g.dbeta.data(),
                      f.key_lengths,
                      f.lse,
                      nullptr,
                      s.B,
                      s.H,
                      s.L,
                      s.M,
                      s.D,
                      s.Dv,
                      s.causal,
                      DType::bf16};
  std::vector<double> workspace(
      static_cast<std::size_t>(attention_backward_workspace(p, context) / 8 + 1));
  p.workspace = workspace.data();
  const Status status = attention_backward(p, context);
  EXPECT_TRUE(status.ok()) << status.message;
  return g;
}

struct Expected {
  std::vector<double> out, lse;
};

struct ExpectedGradients {
  std::vector<double> dq, dk, dv, dbeta;
  std::vector<double> doubt;  // of dbeta: what rounding the summands to bf16 moves it by
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

// The definition; with `round`, out, weights, slopes and results pass through bf16.
ExpectedGradients gradient_definition(const Arrays& a, bool round) {
  const AssociationProblem& s = a.s;
  const auto maybe = [&](double x) {
    return round ? static_cast<double>(to_float(to_bfloat16(x))) : x;
  };
  const Expected forward = definition(a, round);
  const Expected exact = definition(a, false);
  ExpectedGradients g{std::vector<double>(a.q.size()), std::vector<double>(a.k.size()),
                      std::vector<double>(a.v.size()), std::vector<double>(a.beta.size()),
                      std::vector<double>(a.beta.size())};
  for (std::int64_t head = 0; head < s.B * s.H; ++head) {
    const auto h = static_cast<std::size_t>(head % s.H);
    const auto beta = static_cast<double>(a.beta[h]);
    double variance = 0;
    for (std::int64_t i = 0; i < s.L; ++i) {
      double delta = 0, delta_variance = 0, mean_score = 0;
      for (std::int64_t c = 0; c < s.Dv; ++c) {
        const std::int64_t at = (head * s.L + i) * s.Dv + c;
        const double product = number(a.dout, at) * forward.out[static_cast<std::size_t>(at)];
        delta += product;
        delta_variance += product * product;
      }
      for (std::int64_t j = 0; j < s.M; ++j) {
        if (!s.sees(head / s.H, i, j)) {
          continue;
        }
        double score = 0, dweight = 0;
        for (std::int64_t d = 0; d < s.D; ++d) {
          score +=
              number(a.q, (head * s.L + i) * s.D + d) * number(a.k, (head * s.M + j) * s.D + d);
        }
        for (std::int64_t c = 0; c < s.Dv; ++c) {
          dweight += number(a.dout, (head * s.L + i) * s.Dv + c) *
                     number(a.v, (head * s.M + j) * s.Dv + c);
        }
        const double weight =
            std::exp(beta * score - exact.lse[static_cast<std::size_t>(head * s.L + i)]);
        const double slope = maybe(weight * (dweight - delta));
        for (std::int64_t d = 0; d < s.D; ++d) {
          const auto q = static_cast<std::size_t>((head * s.L + i) * s.D + d);
          const auto k = static_cast<std::size_t>((head * s.M + j) * s.D + d);
          g.dq[q] += beta * slope * number(a.k, static_cast<std::int64_t>(k));
          g.dk[k] += beta * slope * number(a.q, static_cast<std::int64_t>(q));
        }
        for (std::int64_t c = 0; c < s.Dv; ++c) {
          g.dv[static_cast<std::size_t>((head * s.M + j) * s.Dv + c)] +=
              maybe(weight) * number(a.dout, (head * s.L + i) * s.Dv + c);
        }
        g.dbeta[h] += slope * score;
        variance += slope * score * slope * score;
        mean_score += weight * score;
      }
      variance += delta_variance * mean_score * mean_score;
    }
    g.doubt[h] += std::sqrt(variance) / 512;
  }
  for (auto* numbers : {&g.dq, &g.dk, &g.dv}) {
    for (double& x : *numbers) {
      x = maybe(x);
    }
  }
  return g;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::isnan(a[i]) ? INFINITY : std::max(worst, std::abs(a[i] - b[i]));
  }
  return worst;
}

std::vector<double> widened(const Halves& halves) {
  std::vector<double> result;
  for (std::size_t i = 0; i < halves.size(); ++i) {
    result.push_back(number(halves, static_cast<std::int64_t>(i)));
  }
  return result;
}

void expect_same_bits(const Halves& a, const Halves& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].bits, b[i].bits) << "at " << i;
  }
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

TEST(TensorAttention, GradientsAreAtMostTwiceAsWrongAsAPlainComputation) {
  for (const AssociationProblem& s : problems()) {
    SCOPED_TRACE(s.name);
    const Arrays a(s);
    const ExpectedGradients exact = gradient_definition(a, false);
    const ExpectedGradients plain = gradient_definition(a, true);
    const Gradients first = gradients(a, SimtContext{});
    const auto check = [&](const char* what, const Halves& found,
                           const std::vector<double>& true_one,
                           const std::vector<double>& plain_one) {
      EXPECT_LE(largest_difference(widened(found), true_one),
                2 * largest_difference(plain_one, true_one))
          << what;
    };
    check("dq", first.dq, exact.dq, plain.dq);
    check("dk", first.dk, exact.dk, plain.dk);
    check("dv", first.dv, exact.dv, plain.dv);
    for (std::size_t h = 0; h < a.beta.size(); ++h) {
      // Four standard deviations of a sum of as many rounding errors.
      EXPECT_NEAR(static_cast<double>(first.dbeta[h]), exact.dbeta[h], 4 * exact.doubt[h] + 1e-6);
    }
    for (const SimtContext& order : all_orders()) {
      if (s.D > 128) {
        break;  // the same code, and the slowest
      }
      SCOPED_TRACE(order_name(order));
      const Gradients again = gradients(a, order);
      expect_same_bits(again.dq, first.dq);
      expect_same_bits(again.dk, first.dk);
      expect_same_bits(again.dv, first.dv);
      EXPECT_EQ(again.dbeta, first.dbeta);
    }
  }
}

// What a query or a key does not see cannot reach its gradient.
TEST(TensorAttention, HiddenPairsDoNotReachAGradient) {
  for (const float strange :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const AssociationProblem& s : problems()) {
      if (s.L == 0 || s.M == 0 || s.D > 64) {
        continue;
      }
      SCOPED_TRACE(s.name + " " + std::to_string(strange));
      const Arrays before(s);
      const Gradients expected = gradients(before, SimtContext{});
      const std::int64_t key = s.M - 1;
      const std::int64_t query = s.L / 2;
      const auto spoil_row = [&](Halves& numbers, std::int64_t rows, std::int64_t width,
                                 std::int64_t row) {
        for (std::int64_t head = 0; head < s.B * s.H; ++head) {
          for (std::int64_t d = 0; d < width; ++d) {
            numbers[static_cast<std::size_t>((head * rows + row) * width + d)] =
                to_bfloat16(strange);
          }
        }
      };
      const auto check_rows = [&](const Halves& found, const Halves& wanted, std::int64_t rows,
                                  std::int64_t width, auto sees) {
        for (std::int64_t head = 0; head < s.B * s.H; ++head) {
          for (std::int64_t row = 0; row < rows; ++row) {
            for (std::int64_t d = 0; d < width; ++d) {
              const auto at = static_cast<std::size_t>((head * rows + row) * width + d);
              if (!sees(head / s.H, row)) {
                ASSERT_EQ(found[at].bits, wanted[at].bits) << "row " << row;
              } else {
                ASSERT_FALSE(std::isfinite(to_float(found[at]))) << "row " << row << " hides it";
              }
            }
          }
        }
      };
      Arrays keys(s);
      spoil_row(keys.k, s.M, s.D, key);
      spoil_row(keys.v, s.M, s.Dv, key);
      const Gradients of_keys = gradients(keys, SimtContext{});
      check_rows(of_keys.dq, expected.dq, s.L, s.D,
                 [&](std::int64_t b, std::int64_t i) { return s.sees(b, i, key); });
      Arrays queries(s);
      spoil_row(queries.q, s.L, s.D, query);
      spoil_row(queries.dout, s.L, s.Dv, query);
      const Gradients of_queries = gradients(queries, SimtContext{});
      const auto seen = [&](std::int64_t b, std::int64_t j) { return s.sees(b, query, j); };
      check_rows(of_queries.dk, expected.dk, s.M, s.D, seen);
      check_rows(of_queries.dv, expected.dv, s.M, s.Dv, seen);
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
