// Masks of constrained decoding: an adversary draws uniformly from them, the validator reads what
// comes out; and what a mask costs.
//
//   bench_grammar [OUTPUTS]
//
// OUTPUTS (10,000) over all schemas of tests/engine_grammar/cases.h. `cold` is the first text of a
// grammar, `warm` each later one. The tokenizer of 16,384 tokens is learned from this project's own
// text; the one of 130,000 is filled up with pairs of its tokens. `share` is of a step of 400 us,
// about what config nano takes.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/text/bpe_train.h"
#include "engine/text/tokenizer.h"
#include "schemas/json_schema.h"
#include "tests/engine_grammar/cases.h"
#include "tests/engine_grammar/kit.h"

#ifndef SEEDBED_SOURCE_DIR
#define SEEDBED_SOURCE_DIR "."
#endif

namespace {

using namespace seedbed;
using namespace seedbed::engine::grammar;
namespace fs = std::filesystem;

constexpr double kStepUs = 400;

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}
template <class T>
T need(Result<T> r) {
  if (!r.ok()) fail(r.error().message);
  return *std::move(r);
}

// Of this thread's own work: others share the machine.
double now_us() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) * 1e-3;
}

std::string own_text() {
  std::vector<fs::path> files;
  for (const char* folder : {"base", "schemas", "engine", "docs", "tests/schemas"}) {
    const auto at = fs::path(SEEDBED_SOURCE_DIR) / folder;
    if (!fs::is_directory(at)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(at)) {
      const auto ending = entry.path().extension().string();
      if (entry.is_regular_file() &&
          (ending == ".cpp" || ending == ".h" || ending == ".md" || ending == ".json"))
        files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::string out;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    out.append(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return out;
}

kit::Words words_of(const engine::text::Tokenizer& tokenizer, std::size_t size) {
  kit::Words out;
  auto& t = out.table;
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    kit::add(t, std::string(tokenizer.token_bytes(id).value_or("")), tokenizer.is_special(id));
  const auto id_of = [&](std::string_view marker) { return tokenizer.id_of(marker).value_or(-1); };
  out.end = id_of(engine::chat::kEos);
  out.end_think = t.end_think = id_of(engine::chat::kEndThink);
  out.dsml = t.dsml = id_of(engine::chat::kDsml);
  t.end_ids = {out.end};
  for (const auto id : {t.end_think, t.dsml})
    if (id >= 0) t.special[static_cast<std::size_t>(id)] = 1;
  auto rng = rng_for(1, "bench", 0, "words");
  const auto own = t.bytes.size();
  while (t.bytes.size() < size) {
    const auto a = rng.below(own), b = rng.below(own);
    if (t.special[a] == 0 && t.special[b] == 0) kit::add(t, t.bytes[a] + t.bytes[b]);
  }
  out.vocabulary = Vocabulary::make(t);
  return out;
}

struct Times {
  std::vector<double> mask, accept;
  void line(const char* what, const char* state, std::size_t vocab) {
    if (mask.empty()) return;
    std::sort(mask.begin(), mask.end());
    double sum = 0, accepted = 0;
    for (const auto t : mask) sum += t;
    for (const auto t : accept) accepted += t;
    const auto n = static_cast<double>(mask.size());
    const auto at = [&](double q) { return mask[static_cast<std::size_t>(q * (n - 1))]; };
    std::printf(
        "bench grammar_mask text=%s state=%s vocab=%zu tokens=%zu us_mean=%.2f us_p50=%.2f "
        "us_p99=%.2f us_max=%.1f us_accept=%.2f share=%.2f%%\n",
        what, state, vocab, mask.size(), sum / n, at(0.5), at(0.99), mask.back(), accepted / n,
        100 * sum / n / kStepUs);
    std::fflush(stdout);
  }
};

// One text, drawn uniformly, or along `text` where it is allowed; times go to `times`.
std::string one(const std::shared_ptr<const Grammar>& grammar,
                const kit::Words& words,
                Rng& rng,
                std::int64_t tokens,
                Times& times,
                const std::vector<std::int32_t>* along) {
  Matcher matcher(grammar);
  std::string out;
  std::vector<std::int32_t> open;
  const auto size = words.table.bytes.size();
  std::size_t step = 0;
  for (auto left = tokens; left > 0; --left, ++step) {
    const auto begin = now_us();
    const auto* mask = matcher.mask(left);
    times.mask.push_back(now_us() - begin);
    std::int32_t id = -1;
    if (along != nullptr) {
      id = step < along->size() ? (*along)[step] : words.end;
      if (!kit::allows(mask, id))
        fail("a token of the given text is not allowed: '" +
             words.table.bytes[static_cast<std::size_t>(id)] + "' after " + out);
    } else {
      open.clear();
      for (std::size_t word = 0; word < (size + 31) / 32; ++word)
        for (auto bits = mask[word]; bits != 0; bits &= bits - 1)
          open.push_back(static_cast<std::int32_t>(word * 32) + __builtin_ctz(bits));
      if (open.empty()) fail("nothing is allowed after: " + out);
      id = rng.pick(open);
    }
    const auto middle = now_us();
    if (!matcher.accept(id)) fail("a token that the mask allows is refused after: " + out);
    times.accept.push_back(now_us() - middle);
    if (matcher.finished()) return out;
    out += words.table.bytes[static_cast<std::size_t>(id)];
  }
  fail("no end within " + std::to_string(tokens) + " tokens: " + out);
}

void adversary(const kit::Words& words, std::size_t outputs) {
  const auto& cases = kit::schema_cases();
  Times cold, warm;
  std::size_t valid = 0, made = 0;
  std::vector<double> compile;
  for (const auto& c : cases) {
    const auto schema = kit::parse(c.schema);
    const auto checker = need(schemas::JsonSchema::compile(schema));
    const auto begin = now_us();
    const auto grammar = need(Grammar::json_schema(words.vocabulary, schema));
    compile.push_back(now_us() - begin);
    for (std::size_t i = 0; i < outputs / cases.size(); ++i) {
      auto rng = rng_for(1, c.name, i, "adversary");
      const auto tokens = grammar->shortest() + rng.between(0, 128);
      const auto text = one(grammar, words, rng, tokens, i == 0 ? cold : warm, nullptr);
      const auto value = schemas::parse_json(text);
      ++made;
      if (value.ok() && checker.validate(*value).empty())
        ++valid;
      else
        std::fprintf(stderr, "invalid: %s: %s\n", c.name, text.c_str());
    }
  }
  std::sort(compile.begin(), compile.end());
  std::printf(
      "bench grammar_samples schemas=%zu vocab=%zu outputs=%zu valid=%zu us_compile_p50=%.0f "
      "us_compile_max=%.0f\n",
      cases.size(), words.table.bytes.size(), made, valid, compile[compile.size() / 2],
      compile.back());
  cold.line("adversary", "cold", words.table.bytes.size());
  warm.line("adversary", "warm", words.table.bytes.size());
  if (valid != made) fail("not all outputs are valid");
}

// A reply as a model writes it: prose, then two calls; and a document of a schema.
void typical(const kit::Words& words, const engine::text::Tokenizer& tokenizer) {
  ChatFormat f;
  f.reasoning = true;
  f.functions = {
      {"edit_file",
       kit::parse(
           R"({"type":"object","properties":{"path":{"type":"string"},"text":{"type":"string"},"line":{"type":"integer","minimum":1},"options":{"type":"object","properties":{"backup":{"type":"boolean"},"tags":{"type":"array","items":{"type":"string"}}}}},"required":["path","text"]})"),
       true},
      {"run",
       kit::parse(
           R"({"type":"object","properties":{"command":{"type":"string"}},"required":["command"]})"),
       true}};
  std::string prose;
  for (int i = 0; i < 12; ++i)
    prose += "The function reads a file and returns the number of lines that it holds, if any. ";
  const std::string reply =
      prose + "</think>" + prose +
      "\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"edit_file\">\n"
      "<｜DSML｜parameter name=\"path\" "
      "string=\"true\">engine/grammar/walk.cpp</｜DSML｜parameter>\n"
      "<｜DSML｜parameter name=\"text\" string=\"true\">" +
      prose +
      "</｜DSML｜parameter>\n"
      "<｜DSML｜parameter name=\"options\" "
      "string=\"false\">{\"backup\":true,\"tags\":[\"one\",\"two\"]}"
      "</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name=\"run\">\n"
      "<｜DSML｜parameter name=\"command\" string=\"true\">grep -rn 'lines' . | "
      "head</｜DSML｜parameter>\n"
      "</｜DSML｜invoke>\n</｜DSML｜function_calls>";
  std::string items;
  for (int i = 0; i < 20; ++i)
    items += std::string(i > 0 ? "," : "") + R"({"name":"a part of it","count":)" +
             std::to_string(i * 7) +
             R"(,"note":"what it is good for, in a few words","tags":["x","long tag"]})";
  const auto schema = kit::parse(
      R"({"type":"object","properties":{"items":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string","maxLength":40},"count":{"type":"integer"},"note":{"type":["string","null"]},"tags":{"type":"array","items":{"type":"string"}}},"required":["name","count"],"additionalProperties":false}}},"required":["items"]})");
  const auto document = "{\"items\":[" + items + "]}";
  const auto run = [&](const char* what, const auto& make, const std::vector<std::int32_t>& ids) {
    auto rng = rng_for(1, "bench", 0, "typical");
    Times cold, warm;
    const auto grammar = make();
    for (int i = 0; i < 21; ++i) one(grammar, words, rng, 100'000, i == 0 ? cold : warm, &ids);
    cold.line(what, "cold", words.table.bytes.size());
    warm.line(what, "warm", words.table.bytes.size());
  };
  run(
      "chat", [&] { return need(Grammar::chat(words.vocabulary, f)); }, tokenizer.encode(reply));
  run(
      "json", [&] { return need(Grammar::json_schema(words.vocabulary, schema)); },
      tokenizer.encode(document));
  run(
      "json_object", [&] { return need(Grammar::json_object(words.vocabulary)); },
      tokenizer.encode(document));
}

}  // namespace

int main(int argc, char** argv) {
  const auto outputs = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000;
  auto trainer = need(engine::text::BpeTrainer::make(
      {.vocab_size = 16'384, .added = engine::text::deepseek_chat_tokens()}));
  trainer.add_text(own_text());
  const auto json = schemas::dump(need(trainer.train()));
  const auto tokenizer = need(engine::text::Tokenizer::from_text(json, "bench"));
  for (const std::size_t size : {std::size_t{16'384}, std::size_t{130'000}}) {
    const auto begin = now_us();
    const auto words = words_of(tokenizer, size);
    std::printf("bench grammar_vocabulary vocab=%zu ms=%.1f\n", words.table.bytes.size(),
                (now_us() - begin) / 1e3);
    typical(words, tokenizer);
    adversary(words, outputs);
  }
  return 0;
}
