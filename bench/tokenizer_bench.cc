// Encoding and decoding on one core, in megabytes (10^6 bytes) of text a second of processor time.
//
//   bench_tokenizer [TOKENIZER.json [TEXT...]]
//
// Without arguments: a tokenizer of 32,000 tokens learned here from the text itself, which is this
// project's own sources and pages (English and code). `warm` encodes a text whose words were seen
// just before, `cold` the first text after loading, `pcre2` the same pieces by patterns.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "base/rng.h"
#include "engine/text/bpe_train.h"
#include "engine/text/detokenizer.h"
#include "engine/text/tokenizer.h"
#include "engine/text/unicode.h"

namespace {

using namespace seedbed;
using namespace seedbed::engine::text;
namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}
template <class T>
T need(Result<T> r) {
  if (!r.ok()) fail(r.error().message);
  return *std::move(r);
}

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string own_text() {
  std::vector<fs::path> files;
  const fs::path root = SEEDBED_SOURCE_DIR;
  for (const char* folder : {"base", "schemas", "tasks", "sandbox", "envgen", "agent", "cli",
                             "docs", "engine", "kernels", "tests", "README.md"}) {
    if (fs::is_regular_file(root / folder)) files.push_back(root / folder);
    if (!fs::is_directory(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const auto ending = entry.path().extension().string();
      if (entry.is_regular_file() && entry.path().filename() != "unicode_ranges.cpp" &&
          (ending == ".cpp" || ending == ".h" || ending == ".md" || ending == ".py"))
        files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::string out;
  for (const auto& file : files) out += read(file);
  return out;
}

// Runs of 2 to 30 Han characters between commas and full stops, put together from the tokenizer's
// own tokens of Han characters, the earlier ones more often; of single characters where it has
// none.
std::string cjk_text(const Tokenizer& tokenizer, std::size_t bytes) {
  std::vector<std::string> words;
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string word(tokenizer.token_bytes(id).value_or(""));
    bool han = !word.empty() && valid_prefix(word) == word.size();
    for (std::size_t i = 0; han && i < word.size(); i += decode_utf8(word.data() + i).length) {
      const auto c = decode_utf8(word.data() + i).value;
      han = c >= 0x4e00 && c <= 0x9fa5;
    }
    if (han) words.push_back(word);
  }
  Rng rng = rng_for(1, "tokenizer", 0, "cjk");
  std::string out;
  while (out.size() < bytes) {
    for (auto left = 1 + rng.below(14); left > 0; --left) {
      if (words.empty())
        append_utf8(out, 0x4e00 + static_cast<std::uint32_t>(rng.below(3000)));
      else
        out += words[std::min(
            {rng.below(words.size()), rng.below(words.size()), rng.below(words.size())})];
    }
    out += rng.below(3) == 0 ? "。" : "，";
  }
  return out;
}

// Seconds of this thread's own work: others share the machine.
double seconds_of(const auto& work) {
  const auto now = [] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
  };
  const auto begin = now();
  work();
  return now() - begin;
}

// The best of several runs.
double best_of(int runs, const auto& work) {
  double best = seconds_of(work);
  for (int i = 1; i < runs; ++i) best = std::min(best, seconds_of(work));
  return best;
}

void line(
    const char* what, const char* text, std::size_t bytes, std::size_t tokens, double seconds) {
  std::printf(
      "bench tokenizer %s text=%s mib=%.1f tokens=%zu bytes_per_token=%.2f seconds=%.3f "
      "mb_s=%.1f\n",
      what, text, static_cast<double>(bytes) / (1 << 20), tokens,
      static_cast<double>(bytes) / static_cast<double>(std::max<std::size_t>(tokens, 1)), seconds,
      static_cast<double>(bytes) / 1e6 / seconds);
  std::fflush(stdout);
}

// encode_to into the same vector, so that growing it is not measured.
void encode_lines(const std::string& json, const char* name, const std::string& text) {
  std::vector<std::int32_t> ids;
  ids.reserve(text.size());
  double cold = 1e9;
  for (int i = 0; i < 3; ++i) {
    const auto fresh = need(Tokenizer::from_text(json, "bench"));
    ids.clear();
    cold = std::min(cold, seconds_of([&] { fresh.encode_to(text, {}, ids); }));
  }
  line("encode_cold", name, text.size(), ids.size(), cold);
  const auto tokenizer = need(Tokenizer::from_text(json, "bench"));
  const auto warm = best_of(5, [&] {
    ids.clear();
    tokenizer.encode_to(text, {}, ids);
  });
  line("encode_warm", name, text.size(), ids.size(), warm);
  std::string out;
  const auto decode = best_of(5, [&] { out = tokenizer.decode(ids); });
  if (out != text) fail("decode(encode(text)) is another text");
  line("decode", name, text.size(), ids.size(), decode);
  const auto stream = best_of(3, [&] {
    Detokenizer detokenizer(tokenizer);
    std::size_t bytes = 0;
    for (const auto id : ids) bytes += detokenizer.push(id).size();
    bytes += detokenizer.flush().size();
    if (bytes != text.size()) fail("the streamed text has another length");
  });
  line("decode_stream", name, text.size(), ids.size(), stream);
}

void pieces_line(bool hand_written, const char* name, const std::string& text) {
  const auto splitter = need(PreTokenizer::make(deepseek_steps(), "bench", hand_written));
  std::size_t pieces = 0;
  const auto seconds = best_of(3, [&] {
    pieces = 0;
    splitter.run_bytes(text, [&](const char*, const char*, const char*) { ++pieces; });
  });
  line(hand_written ? "split_hand_written" : "split_pcre2", name, text.size(), pieces, seconds);
}

}  // namespace

int main(int argc, char** argv) {
  std::string text;
  for (int i = 2; i < argc; ++i) text += read(argv[i]);
  if (argc < 3) text = own_text();
  std::string json;
  if (argc > 1) {
    json = read(argv[1]);
  } else {
    auto trainer = need(BpeTrainer::make({.vocab_size = 32'000, .added = deepseek_chat_tokens()}));
    trainer.add_text(text);
    const auto seconds = seconds_of([&] { json = schemas::dump(need(trainer.train())); });
    line("train", "mixed", text.size(), 32'000, seconds);
  }
  std::optional<Tokenizer> loaded;
  const auto load = seconds_of([&] { loaded = need(Tokenizer::from_text(json, "bench")); });
  std::printf("bench tokenizer load vocab=%d seconds=%.3f\n", loaded->vocab_size(), load);
  const auto cjk = cjk_text(*loaded, 4U << 20);
  encode_lines(json, "mixed", text);
  encode_lines(json, "cjk", cjk);
  encode_lines(json, "one_letter", std::string(1U << 20, 'a'));
  pieces_line(true, "mixed", text);
  pieces_line(false, "mixed", text);
  pieces_line(true, "cjk", cjk);
  pieces_line(false, "cjk", cjk);
  return 0;
}
