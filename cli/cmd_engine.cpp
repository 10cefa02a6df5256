// `seedbed engine`: a group of commands on one model folder. Here are the group itself and the two
// that need no forward pass.
#include <filesystem>

#include "base/text.h"
#include "cli/common.h"
#include "cli/engine_commands.h"
#include "engine/make_model.h"
#include "engine/memory_plan.h"

namespace seedbed::cli {
namespace {

struct Subcommand {
  const char* name;
  const char* about;
  Result<int> (*run)(Context&, const Words&);
};
constexpr Subcommand kSubcommands[] = {
    {"inspect", "check a model folder from its headers and plan its memory", engine_inspect},
    {"make-model", "write a seeded model in the published format", engine_make_model},
    {"logits", "write the logits of a token sequence as a NumPy file", engine_logits},
    {"generate", "continue a prompt and show the text as it comes", engine_generate},
    {"train-tokenizer", "learn a byte-level BPE tokenizer.json from text files",
     engine_train_tokenizer},
};

std::string group_help() {
  std::string out = "seedbed engine: DeepSeek-V3.2 and GLM models on this machine\n\n";
  out += "usage: seedbed engine COMMAND [operands] [flags]\n\n";
  for (const auto& command : kSubcommands) {
    std::string name = command.name;
    name.resize(18, ' ');
    out += "  " + name + command.about + "\n";
  }
  return out + "\nexample:\n  seedbed engine make-model --config nano --seed 1 --out nano\n" +
         "  seedbed engine inspect nano\n";
}

std::string size(std::uint64_t bytes) {
  constexpr double kMib = 1024.0 * 1024.0;
  const auto mib = static_cast<double>(bytes) / kMib;
  char text[32];
  if (mib < 1024)
    std::snprintf(text, sizeof text, "%.1f MiB", mib);
  else
    std::snprintf(text, sizeof text, "%.2f GiB", mib / 1024);
  return text;
}
std::string millions(std::uint64_t parameters) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f M", static_cast<double>(parameters) / 1e6);
  return text;
}
std::string count(std::uint64_t n) {
  return format_count(static_cast<std::int64_t>(n));
}
schemas::Value number(std::uint64_t n) {
  return schemas::Value(static_cast<std::int64_t>(n));
}

const char* type_name(engine::DType dtype) {
  return dtype == engine::DType::f8 ? "fp8" : dtype == engine::DType::bf16 ? "bf16" : "f32";
}

struct Inspected {
  engine::CheckpointHeaders headers;
  engine::Totals totals;
  engine::ParameterCounts parameters;
  std::vector<engine::CachePlan> caches;
  engine::CheckpointMap map;
};

schemas::Value to_json(const Inspected& found) {
  using schemas::Value;
  Value out = Value::object();
  out.set("dir", found.headers.dir).set("config", engine::to_json(found.headers.config));
  out.set("tensors", number(found.totals.tensors)).set("elements", number(found.totals.elements));
  out.set("payload_bytes", number(found.totals.payload_bytes));
  out.set("scale_elements", number(found.totals.scale_elements));
  out.set("shards", number(found.totals.shards));
  Value types = Value::object();
  for (const auto& of : found.totals.by_type)
    types.set(engine::stored_type_name(of.type), Value::object()
                                                     .set("tensors", number(of.tensors))
                                                     .set("elements", number(of.elements))
                                                     .set("bytes", number(of.bytes)));
  out.set("types", std::move(types));
  out.set("parameters", Value::object()
                            .set("total", number(found.parameters.total))
                            .set("active", number(found.parameters.active))
                            .set("prediction", number(found.parameters.prediction)));
  Value caches = Value::object();
  for (const auto& plan : found.caches) {
    Value contexts = Value::array();
    for (const auto& context : plan.contexts)
      contexts.push(Value::object()
                        .set("tokens", context.tokens)
                        .set("pages", number(context.pages))
                        .set("bytes", number(context.bytes)));
    caches.set(type_name(plan.dtype), Value::object()
                                          .set("bytes_per_token", number(plan.bytes_per_token))
                                          .set("contexts", std::move(contexts)));
  }
  out.set("cache", std::move(caches));
  const auto names = [](const std::vector<std::string>& list) {
    Value array = Value::array();
    for (const auto& name : list) array.push(name);
    return array;
  };
  out.set("missing", names(found.map.missing)).set("unexpected", names(found.map.unexpected));
  Value problems = Value::array();
  for (const auto& problem : found.map.problems) problems.push(problem.message);
  return out.set("problems", std::move(problems)).set("loads", found.map.problems.empty());
}

void print_model(Output& out, const Inspected& found) {
  const auto& c = found.headers.config;
  const auto text = [](auto n) { return std::to_string(n); };
  std::int64_t moe = 0, owners = 0;
  for (const bool is_moe : c.layer_is_moe) moe += is_moe ? 1 : 0;
  for (const bool owns : c.layer_owns_indexer) owners += owns ? 1 : 0;
  const bool glm = c.architecture == engine::Architecture::glm_moe_dsa;
  out.line(found.headers.dir + ": " + (glm ? "glm_moe_dsa" : "deepseek_v32") + ", " +
           text(c.num_hidden_layers) + " layers (" + text(moe) + " with experts, " + text(owners) +
           " with an indexer), " + text(c.num_nextn_predict_layers) + " prediction layers");
  out.line("  hidden " + text(c.hidden_size) + ", " + text(c.num_attention_heads) +
           " heads, latent " + text(c.kv_lora_rank) + "+" + text(c.qk_rope_head_dim) +
           ", experts " + text(c.num_experts_per_tok) + " of " + text(c.n_routed_experts) + " + " +
           text(c.n_shared_experts) + ", index " + text(c.index_n_heads) + "x" +
           text(c.index_head_dim) + " top " + text(c.index_topk) + ", vocabulary " +
           count(static_cast<std::uint64_t>(c.vocab_size)) + ", positions " +
           count(static_cast<std::uint64_t>(c.max_position_embeddings)));
  out.line("  parameters " + millions(found.parameters.total) + ", active for a token " +
           millions(found.parameters.active) + ", prediction layers " +
           millions(found.parameters.prediction) + "\n");
}

void print_tables(Output& out, const Inspected& found) {
  Table types{{"stored as", "tensors", "elements", "bytes"}, {}};
  for (const auto& of : found.totals.by_type)
    types.rows.push_back({engine::stored_type_name(of.type), count(of.tensors), count(of.elements),
                          count(of.bytes)});
  types.rows.push_back({"all", count(found.totals.tensors), count(found.totals.elements),
                        count(found.totals.payload_bytes)});
  out.table(types);
  out.line(count(found.totals.shards) + " shard(s); weights as stored take " +
           size(found.totals.payload_bytes) + "\n");
  Table caches{{"cache", "bytes a token", "4k", "64k", "128k"}, {}};
  for (const auto& plan : found.caches) {
    std::vector<std::string> row{type_name(plan.dtype), count(plan.bytes_per_token)};
    for (const auto& context : plan.contexts)
      row.push_back(size(context.bytes) + " in " + count(context.pages) + " pages");
    caches.rows.push_back(std::move(row));
  }
  out.table(caches);
}

constexpr std::size_t kShown = 20;  // of a list that may be as long as the checkpoint

void print_names(Output& out, const char* what, const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i)
    out.line(std::string(i == 0 ? "\n" : "") + what + "  " +
             schemas::dump(schemas::Value(names[i])));
  if (names.size() > kShown) out.line("... and " + count(names.size() - kShown) + " more");
}

}  // namespace

