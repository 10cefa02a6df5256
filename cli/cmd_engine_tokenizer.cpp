// `seedbed engine train-tokenizer`: from text files to a tokenizer.json.
#include <filesystem>
#include <fstream>

#include "cli/common.h"
#include "cli/engine_commands.h"
#include "engine/text/bpe_train.h"
#include "engine/text/tokenizer.h"

namespace seedbed::cli {
namespace {

namespace text = engine::text;

constexpr std::size_t kChunk = 16U << 20;

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

// Where a chunk may end so that no word is cut: before a character that begins a line. The whole
// where there is no such place.
std::size_t cut(const std::string& chunk) {
  for (std::size_t i = chunk.size(); i-- > 1;)
    if (chunk[i - 1] == '\n' && !is_space(chunk[i])) return i;
  return chunk.size();
}

// Counts the words of the files, a chunk at a time.
Step count_words(Context& context,
                 const std::vector<std::string>& files,
                 text::BpeTrainer& trainer,
                 std::int64_t& bytes_read) {
  namespace fs = std::filesystem;
  std::int64_t total = 0;
  for (const auto& file : files) {
    std::error_code error;
    const auto size = fs::is_regular_file(file, error) ? fs::file_size(file, error) : 0;
    if (error || !fs::is_regular_file(file, error))
      return make_error(Where::config, "text", file, "is no file that can be read",
                        "name text files");
    total += static_cast<std::int64_t>(size);
  }
  Progress progress(context.out, "reading", "bytes");
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    std::string chunk;
    for (bool more = true; more;) {
      if (context.stop) return interrupted("train-tokenizer");
      const auto kept = chunk.size();
      chunk.resize(kept + kChunk);
      in.read(chunk.data() + kept, static_cast<std::streamsize>(kChunk));
      chunk.resize(kept + static_cast<std::size_t>(in.gcount()));
      more = !in.eof();
      if (in.bad() || (in.fail() && more))
        return make_error(Where::config, "text", file, "cannot be read", "name text files");
      const auto end = more ? cut(chunk) : chunk.size();
      trainer.add_text(std::string_view(chunk).substr(0, end));
      chunk.erase(0, end);
      bytes_read += static_cast<std::int64_t>(end);
      progress.at(bytes_read, total);
    }
  }
  return std::nullopt;
}

// A JSON array of texts. what: they are phrases or words.
Result<std::vector<std::string>> read_texts(const std::string& what, const std::string& file) {
  SEEDBED_TRY(const auto json, schemas::read_json_file(file));
  std::vector<std::string> out;
  if (!json.is_array() || json.items().empty())
    return make_error(Where::config, what, file, "is no array of texts", "give a JSON array");
  for (const auto& item : json.items()) {
    if (!item.is_string())
      return make_error(Where::config, what, file, "holds what is no text",
                        "give a JSON array of strings");
    out.push_back(item.as_string());
  }
  return out;
}

}  // namespace

Result<int> engine_train_tokenizer(Context& context, const Words& words) {
  std::int64_t vocab = 32'000, least = 2;
  std::string out, phrases_file, words_file;
  std::vector<std::string> files, specials;
  bool chat = false, bare_words = false, json = false;
  Options options("engine train-tokenizer", "learn a byte-level BPE tokenizer.json from text files",
                  "seedbed engine train-tokenizer --vocab 8192 --chat --out tokenizer.json a.txt");
  options.operands("TEXT", files, 1, "files to learn from");
  options.integer("--vocab", vocab, 256, text::kMaxTokenId,
                  "tokens in all, the 256 bytes and the special ones included");
  options.text("--out", out, "FILE", "where the tokenizer.json goes");
  options.texts("--special", specials, "TOKEN", "a token that text never makes; repeatable");
  options.flag(
      "--chat", chat,
      "with the special tokens of DeepSeek-V3.2's chat format, from id 0; words of the text "
      "end where it spells them, as 'seedbed export --format prompts' does");
  options.flag(
      "--bare-words", bare_words,
      "a word is the same tokens wherever it stands: no token joins letters with the "
      "sign or space before them, but for English function words; numbers are cut into five "
      "digits, not three; for small models");
  options.text("--phrases", phrases_file, "FILE",
               "with --bare-words: a JSON array of texts that are one token each, wherever they "
               "stand");
  options.text("--words", words_file, "FILE",
               "a JSON array of words that are one token each, before merges make others of the "
               "rest; with --bare-words, words without signs or spaces");
  options.integer("--min-count", least, 1, 1'000'000'000, "merge no pair that is rarer");
  options.flag("--json", json, "one object at the end on stdout");
  options.require("--out");
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(json);

  text::TrainOptions train;
  train.vocab_size = static_cast<std::int32_t>(vocab);
  train.min_count = least;
  train.cut_at_added = chat;
  if (chat) train.added = text::deepseek_chat_tokens();
  if (!phrases_file.empty()) {
    if (!bare_words)
      return make_error(Where::usage, "option", "--phrases", "given without --bare-words",
                        "add --bare-words");
    SEEDBED_TRY(train.whole, read_texts("phrases", phrases_file));
  }
  if (bare_words) {
    SEEDBED_TRY(train.steps, text::bare_words_steps(train.whole));
  }
  if (!words_file.empty()) {
    SEEDBED_TRY(const auto whole, read_texts("words", words_file));
    train.whole.insert(train.whole.end(), whole.begin(), whole.end());
  }
  for (const auto& special : specials) {
    text::AddedToken token;
    token.content = special;
    token.special = true;
    train.added.push_back(std::move(token));
  }
  SEEDBED_TRY(auto trainer, text::BpeTrainer::make(std::move(train)));
  std::int64_t bytes = 0;
  if (auto error = count_words(context, files, trainer, bytes)) return *std::move(error);

  Progress progress(context.out, "merging", "tokens");
  SEEDBED_TRY(const auto made, trainer.train([&](std::int64_t done, std::int64_t total) {
    progress.at(done, total);
    return !context.stop;
  }));
  // What is written is read again before it counts as done.
  SEEDBED_TRY(const auto tokenizer, text::Tokenizer::from_value(made, out));
  if (auto error = write_file(out, schemas::dump_pretty(made) + "\n")) return *std::move(error);
  const auto size = tokenizer.vocab_size();
  if (size < vocab)
    context.out.status("the text has pairs for " + format_count(size) + " tokens only, of " +
                       format_count(vocab) + " wanted");
  context.out.line(out + ": " + format_count(size) + " tokens from " +
                   format_count(trainer.distinct_words()) + " words in " + format_count(bytes) +
                   " bytes");
  if (json)
    context.out.object(schemas::Value::object()
                           .set("tokens", std::int64_t{size})
                           .set("words", trainer.distinct_words())
                           .set("bytes", bytes)
                           .set("out", out));
  return 0;
}

}  // namespace seedbed::cli
