// Work that is written down once and repeated: what it computes, what it refuses, whose memory it
// uses.
#include "tensor/device_graph.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/lookup.h"
#include "tensor/functions/matmul.h"
#include "tensor/readback.h"
#include "tensor/rng.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"

namespace basin {
namespace {

using test::refuses;
using test::same_bits;

Tensor on_simt(std::initializer_list<double> values) {
  const std::vector<double> list(values);
  return Tensor::from<double>({static_cast<std::int64_t>(list.size())}, list).to(Device::simt);
}

// Rehearsed and captured.
DeviceGraph& made(DeviceGraph& graph, const std::function<void()>& work) {
  graph.rehearse(work);
  graph.capture(work);
  return graph;
}

TEST(DeviceGraph, ComputesWhenItIsReplayedFromWhatIsThereThen) {
  Tensor x = on_simt({1, 2, 3});
  Tensor y;
  DeviceGraph graph(Device::simt);
  const auto work = [&] {
    y = Tensor();  // its block is needed again
    y = affine(mul(x, x), 2.0, 1.0);
  };
  graph.rehearse(work);
  EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{3, 9, 19}));
  EXPECT_FALSE(graph.captured());
  x.copy_from(on_simt({4, 5, 6}));
  graph.capture(work);
  EXPECT_TRUE(graph.captured());
  EXPECT_EQ(graph.launches(), 2);
  EXPECT_NE(y.to_vector<double>(), (std::vector<double>{33, 51, 73})) << "computed while capturing";
  graph.replay();
  EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{33, 51, 73}));
  x.copy_from(on_simt({0, 1, -1}));
  graph.replay();
  EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{1, 3, 3}));
}

TEST(DeviceGraph, ProductsOfMatricesAndMovesArePartOfIt) {
  Tensor x = on_simt({1, 2, 3, 4});
  Tensor y = Tensor::zeros({2, 2}, DType::f64, Device::simt);
  DeviceGraph graph(Device::simt);
  made(graph, [&] {
    const Tensor square = x.view({2, 2});
    const Tensor product = matmul(square, square);
    copy_bytes(y.mutable_raw(), Device::simt, product.raw(), Device::simt, 4 * sizeof(double));
  });
  EXPECT_EQ(graph.copies(), 1);
  x.copy_from(on_simt({1, 0, 0, 2}));
  graph.replay();
  EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{1, 0, 0, 4}));
}

// A number that is an argument is the same in every repetition; behind an offset it is not.
TEST(DeviceGraph, FindsACapturedConstant) {
  const Tensor ones = Tensor::full({256}, 1.0, DType::f32, Device::simt);
  const auto masks = [&](bool in_memory) {
    Rng rng(7);
    Tensor offset = Tensor::zeros({}, DType::i64, Device::simt);
    const auto set_offset = [&] {
      offset.copy_from(Tensor::from<std::int64_t>(
          {}, std::vector<std::int64_t>{static_cast<std::int64_t>(rng.position())}));
    };
    Tensor mask;
    const auto work = [&] {
      mask = Tensor();
      if (in_memory) {
        const Rng::ScopedOffset scope(rng, offset);
        mask = dropout(ones, 0.5, rng.next_draw());
      } else {
        mask = dropout(ones, 0.5, rng.next_draw());
      }
    };
    DeviceGraph graph(Device::simt);
    set_offset();
    graph.rehearse(work);
    std::vector<std::vector<float>> found = {mask.to_vector<float>()};
    graph.capture(work);
    for (std::uint64_t n = 1; n < 4; ++n) {
      rng.set_position(n);
      set_offset();
      graph.replay();
      found.push_back(mask.to_vector<float>());
    }
    return found;
  };
  const std::vector<std::vector<float>> right = masks(true);
  for (std::uint64_t n = 0; n < 4; ++n) {
    EXPECT_EQ(right[n], dropout(ones, 0.5, Rng(7).key(), n).to_vector<float>()) << n;
  }
  const std::vector<std::vector<float>> constant = masks(false);
  EXPECT_EQ(constant[2], constant[1]);
  EXPECT_EQ(constant[3], constant[1]);
  EXPECT_NE(right[2], right[1]);
}

