// seedbed_fuzz --seconds N [--target NAME] [--seed S] [--corpus DIR] [--commit TEXT]
//
// Each target runs in a child for N seconds: an input is taken from the corpus, mutated by a keyed
// stream, and run. The input lies in memory shared with the parent, so when a sanitizer or a signal
// ends the child the parent still holds it and writes it to DIR/TARGET/crash-HASH (kept: it is then
// part of the corpus). Prints one line a target; exits 1 where any failed.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/clock.h"
#include "base/hash.h"
#include "base/rng.h"
#include "fuzz/targets.h"

namespace seedbed::fuzz {
namespace {

constexpr std::size_t kMaxInput = 1U << 16;

struct Arguments {
  std::int64_t seconds = 20;
  std::uint64_t seed = 1;
  std::string target, corpus = "tests/data/fuzz", commit = "unknown";
};

struct Shared {  // between child and parent
  std::int64_t executions;
  std::size_t size;
  char broken[512];  // the law that the input broke
  char input[kMaxInput];
};

std::vector<std::string> read_corpus(const Target& target, const std::string& folder) {
  std::vector<std::string> inputs = target.seeds;
  const auto path = std::filesystem::path(folder) / target.name;
  if (std::filesystem::is_directory(path)) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(path))
      files.push_back(entry.path());
    std::sort(files.begin(), files.end());  // a directory has no order of its own
    for (const auto& file : files) {
      std::ifstream in(file, std::ios::binary);
      inputs.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
  }
  return inputs;
}

void mutate_once(std::string& input, const std::vector<std::string>& corpus, Rng& rng) {
  static const std::vector<std::string> words = {"\"",
                                                 "\\",
                                                 "{",
                                                 "}",
                                                 "[",
                                                 "]",
                                                 ",",
                                                 ":",
                                                 "null",
                                                 "true",
                                                 "-",
                                                 "1e999",
                                                 "9223372036854775808",
                                                 "-0",
                                                 "\\u0000",
                                                 "\\ud800",
                                                 "\xff",
                                                 "\xc3",
                                                 "\xf0\x9f\x98\x80",
                                                 std::string(1, '\0'),
                                                 "$ref",
                                                 "#/",
                                                 "\"type\":",
                                                 "(a*)*",
                                                 "0.1",
                                                 std::string(64, '[')};
  const auto at = static_cast<std::size_t>(rng.below(input.size() + 1));
  switch (rng.below(7)) {
    case 0:  // flip a bit
      if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << rng.below(8)));
      return;
    case 1:  // another byte
      if (at < input.size()) input[at] = static_cast<char>(rng.below(256));
      return;
    case 2:
      input.insert(at, rng.pick(words));
      return;
    case 3:
      input.erase(at, static_cast<std::size_t>(rng.below(16)));
      return;
    case 4:
      input.resize(at);
      return;
    case 5: {  // a piece of itself once more
      const auto piece = input.substr(at, static_cast<std::size_t>(rng.below(64)));
      input.insert(static_cast<std::size_t>(rng.below(input.size() + 1)), piece);
      return;
    }
    default: {  // go on as another input does
      const auto& other = rng.pick(corpus);
      input.resize(at);
      input += other.substr(static_cast<std::size_t>(rng.below(other.size() + 1)));
      return;
    }
  }
}

[[noreturn]] void work(const Target& target, const Arguments& arguments, Shared& shared) {
  const auto corpus = read_corpus(target, arguments.corpus);
  const auto end = monotonic_us() + arguments.seconds * 1'000'000;
  auto rng = rng_for(arguments.seed, target.name, 0, "fuzz");
  for (std::size_t i = 0; i < corpus.size() || monotonic_us() < end;
       ++i) {  // the corpus as it is, then mutations
    std::string input = i < corpus.size() ? corpus[i] : rng.pick(corpus);
    if (i >= corpus.size())
      for (auto n = rng.between(1, 6); n > 0; --n) mutate_once(input, corpus, rng);
    if (input.size() > kMaxInput) input.resize(kMaxInput);
    std::memcpy(shared.input, input.data(), input.size());
    shared.size = input.size();
    const auto broken = target.run(input);
    ++shared.executions;
    if (broken.empty()) continue;
    std::snprintf(shared.broken, sizeof shared.broken, "%s", broken.c_str());
    _exit(1);
  }
  _exit(0);
}

bool run_target(const Target& target, const Arguments& arguments) {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  auto& shared = *new (memory) Shared{};
  const auto begin = monotonic_us();
  const pid_t child = fork();
  if (child == 0) work(target, arguments, shared);
  int status = 0;
  waitpid(child, &status, 0);
  const double seconds = static_cast<double>(monotonic_us() - begin) / 1e6;
  const bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  std::printf("fuzz %s seconds=%.1f executions=%lld seed=%llu git=%s %s\n", target.name, seconds,
              static_cast<long long>(shared.executions),
              static_cast<unsigned long long>(arguments.seed), arguments.commit.c_str(),
              ok ? "ok" : "FAILED");
  if (!ok) {
    const std::string_view input(shared.input, shared.size);
    const auto folder = std::filesystem::path(arguments.corpus) / target.name;
    std::filesystem::create_directories(folder);
    const auto file = folder / ("crash-" + content_hash(input));
    std::ofstream(file, std::ios::binary) << input;
    std::printf("  %s; input: %s\n",
                shared.broken[0] != 0 ? shared.broken : "the process ended (see above)",
                file.c_str());
  }
  std::fflush(stdout);
  munmap(memory, sizeof(Shared));
  return ok;
}

int program(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--seconds")
      arguments.seconds = std::strtoll(value.c_str(), nullptr, 10);
    else if (name == "--seed")
      arguments.seed = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--target")
      arguments.target = value;
    else if (name == "--corpus")
      arguments.corpus = value;
    else if (name == "--commit")
      arguments.commit = value;
    else {
      std::fprintf(stderr, "seedbed_fuzz '%s': unknown flag; see the head of fuzz/main.cc\n",
                   name.c_str());
      return 2;
    }
  }
  bool ok = true, any = false;
  for (const auto& target : targets()) {
    if (!arguments.target.empty() && arguments.target != target.name) continue;
    any = true;
    ok = run_target(target, arguments) && ok;
  }
  return ok && any ? 0 : 1;
}

}  // namespace
}  // namespace seedbed::fuzz

int main(int argc, char** argv) {
  return seedbed::fuzz::program(argc, argv);
}
