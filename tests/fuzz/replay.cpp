// Runs a fuzz target without libFuzzer: on its seeds and on mutations of them, the same ones every
// time.
//
//   replay_<name> [MUTATIONS]            default 20000
//   replay_<name> --write-seeds DIR      each seed as a file, a corpus for libFuzzer
//   replay_<name> --file FILE...         the inputs in these files, such as a crash that was found
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/fuzz_target.h"

namespace {

using Generator = std::mt19937_64;

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

// Uniform enough, and the same on every platform, which std::uniform_int_distribution is not.
std::size_t below(std::size_t n, Generator& generator) {
  return n == 0 ? 0 : static_cast<std::size_t>(generator() % n);
}

char interesting_byte(Generator& generator) {
  static constexpr char bytes[] = {'\0', '\x01', '\x7F', '\x80', '\xFF', '\n', ' ',
                                   '"',  '-',    '0',    '9',    '{',    '}',  ','};
  return below(2, generator) == 0 ? bytes[below(sizeof bytes, generator)]
                                  : static_cast<char>(generator());
}

// One change of a kind that damage or an attacker makes.
void mutate(std::string& input, const std::vector<std::string>& seeds, Generator& generator) {
  const std::size_t at = below(input.size() + 1, generator);
  const std::size_t most = std::min<std::size_t>(input.size() - at, 64);
  const std::size_t count = below(most + 1, generator);
  switch (below(8, generator)) {
    case 0: input.resize(at); break;
    case 1: input.erase(at, count); break;
    case 2: input.insert(at, 1, interesting_byte(generator)); break;
    case 3: input.insert(at, input.substr(at, count)); break;
    case 4: {
      const std::string& other = seeds[below(seeds.size(), generator)];
      const std::size_t from = below(other.size() + 1, generator);
      input.insert(at, other.substr(from, below(64, generator)));
      break;
    }
    case 5:
      if (at < input.size()) {
        input[at] = static_cast<char>(input[at] ^ static_cast<char>(1 << below(8, generator)));
      }
      break;
    default:
      if (at < input.size()) {
        input[at] = interesting_byte(generator);
      }
  }
}

std::string content_of(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "%s cannot be read\n", path);
    std::exit(2);
  }
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_seeds(const std::string& folder, const std::vector<std::string>& seeds) {
  std::filesystem::create_directories(folder);
  for (std::size_t n = 0; n < seeds.size(); ++n) {
    std::ofstream file(folder + "/seed" + std::to_string(n), std::ios::binary);
    if (!(file << seeds[n]).flush()) {
      std::fprintf(stderr, "%s cannot be written to\n", folder.c_str());
      std::exit(2);
    }
  }
}

void replay(const std::vector<std::string>& seeds, long mutations) {
  for (const std::string& seed : seeds) {
    run(seed);
  }
  for (long n = 0; n < mutations; ++n) {
    // A generator for each input, so that any of them can be made again by its number alone.
    Generator generator(static_cast<std::uint64_t>(n));
    std::string input = seeds[below(seeds.size(), generator)];
    for (std::size_t changes = 1 + below(4, generator); changes > 0; --changes) {
      mutate(input, seeds, generator);
    }
    run(input);
  }
  std::printf("%zu seeds and %ld mutations\n", seeds.size(), mutations);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  if (first == "--file") {
    for (int n = 2; n < argc; ++n) {
      run(content_of(argv[n]));
    }
  } else if (first == "--write-seeds" && argc == 3) {
    write_seeds(argv[2], basin::fuzz::seeds());
  } else if (argc <= 2) {
    replay(basin::fuzz::seeds(), first.empty() ? 20000 : std::atol(first.c_str()));
  } else {
    std::fprintf(stderr, "usage: %s [MUTATIONS] | --write-seeds DIR | --file FILE...\n", argv[0]);
    return 2;
  }
  return 0;
}