TEST(DeviceGraph, RefusesWhatAGraphCannotDo) {
  const Tensor x = on_simt({1, 2});
  const Tensor here = Tensor::zeros({3}, DType::f64);
  const struct {
    const char* name;
    std::function<void()> work;
    std::vector<std::string> parts;
  } cases[] = {
      {"item", [&] { (void)x.slice(0, 0, 1).item(); }, {"[capture] reading 8 bytes from simt"}},
      {"to_vector", [&] { (void)x.to_vector<double>(); }, {"reading 16 bytes from simt"}},
      {"readback", [&] { Readback().start({x}); }, {"[capture] reading numbers back"}},
      {"upload", [&] { (void)here.to(Device::simt); }, {"copying 24 bytes to simt", "host"}},
      {"wait", [] { synchronize(Device::simt); }, {"[capture] waiting for simt"}},
      {"memory",
       [] { (void)Tensor::empty({1 << 22}, DType::f64, Device::simt); },
       {"[capture] taking 33554432 bytes of simt memory from the system"}},
  };
  allocator_of(Device::simt)->release_cache();
  for (const auto& each : cases) {
    SCOPED_TRACE(each.name);
    DeviceGraph graph(Device::simt);
    const auto work = [&] {
      (void)add(x, x);
      each.work();
    };
    graph.rehearse([&] { (void)add(x, x); });
    EXPECT_TRUE(refuses<Error>([&] { graph.capture(work); }, each.parts));
    EXPECT_FALSE(graph.captured());
    EXPECT_TRUE(refuses<Error>([&] { graph.replay(); }, {"nothing was captured"}));
    // The device works as before.
    EXPECT_FALSE(is_capturing(Device::simt));
    EXPECT_EQ(add(x, x).to_vector<double>(), (std::vector<double>{2, 4}));
    // What is refused now can be done outside.
    each.work();
  }
  EXPECT_TRUE(refuses<Error>([] { DeviceGraph(Device::cpu); }, {"CPU has no graphs"}));
}

TEST(DeviceGraph, TheHostMayWorkMeanwhile) {
  Tensor x = on_simt({1, 2});
  Tensor sum;
  DeviceGraph graph(Device::simt);
  made(graph, [&] {
    const Tensor here = add(Tensor::full({2}, 2.0, DType::f64), Tensor::zeros({2}, DType::f64));
    EXPECT_EQ(here.to_vector<double>(), (std::vector<double>{2, 2}));
    sum = Tensor();
    sum = add(x, x);
  });
  graph.replay();
  EXPECT_EQ(sum.to_vector<double>(), (std::vector<double>{2, 4}));
}

TEST(DeviceGraph, KeepsItsBlocksUntilItEnds) {
  const std::shared_ptr<Allocator> memory = allocator_of(Device::simt);
  const Tensor x = Tensor::full({1000}, 3.0, DType::f64, Device::simt);
  memory->release_cache();
  const std::size_t before = memory->stats().active;
  {
    Tensor y;
    DeviceGraph graph(Device::simt);
    made(graph, [&] {
      y = Tensor();
      y = mul(affine(x, 2.0, 0.0), affine(x, 1.0, 1.0));
    });
    // Two operands and the result, of 8000 bytes in blocks of 8192.
    EXPECT_EQ(memory->stats().active - before, 3u * 8192u);
    std::vector<Tensor> others;
    for (int n = 0; n < 20; ++n) {
      others.push_back(Tensor::full({1000}, -1.0, DType::f64, Device::simt));
    }
    graph.replay();
    EXPECT_EQ(y.to_vector<double>(), std::vector<double>(1000, 24.0));
    for (const Tensor& other : others) {
      EXPECT_EQ(other.to_vector<double>(), std::vector<double>(1000, -1.0));
    }
    others.clear();
    y = Tensor();
    EXPECT_EQ(memory->stats().active - before, 3u * 8192u);
  }
  EXPECT_EQ(memory->stats().active, before);
}

