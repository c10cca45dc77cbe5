// How fast byte-pair encoding is: BASIN_DATA names the folder with gpt2-bpe/ and wikitext-103/.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "tasks/text/read_file.h"
#include "tasks/tokenizers/tokenizer.h"

namespace {

void gpt2_encode(benchmark::State& state) {
  const char* folder = std::getenv("BASIN_DATA");
  if (folder == nullptr) {
    state.SkipWithError("needs BASIN_DATA: wikitext-103 and gpt2-bpe");
    return;
  }
  const std::string data = folder;
  const auto tokenizer = basin::tasks::make_tokenizer("gpt2", data + "/gpt2-bpe");
  const auto bytes = basin::tasks::read_file(data + "/wikitext-103/wiki.valid.tokens.gz");
  const std::string text(bytes.begin(), bytes.end());
  for (auto _ : state) {
    benchmark::DoNotOptimize(tokenizer->encode(text));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

BENCHMARK(gpt2_encode)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