Result<int> cmd_engine(Context& context, const Words& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    context.out.raw(group_help());
    return words.empty() ? 2 : 0;
  }
  std::vector<std::string> names;
  for (const auto& command : kSubcommands) {
    if (words[0] == command.name)
      return command.run(context, Words(words.begin() + 1, words.end()));
    names.emplace_back(command.name);
  }
  const auto near = nearest(words[0], names);
  return make_error(Where::usage, "seedbed engine", words[0],
                    "unknown command; there are " + join(names, ", "),
                    near.empty() ? "see `seedbed engine --help`" : "did you mean '" + near + "'?");
}

Result<int> engine_inspect(Context& context, const Words& words) {
  Common common;
  std::string dir;
  Options options("engine inspect",
                  "check a model folder from its headers alone: names, shapes, types, totals, and "
                  "the memory that running it takes; exit code 3 if it would not load",
                  "seedbed engine inspect nano --json");
  options.operand("DIR", dir, "a folder with config.json and safetensors files");
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);

  Inspected found;
  SEEDBED_TRY(found.headers, engine::read_checkpoint_headers(dir));
  found.totals = engine::totals_of(found.headers);
  found.parameters = engine::parameter_counts(found.headers.config);
  found.caches = engine::cache_plans(found.headers.config);
  found.map = engine::match_headers(found.headers, engine::expected_tensors(found.headers.config));
  print_model(context.out, found);
  print_tables(context.out, found);
  context.out.object(to_json(found));
  if (found.map.problems.empty()) {
    context.out.line("\nevery tensor is there, in a shape and type that loads");
    return 0;
  }
  print_names(context.out, "missing", found.map.missing);
  print_names(context.out, "unexpected", found.map.unexpected);
  for (std::size_t i = 1; i < std::min(found.map.problems.size(), kShown); ++i)
    context.out.status(found.map.problems[i].message);
  return std::move(found.map.problems.front());
}

