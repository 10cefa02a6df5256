// `seedbed engine logits` and `seedbed engine generate`: a model folder at work.
#include <cstdio>
#include <memory>

#include "base/text.h"
#include "cli/common.h"
#include "cli/engine_commands.h"
#include "cli/shipped_model.h"
#include "engine/chat/render.h"
#include "engine/choose_device.h"
#include "engine/engine.h"
#include "engine/text/detokenizer.h"
#include "schemas/value.h"

namespace seedbed::cli {
namespace {

using engine::DType;

const std::vector<std::string> kCacheTypes = {"fp8", "bf16", "f32"};
DType cache_type(const std::string& name) {
  return name == "f32" ? DType::f32 : name == "bf16" ? DType::bf16 : DType::f8;
}

constexpr std::size_t kMostTokenBytes = 64U << 20;

Result<std::string> read_text(const std::string& path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) return make_error(Where::config, "file", path, "cannot be opened", "check the path");
  std::string text;
  char piece[1 << 16];
  for (std::size_t n = 0; (n = std::fread(piece, 1, sizeof piece, file.get())) > 0;) {
    text.append(piece, n);
    if (text.size() > kMostTokenBytes)
      return make_error(Where::config, "file", path, "more than 64 MiB", "split it");
  }
  return text;
}

// Decimal numbers between blanks or commas.
Result<std::vector<std::int32_t>> read_tokens(const std::string& path, int vocab) {
  SEEDBED_TRY(const std::string text, read_text(path));
  std::vector<std::int32_t> ids;
  std::int64_t value = -1;
  int line = 1;
  auto bad = [&](const std::string& found) {
    return make_error(
        Where::config, "token ids", path + ", line " + std::to_string(line), found,
        "write ids from 0 to " + std::to_string(vocab - 1) + " between blanks or commas");
  };
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : '\n';
    if (c >= '0' && c <= '9') {
      value = (value < 0 ? 0 : value) * 10 + (c - '0');
      if (value >= vocab) return bad("an id beyond the vocabulary");
      continue;
    }
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t' && c != ',')
      return bad("a character that is no digit");
    if (value >= 0) ids.push_back(static_cast<std::int32_t>(value));
    value = -1;
    if (c == '\n') ++line;
  }
  if (ids.empty())
    return make_error(Where::config, "token ids", path, "no id", "write at least one");
  return ids;
}

// NumPy's format 1.0: magic, header length, a Python dict padded to 64 bytes.
std::string npy_header(std::size_t rows, std::size_t columns) {
  std::string dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) +
                     ", " + std::to_string(columns) + "), }";
  while ((10 + dict.size() + 1) % 64 != 0) dict += ' ';
  dict += '\n';
  std::string out = "\x93NUMPY";
  out += '\x01';
  out += '\0';
  out += static_cast<char>(dict.size() & 0xffU);
  out += static_cast<char>(dict.size() >> 8);
  return out + dict;
}

Result<std::shared_ptr<kernels::Device>> device_of(Context& context, const std::string& choice) {
  SEEDBED_TRY(auto chosen, engine::choose_device(choice));
  if (!chosen.note.empty()) context.out.status(chosen.note + "; computing on the CPU");
  return std::move(chosen.device);
}

struct LogitsRun {
  std::string model, tokens, out, kv = "fp8", device = "auto";
  std::int64_t chunk = 128, threads = 0;
};

Step write_logits(Context& context,
                  const LogitsRun& run,
                  engine::Model& model,
                  const std::vector<std::int32_t>& tokens) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  const auto vocab = static_cast<std::size_t>(model.config().vocab_size);
  const std::int64_t pages = (count + kernels::kPageTokens - 1) / kernels::kPageTokens;
  auto cache = engine::PageCache::make(model.config(), cache_type(run.kv), static_cast<int>(pages),
                                       0, model.device());
  if (!cache.ok()) return cache.error();
  std::vector<std::int32_t> table;
  for (std::int64_t i = 0; i < pages; ++i) table.push_back((*cache)->take());
  const std::string part = run.out + ".part";
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(part.c_str(), "wb"), std::fclose);
  auto failed = [&](const char* what) {
    std::remove(part.c_str());
    return make_error(Where::usage, "file", part, what, "check the path and the free space");
  };
  if (!file) return failed("cannot be written");
  const std::string header = npy_header(tokens.size(), vocab);
  if (std::fwrite(header.data(), 1, header.size(), file.get()) != header.size())
    return failed("write failed");
  Progress progress(context.out, "computing logits", "tokens");
  engine::Outputs out;
  for (std::int64_t done = 0; done < count;) {
    if (context.stop) {
      std::remove(part.c_str());
      return make_error(Where::interrupted, "seedbed engine logits", run.out,
                        "stopped before the end; nothing was written", "run it again");
    }
    const std::int64_t rows = std::min(run.chunk, count - done);
    std::vector<std::int32_t> positions, sequence, wanted;
    for (std::int64_t i = 0; i < rows; ++i) {
      positions.push_back(static_cast<std::int32_t>(done + i));
      sequence.push_back(0);
      wanted.push_back(static_cast<std::int32_t>(i));
    }
    engine::Batch batch;
    batch.tokens =
        std::span(tokens).subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(rows));
    batch.positions = positions;
    batch.sequence = sequence;
    batch.page_table = table;
    batch.table_stride = pages;
    batch.logit_rows = wanted;
    model.forward(batch, **cache, out);
    if (std::fwrite(out.logits.data(), sizeof(float), out.logits.size(), file.get()) !=
        out.logits.size())
      return failed("write failed");
    done += rows;
    progress.at(done, count);
  }
  if (std::fflush(file.get()) != 0) return failed("write failed");
  file.reset();
  if (std::rename(part.c_str(), run.out.c_str()) != 0) return failed("cannot be renamed");
  return std::nullopt;
}