TEST(DeviceGraph, AResultMayOutliveIt) {
  const Tensor x = on_simt({1, 2});
  Tensor y;
  {
    DeviceGraph graph(Device::simt);
    made(graph, [&] {
      y = Tensor();
      y = add(x, x);
    }).replay();
  }
  const Tensor other = Tensor::full({2}, 7.0, DType::f64, Device::simt);
  EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{2, 4}));
}

TEST(DeviceGraph, PreparesWhatTheHostHasToDo) {
  const Tensor x = on_simt({1, 2});
  std::vector<int> done;
  const auto note = [&](int what) { return [&done, what] { done.push_back(what); }; };
  const int a = 0;
  const int b = 0;
  const auto work = [&] {
    (void)add(x, x);
    DeviceGraph::before_replay(&a, 4, note(1));
    DeviceGraph::before_replay(&b, 4, note(2));
    DeviceGraph::before_replay(&a, 4, note(3));  // the same call again, by recompute
  };
  DeviceGraph graph(Device::simt);
  made(graph, work);
  graph.prepare();
  graph.prepare();
  EXPECT_EQ(done, (std::vector<int>{1, 2, 1, 2}));
  DeviceGraph::before_replay(&a, 9, note(4));  // belongs to nothing
  graph.prepare();
  EXPECT_EQ(done.size(), 6u);
  EXPECT_TRUE(refuses<Error>(
      [&] {
        graph.capture([&] {
          DeviceGraph::before_replay(&a, 4, note(1));
          DeviceGraph::before_replay(&a, 5, note(1));
        });
      },
      {"twice in one step"}));
}

TEST(Readback, BringsNumbersOfSeveralKinds) {
  Tensor a = on_simt({1.5, 2.5});
  Readback readback;
  readback.start({a, Tensor::full({}, 3, DType::f32, Device::simt)});
  a.fill(0);  // what was asked for is what was there
  EXPECT_TRUE(readback.arrived());
  const std::vector<Tensor> values = readback.values();
  ASSERT_EQ(values.size(), 2u);
  EXPECT_EQ(values[0].device(), Device::cpu);
  EXPECT_EQ(values[0].to_vector<double>(), (std::vector<double>{1.5, 2.5}));
  EXPECT_EQ(values[1].item(), 3);
  EXPECT_TRUE(refuses<Error>(
      [&] {
        readback.start({a, Tensor::zeros({1}, DType::f64)});
      },
      {"different devices"}));
}

TEST(Rng, DrawsWithAnOffsetAreThoseWithout) {
  const Tensor ones = Tensor::full({64}, 1.0, DType::f32, Device::simt);
  Rng plain(3);
  Rng with(3);
  for (int skip = 0; skip < 5; ++skip) {
    (void)plain.next_stream();
    (void)with.next_stream();
  }
  const Tensor offset =
      Tensor::from<std::int64_t>({}, std::vector<std::int64_t>{5}).to(Device::simt);
  {
    const Rng::ScopedOffset scope(with, offset);
    for (int n = 0; n < 3; ++n) {
      EXPECT_TRUE(
          same_bits(dropout(ones, 0.4, with.next_draw()), dropout(ones, 0.4, plain.next_draw())));
    }
    EXPECT_EQ(with.position(), plain.position());
    (void)plain.next_draw();
    EXPECT_EQ(with.next_draw().stream, 3u);
  }
  EXPECT_EQ(with.next_draw().stream, plain.next_draw().stream);
  EXPECT_TRUE(refuses<Error>([&] { Rng::ScopedOffset(with, ones); }, {"one i64"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)derived_key(plain.next_draw()); }, {"no offset"}));
}

}  // namespace
}  // namespace basin