Result<int> engine_make_model(Context& context, const Words& words) {
  std::string config_name, out, dtype = "fp8", tokenizer;
  std::int64_t seed = 0, threads = 0;
  Options options("engine make-model",
                  "write a model with seeded weights in the published format: the same config and "
                  "seed give the same weights on any machine",
                  "seedbed engine make-model --config mid --seed 1 --out mid --dtype fp8");
  options.text("--config", config_name, "FILE|NAME",
               "a config.json, or one of " + join(engine::named_configs(), ", "));
  options.integer("--seed", seed, 0, INT64_MAX, "of the weights");
  options.text("--out", out, "DIR", "the folder to write; it must hold no weights yet");
  options.choice("--dtype", dtype, {"fp8", "bf16", "f32"}, "of the linear weights");
  options.text("--tokenizer", tokenizer, "FILE", "a tokenizer.json to copy into the folder");
  options.integer("--threads", threads, 0, 1024, "0: one for each core");
  for (const char* name : {"--config", "--out"}) options.require(name);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;

  const auto read = [&]() -> Result<engine::ModelConfig> {
    std::error_code code;
    if (!std::filesystem::exists(config_name, code)) return engine::named_config(config_name);
    SEEDBED_TRY(const auto json, schemas::read_json_file(config_name));
    return engine::parse_model_config(json, config_name);
  };
  SEEDBED_TRY(const auto config, read());
  Progress progress(context.out, "writing weights", "MB");
  const engine::MakeModelOptions make{.seed = static_cast<std::uint64_t>(seed),
                                      .dtype = dtype == "fp8"    ? engine::DType::f8
                                               : dtype == "bf16" ? engine::DType::bf16
                                                                 : engine::DType::f32,
                                      .threads = static_cast<int>(threads),
                                      .tokenizer = tokenizer,
                                      .progress =
                                          [&](std::uint64_t done, std::uint64_t total) {
                                            progress.at(
                                                static_cast<std::int64_t>(done / 1'000'000),
                                                static_cast<std::int64_t>(total / 1'000'000));
                                          },
                                      .stop = &context.stop};
  if (auto error = engine::make_model(config, make, out)) return *std::move(error);
  SEEDBED_TRY(const auto totals, engine::totals_from_headers(out));
  context.out.line(out + ": " + count(totals.tensors) + " tensors in " + count(totals.shards) +
                   " shard(s), " + size(totals.payload_bytes) + ", " +
                   millions(engine::parameter_counts(config).total) + " parameters");
  return 0;
}

}  // namespace seedbed::cli