void note_backend(Context& context) {
  if (!kernels::isa_note().empty()) context.out.status(kernels::isa_note());
}

struct GenerateRun {
  std::string model, prompt, kv = "fp8", tokenizer, device = "auto";
  bool chat = false, thinking = false, speculative = false;
  std::int64_t max_tokens = 128, seed = 0, threads = 0, top_k = 0;
  double temperature = 1.0, top_p = 0.95, min_p = 0;
};

Result<std::vector<std::int32_t>> prompt_ids(const GenerateRun& run,
                                             const engine::text::Tokenizer& tokenizer) {
  if (!run.chat) return tokenizer.encode(run.prompt, {.add_special = true});
  engine::chat::Message user;
  user.content = run.prompt;
  SEEDBED_TRY(const auto rendered, engine::chat::render({user}, {.thinking = run.thinking}));
  std::vector<std::int32_t> ids;
  const auto segments = engine::chat::settle(
      rendered.segments, [&](std::string_view text) { return tokenizer.id_of(text).has_value(); });
  for (const auto& segment : segments) {
    if (segment.special)
      ids.push_back(*tokenizer.id_of(segment.text));
    else
      tokenizer.encode_to(segment.text, {.added = engine::text::AddedText::none}, ids);
  }
  return ids;
}

schemas::Value summary(const engine::Generated& result, const std::string& text) {
  using schemas::Value;
  Value ids = Value::array(), logprobs = Value::array();
  for (const auto& token : result.tokens) {
    ids.push(static_cast<std::int64_t>(token.id));
    logprobs.push(static_cast<double>(token.logprob));
  }
  static const char* finish[] = {"stop", "length", "cache_full", "cancelled"};
  Value out = Value::object();
  out.set("text", text).set("tokens", ids).set("logprobs", logprobs);
  out.set("finish", finish[static_cast<int>(result.finish)]);
  out.set("prompt_tokens", result.prompt_tokens);
  out.set("drafted", result.drafted).set("accepted", result.accepted);
  out.set("prefill_seconds", result.prefill_seconds).set("decode_seconds", result.decode_seconds);
  return out;
}

}  // namespace

Result<int> engine_logits(Context& context, const Words& words) {
  LogitsRun run;
  Options options(
      "engine logits",
      "write the logits of every position of a token sequence as float32 [positions, vocab]",
      "seedbed engine logits --model nano --tokens ids.txt --out logits.npy --kv-dtype f32");
  options.text("--model", run.model, "DIR", "folder of the model");
  options.text("--tokens", run.tokens, "FILE", "token ids as text");
  options.text("--out", run.out, "FILE.npy", "where to write");
  options.choice("--kv-dtype", run.kv, kCacheTypes, "what the key-value cache stores");
  options.integer("--chunk", run.chunk, 1, 8192, "tokens a forward pass; changes no bit");
  options.choice("--device", run.device, {"auto", "cpu", "cuda"},
                 "where to compute; auto: on a GPU where this build finds one");
  options.integer("--threads", run.threads, 0, 1024, "threads; 0: one for each core");
  for (const char* name : {"--model", "--tokens", "--out"}) options.require(name);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  note_backend(context);
  engine::ModelOptions model_options;
  model_options.threads = static_cast<int>(run.threads);
  SEEDBED_TRY(model_options.device, device_of(context, run.device));
  SEEDBED_TRY(auto model, engine::Model::load(run.model, model_options));
  SEEDBED_TRY(const auto tokens, read_tokens(run.tokens, model->config().vocab_size));
  if (static_cast<std::int64_t>(tokens.size()) > model->config().max_position_embeddings)
    return make_error(Where::config, "token ids", run.tokens,
                      std::to_string(tokens.size()) + " ids, the model has " +
                          std::to_string(model->config().max_position_embeddings) + " positions",
                      "give fewer");
  if (auto error = write_logits(context, run, *model, tokens)) return *std::move(error);
  context.out.line("wrote " + run.out + ": float32 [" + std::to_string(tokens.size()) + ", " +
                   std::to_string(model->config().vocab_size) + "]");
  return 0;
}

