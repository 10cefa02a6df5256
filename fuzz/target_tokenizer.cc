// A tokenizer.json from outside, and texts for one that is trusted.
#include <string>

#include "engine/text/bpe_train.h"
#include "engine/text/detokenizer.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/tokenizer.h"
#include "fuzz/targets.h"

namespace seedbed::fuzz {
namespace {

using namespace engine::text;

const std::string kSample =
    "The <s> order 1234 costs  9.50 \xe2\x82\xac\n\n\xe4\xbd\xa0\xe5\xa5\xbd \xff "
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

std::string streamed(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids) {
  Detokenizer stream(tokenizer);
  std::string out;
  for (const auto id : ids) out += stream.push(id);
  return out + stream.flush();
}

// What loads encodes without harm; ids have tokens; nothing is lost but what the file says.
std::string tokenizer_file(std::string_view input) {
  const auto tokenizer = Tokenizer::from_text(input, "input");
  if (!tokenizer.ok()) return "";
  const bool keeps = input.find("Removed") == std::string_view::npos &&
                     input.find("prefix_space") == std::string_view::npos;
  for (const auto mode : {AddedText::all, AddedText::not_special, AddedText::none}) {
    for (const auto text : {std::string_view(kSample), input.substr(0, 300)}) {
      const auto ids = tokenizer->encode(text, {.added = mode});
      for (const auto id : ids)
        if (!tokenizer->token_bytes(id)) return "an id without a token";
      const auto back = tokenizer->decode(ids);
      if (streamed(*tokenizer, ids) != back) return "streamed otherwise than decoded";
      // rstrip and lstrip tokens take white space with them, so only plain text must come back.
      if (keeps && mode == AddedText::none && back != text) return "decodes to another text";
    }
  }
  return "";
}

const Tokenizer& trusted() {
  static const Tokenizer tokenizer = [] {
    auto trainer =
        BpeTrainer::make({.vocab_size = 400, .added = deepseek_chat_tokens(), .min_count = 1});
    trainer->add_text(kSample + "the other order, then the third; \xd0\xbf\xd1\x80\xd0\xb8");
    return *Tokenizer::from_value(*trainer->train(), "trusted");
  }();
  return tokenizer;
}

std::string tokenizer_text(std::string_view input) {
  static const auto fast = *PreTokenizer::make(deepseek_steps(), "fuzz", true);
  static const auto slow = *PreTokenizer::make(deepseek_steps(), "fuzz", false);
  std::vector<std::size_t> ends, slow_ends;
  const auto into = [&input](std::vector<std::size_t>& out) {
    return [&out, &input, at = std::size_t{0}](const char* b, const char* e, const char*) mutable {
      at += static_cast<std::size_t>(e - b);
      out.push_back(at);
      (void)input;
    };
  };
  fast.run_bytes(input, into(ends));
  slow.run_bytes(input, into(slow_ends));
  if (ends != slow_ends) return "the splitter cuts otherwise than its patterns";
  const auto ids = trusted().encode(input);
  if (trusted().decode(ids) != input) return "decodes to another text";
  if (streamed(trusted(), ids) != input) return "streams another text";
  if (trusted().decode(trusted().encode_ordinary(input)) != input) return "loses plain text";
  return "";
}

std::string small_file() {
  auto trainer =
      BpeTrainer::make({.vocab_size = 280, .added = deepseek_chat_tokens(), .min_count = 1});
  trainer->add_text(kSample);
  return schemas::dump(*trainer->train());
}

// The same with pre-tokenizers that run by patterns.
std::string patterned_file() {
  auto steps = deepseek_steps();
  steps[0].kind = PreTokenizerStep::Kind::digits;
  steps[1].behavior = Behavior::merged_with_next;
  steps[2].pattern = "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\s+(?!\\S)|\\s+";
  auto trainer =
      BpeTrainer::make({.vocab_size = 270, .added = {}, .steps = std::move(steps), .min_count = 1});
  trainer->add_text(kSample);
  return schemas::dump(*trainer->train());
}

}  // namespace

std::vector<Target> tokenizer_targets() {
  return {{"tokenizer_file", tokenizer_file, {small_file(), patterned_file()}},
          {"tokenizer_text",
           tokenizer_text,
           {kSample, "x=foo(bar);\r\n\t <｜User｜>é\u0301 12345 をフ゛プ・ア゠イ"}}};
}

}  // namespace seedbed::fuzz
