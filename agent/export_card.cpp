#include <cstdio>

#include "agent/export_line.h"
#include "agent/export_preference.h"
#include "agent/export_tokens.h"
#include "agent/prompt.h"

namespace seedbed::agent {
namespace {

std::string fixed(double x, int digits) {
  char out[64];
  std::snprintf(out, sizeof out, "%.*f", digits, x);
  return out;
}

const char* size_category(std::int64_t lines) {
  if (lines < 1'000) return "n<1K";
  if (lines < 10'000) return "1K<n<10K";
  if (lines < 100'000) return "10K<n<100K";
  return lines < 1'000'000 ? "100K<n<1M" : "1M<n<10M";
}

using Field = TokenField;
// The features stand in the header because a loader that guesses them from the first block joins
// the keys of different arguments into one struct, full of nulls.
const std::vector<Field>& conversation_fields() {
  static const std::vector<Field> fields = {
      {"id", "dtype: string", "content hash of the trajectory"},
      {"group_id", "dtype: string", "content hash of the task: samples of one task share it"},
      {"environment_id", "dtype: string", "content hash of the environment"},
      {"kind", "dtype: string", "kind of goal"},
      {"policy", "dtype: string", "who acted"},
      {"policy_version", "dtype: string", "version of the client or its weights"},
      {"sample", "dtype: int64", "sample index within the task"},
      {"seed", "dtype: string", "seed of the run, decimal"},
      {"score", "dtype: float64", "0 to 1, by the task's verifier"},
      {"solved", "dtype: bool", "every part of the verdict holds"},
      {"stop", "dtype: string", "how the episode ended"},
      {"messages", "list: json", "the conversation"},
      {"tools", "list: json", "what was offered"},
  };
  return fields;
}
const std::vector<Field>& text_fields() {
  static const std::vector<Field> fields = {
      {"text", "dtype: string",
       "a line of the episodes as a model reads and writes them; each handbook and list of tools "
       "once"}};
  return fields;
}
const std::vector<Field>& fields_of(ExportFormat format) {
  if (format == ExportFormat::preference) return preference_fields();
  if (format == ExportFormat::prompts) return text_fields();
  return format == ExportFormat::tokens ? token_fields() : conversation_fields();
}

std::string rejection_tables(const std::vector<tasks::GateCount>& rejections,
                             const std::vector<tasks::MechanismCount>& by_mechanism) {
  std::string out =
      "\nDrafts that the admission gates rejected:\n\n| gate | rejected |\n|---|---:|\n";
  if (rejections.empty()) out += "| none | 0 |\n";
  for (const auto& gate : rejections)
    out += "| " + gate.gate + " | " + std::to_string(gate.count) + " |\n";
  if (by_mechanism.empty()) return out;
  out +=
      "\nThe same once for each mechanism of their environment:\n\n| mechanism | gate | rejected "
      "|\n|---|---|---:|\n";
  for (const auto& row : by_mechanism)
    out += "| " + row.mechanism + " | " + row.gate + " | " + std::to_string(row.count) + " |\n";
  return out;
}

std::string pair_tables(const ExportSummary& s) {
  std::string out = "## What is wrong\n\n| near miss | pairs |\n|---|---:|\n";
  for (const auto& [name, count] : s.wrongs)
    out += "| `" + name + "` | " + std::to_string(count) + " |\n";
  return out;
}

std::string policy_tables(const ExportSummary& s) {
  std::string out =
      "## Policies\n\n| policy | episodes | solved | mean score |\n|---|---:|---:|---:|\n";
  for (const auto& [policy, p] : s.policies)
    out += "| `" + policy + "` | " + std::to_string(p.episodes) + " | " + std::to_string(p.solved) +
           " | " + fixed(p.episodes == 0 ? 0 : p.score_sum / static_cast<double>(p.episodes), 4) +
           " |\n";
  return out;
}

constexpr std::string_view kLoading =
    "\n```python\nfrom datasets import load_dataset  # 4.7 or later\ndata = "
    "load_dataset(\"path/to/this/folder\")\n```\n\nLicence: MIT.\n";

std::string header(const ExportSummary& s, ExportFormat format) {
  const std::string ending = format == ExportFormat::prompts ? ".txt" : ".jsonl";
  std::string out =
      "---\nlicense: mit\nlanguage:\n- en\ntask_categories:\n- text-generation\ntags:\n- agent\n- "
      "tool-use\n- synthetic\n";
  out += std::string("size_categories:\n- ") + size_category(s.train + s.heldout) +
         "\nconfigs:\n- config_name: default\n  data_files:\n";
  if (s.train > 0) out += "  - split: train\n    path: data/train-*" + ending + "\n";
  if (s.heldout > 0) out += "  - split: heldout\n    path: data/heldout-*" + ending + "\n";
  out += "dataset_info:\n  config_name: default\n  features:\n";
  for (const auto& field : fields_of(format))
    out += std::string("  - name: ") + field.name + "\n    " + field.type + "\n";
  if (format == ExportFormat::openai) out += "  - name: parallel_tool_calls\n    dtype: bool\n";
  return out + "---\n" + std::string(kExportMark) + "\n\n";
}

}  // namespace

std::string export_card(const ExportSummary& s,
                        const ExportOptions& options,
                        const std::optional<schemas::GenRequest>& request,
                        const std::vector<tasks::GateCount>& rejections,
                        const std::vector<tasks::MechanismCount>& by_mechanism) {
  const bool pairs = options.format == ExportFormat::preference;
  std::string out = header(s, options.format);
  out += pairs
             ? "# Preferred plans\n\nSynthetic tool environments, tasks with proven solutions, and "
               "plans "
               "played inside jails. Each line sets a task's gold plan against a plan that is "
               "nearly right; "
               "the task's verifier scores both.\n\n## Counts\n\n| what | count |\n|---|---:|\n"
             : "# Agent trajectories\n\nSynthetic tool environments, tasks with proven solutions, "
               "and what "
               "agents did on them inside jails. Each "
               "line is one episode, judged by its task's verifier.\n\n## Counts\n\n| what | count "
               "|\n|---|---:|\n";
  out += "| train | " + std::to_string(s.train) + " |\n| heldout | " + std::to_string(s.heldout) +
         " |\n| tasks | " + std::to_string(s.tasks) + " |\n| environments | " +
         std::to_string(s.environments) +
         (pairs ? " |\n| tasks without a pair | " : " |\n| episodes left out | ") +
         std::to_string(s.left_out) + " |\n\n";
  if (!pairs)
    out += "Left out: scores below " + fixed(options.min_score, 2) +
           (options.policy.empty() ? "" : ", policies other than `" + options.policy + "`") +
           (options.no_issues ? ", tasks with an open issue" : "") +
           (options.without.empty() ? "" : ", reasoning with `" + options.without + "`") + ".\n\n";
  out += "Splits follow the environment: no schema class stands in both.\n\n";
  out += pairs ? pair_tables(s) : policy_tables(s);
  out += "\n## Kinds of goal\n\n| kind | lines |\n|---|---:|\n";
  for (const auto& [kind, count] : s.kinds)
    out += "| " + kind + " | " + std::to_string(count) + " |\n";
  out += "\n## Where it comes from\n\n";
  out += "| | |\n|---|---|\n";
  if (request) {
    out += "| generator | " + request->generator + " |\n| family | " + request->family +
           " |\n| seed | " + request->seed + " |\n| environments asked for | " +
           std::to_string(request->envs) + " |\n| tasks each | " +
           std::to_string(request->tasks_per_env) + " |\n| split asked for | " + request->split +
           " |\n| packs | `" + request->packs + "` |\n";
  }
  out += "| prompt | version " + std::string(kPromptVersion) + " |\n";
  out += rejection_tables(rejections, by_mechanism);
  out += "\n## Fields\n\n| field | meaning |\n|---|---|\n";
  for (const auto& field : fields_of(options.format))
    out += std::string("| `") + field.name + "` | " + field.about + " |\n";
  if (options.format == ExportFormat::tokens)
    return out + "\nTokens: " + std::to_string(s.tokens) + ", of them under loss " +
           std::to_string(s.tokens_sampled) + "; episodes left out: without tokens " +
           std::to_string(s.without_tokens) + ", of another tokenizer " +
           std::to_string(s.other_tokenizer) +
           "; sequences over the context: " + std::to_string(s.over_context) +
           ".\nBase64 holds little-endian numbers: `np.frombuffer(base64.b64decode(x), dtype)`.\n" +
           std::string(kLoading);
  if (pairs)
    return out +
           "\n`prompt`, `chosen` and `rejected` are TRL's conversational form with tools, as its "
           "`DPOTrainer` reads it: `arguments` are objects. What both plans do alike stands in the "
           "prompt.\n" +
           std::string(kLoading);
  if (options.format == ExportFormat::prompts)
    return out +
           "\nFor learning a tokenizer: `seedbed engine train-tokenizer --chat --vocab N --out "
           "tokenizer.json data/train-*.txt`.\n" +
           std::string(kLoading);
  out += options.format == ExportFormat::trl
             ? "\n`messages` and `tools` are TRL's conversational form with tools: `arguments` are "
               "objects. Where a model's arguments were no "
               "JSON object, they stand as text under `_unparsed`, and the call's result is the "
               "error that it got.\n"
             : "\n`messages` and `tools` are OpenAI's chat form: `arguments` are JSON strings, as "
               "the model wrote them where they were no JSON object.\n";
  return out + "`reasoning_content` holds the thinking of a turn, where the model gives it.\n" +
         std::string(kLoading);
}

}  // namespace seedbed::agent