Result<int> engine_generate(Context& context, const Words& words) {
  GenerateRun run;
  Common common;
  Options options(
      "engine generate", "continue a prompt and show the text as it comes",
      "seedbed engine generate --model nano --prompt \"Once\" --max-tokens 40 --seed 1");
  options.text("--model", run.model, "DIR",
               "folder of the model, tokenizer.json in it; absent: the model that comes with the "
               "program");
  options.text("--prompt", run.prompt, "TEXT", "what to continue");
  options.text("--tokenizer", run.tokenizer, "FILE", "another tokenizer.json than the model's own");
  options.flag("--chat", run.chat, "the prompt is a user's message: DeepSeek-V3.2's chat format");
  options.flag("--thinking", run.thinking, "with --chat: the answer begins with reasoning");
  options.integer("--max-tokens", run.max_tokens, 1, 1 << 20, "most tokens to sample");
  options.integer("--seed", run.seed, 0, INT64_MAX, "key of the random numbers");
  options.number("--temperature", run.temperature, 0, 100, "0: always the most likely token");
  options.number("--top-p", run.top_p, 0, 1,
                 "keep the most likely tokens of this total probability");
  options.integer("--top-k", run.top_k, 0, 1 << 30, "keep so many tokens; 0: all");
  options.number("--min-p", run.min_p, 0, 1, "keep tokens this likely relative to the likeliest");
  options.flag("--speculative", run.speculative,
               "draft with the prediction layer; changes no token");
  options.choice("--kv-dtype", run.kv, kCacheTypes, "what the key-value cache stores");
  options.choice("--device", run.device, {"auto", "cpu", "cuda"},
                 "where to compute; auto: on a GPU where this build finds one");
  options.integer("--threads", run.threads, 0, 1024, "threads; 0: one for each core");
  json_option(options, common);
  options.require("--prompt");
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);
  SEEDBED_TRY(run.model, model_or_shipped(run.model));
  note_backend(context);
  SEEDBED_TRY(const auto tokenizer,
              engine::text::Tokenizer::load(run.tokenizer.empty() ? run.model : run.tokenizer));
  engine::EngineOptions engine_options;
  engine_options.model_dir = run.model;
  engine_options.kv_dtype = cache_type(run.kv);
  engine_options.model.threads = static_cast<int>(run.threads);
  SEEDBED_TRY(engine_options.model.device, device_of(context, run.device));
  engine_options.speculative = run.speculative;
  SEEDBED_TRY(const auto ids, prompt_ids(run, tokenizer));
  engine_options.cache_tokens = static_cast<std::int64_t>(ids.size()) + run.max_tokens + 1;
  SEEDBED_TRY(auto engine, engine::Engine::open(engine_options));
  if (tokenizer.vocab_size() > engine->config().vocab_size)
    return make_error(Where::config, "tokenizer", run.tokenizer.empty() ? run.model : run.tokenizer,
                      std::to_string(tokenizer.vocab_size()) + " ids, the model has " +
                          std::to_string(engine->config().vocab_size),
                      "use the tokenizer that the model was trained with");
  const auto sequence = engine->open_sequence(0);
  if (auto error = engine->append(sequence, ids)) return *std::move(error);
  engine::GenerateParams params;
  params.sampling.temperature = run.temperature;
  params.sampling.top_k = static_cast<int>(run.top_k);
  params.sampling.top_p = run.top_p;
  params.sampling.min_p = run.min_p;
  params.sampling.seed = static_cast<std::uint64_t>(run.seed);
  params.max_tokens = static_cast<int>(run.max_tokens);
  engine::text::Detokenizer detokenizer(tokenizer);
  std::string text;
  params.on_token = [&](const engine::TokenOut& token) {
    const std::string piece = detokenizer.push(token.id);
    text += piece;
    if (!common.json) context.out.raw(piece);
    return !context.stop;
  };
  SEEDBED_TRY(const auto result, engine->generate(sequence, params));
  const std::string rest = detokenizer.flush();
  text += rest;
  if (common.json) {
    context.out.object(summary(result, replace_invalid_utf8(text)));
  } else {
    context.out.raw(rest + "\n");
    const auto sampled = static_cast<double>(result.tokens.size());
    char line[160];
    std::snprintf(
        line, sizeof line, "%lld prompt tokens in %.2f s, %zu sampled at %.1f/s",  // NOLINT
        static_cast<long long>(result.prompt_tokens), result.prefill_seconds, result.tokens.size(),
        result.decode_seconds > 0 ? sampled / result.decode_seconds : 0.0);
    context.out.status(line);
  }
  return 0;
}

}  // namespace seedbed::cli
