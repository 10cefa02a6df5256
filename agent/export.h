// Stored episodes, or pairs of plans, as a Hugging Face dataset folder: data/<split>-00000.jsonl,
// one line an episode (prompts: data/<split>-00000.txt and on, plain rendered text), and a
// README.md card that names splits and features, so that `datasets.load_dataset(folder)` needs no
// guess.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/rendered_tokens.h"
#include "base/result.h"
#include "sandbox/tool_host.h"
#include "tasks/store.h"

namespace seedbed::agent {

enum class ExportFormat : std::uint8_t { trl, openai, tokens, preference, prompts };
constexpr std::array<std::string_view, 5> enum_names(ExportFormat) {
  return {"trl", "openai", "tokens", "preference", "prompts"};
}

struct ExportOptions {
  ExportFormat format = ExportFormat::trl;
  std::string out;
  double min_score = 0;
  std::string policy;  // exact, or "http" for every model; "": all
  // tokens: how episodes are rendered that nobody sampled; prompts: mode and order of tools.
  RenderSettings render;
  std::int64_t context = 0;  // tokens: leave out longer sequences; 0: none
  bool no_issues = false;    // leave out tasks with an open issue
  std::string without;       // leave out episodes whose reasoning has this text; "": none
  // preference: a jail with nothing loaded, for playing gold plans and near misses.
  std::function<Result<std::unique_ptr<sandbox::ToolHost>>()> open_host;
  const std::atomic<bool>* interrupted = nullptr;
  std::function<void(std::int64_t done, std::int64_t total)> progress;  // in episodes
};

struct PolicyScore {
  std::int64_t episodes = 0, solved = 0;
  double score_sum = 0;
};
struct ExportSummary {
  std::int64_t train = 0, heldout = 0,
               left_out = 0;  // lines; episodes below min_score or of another policy
  std::map<std::string, PolicyScore> policies;  // of what was written
  std::map<std::string, std::int64_t> kinds;
  std::map<std::string, std::int64_t> wrongs;  // preference: pairs by the near miss's name
  std::int64_t tasks = 0, environments = 0;
  // Of the format `tokens`: what it wrote; episodes that have no tokens and were not rendered,
  // those of another tokenizer, and sequences over the context.
  std::int64_t tokens = 0, tokens_sampled = 0, without_tokens = 0, other_tokenizer = 0,
               over_context = 0;
};

// Written beside `out` and renamed into place whole. Error{usage} where `out` holds anything but an
// earlier export, or where no episode is left; Error{model}: the tokenizer cannot be used;
// Error{store} where a line does not pass its own
// check or the disk is full. On any error `out` is untouched.
Result<ExportSummary> export_dataset(tasks::Store& store, const ExportOptions& options);

}  // namespace seedbed::agent
