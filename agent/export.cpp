#include "agent/export.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "agent/export_folder.h"
#include "agent/export_line.h"
#include "agent/export_preference.h"
#include "agent/export_tokens.h"
#include "agent/http_body.h"
#include "agent/prompt.h"
#include "agent/run_plan.h"
#include "base/hash.h"

namespace seedbed::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kTextShardBytes = 32U << 20;

bool reasons_with(const schemas::Trajectory& t, const std::string& text) {
  return !text.empty() && std::any_of(t.turns.begin(), t.turns.end(), [&](const auto& turn) {
    return turn.reasoning.find(text) != std::string::npos;
  });
}

class Writer {
 public:
  Writer(tasks::Store& store, const ExportOptions& options, fs::path folder)
      : store_(store),
        options_(options),
        folder_(std::move(folder)),
        systems_(options.render.tool_order, options.render.tool_seed) {}

  Step open() {
    if (options_.progress) {
      auto rows = store_.policies();
      if (!rows.ok()) return std::move(rows).error();
      for (const auto& row : *rows) total_ += row.episodes;
    }
    if (options_.format != ExportFormat::tokens || options_.render.tokenizer.empty())
      return std::nullopt;
    auto vocabulary = engine::service::ChatVocabulary::open_file(options_.render.tokenizer);
    if (!vocabulary.ok()) return std::move(vocabulary).error();
    vocabulary_.emplace(*std::move(vocabulary));
    return std::nullopt;
  }

  Step take(const tasks::StoredEpisode& episode) {
    const schemas::Trajectory& t = episode.trajectory;
    if (stopped()) return interrupted();
    if (options_.progress) options_.progress(++done_, total_);
    const bool other = !options_.policy.empty() && t.policy != options_.policy &&
                       !(options_.policy == "http" && t.policy.rfind("http:", 0) == 0);
    if (other || t.verdict.score < options_.min_score || left_out.count(t.task_id) != 0 ||
        reasons_with(t, options_.without)) {
      ++summary.left_out;
      return std::nullopt;
    }
    const std::int64_t before = summary.train + summary.heldout;
    if (auto failed = options_.format == ExportFormat::tokens    ? take_tokens(episode)
                      : options_.format == ExportFormat::prompts ? take_text(episode)
                                                                 : take_messages(episode))
      return failed;
    if (summary.train + summary.heldout == before) return std::nullopt;
    PolicyScore& score = summary.policies[t.policy];
    ++score.episodes;
    score.score_sum += t.verdict.score;
    if (t.verdict.solved) ++score.solved;
    ++summary.kinds[kind_];
    tasks_.insert(t.task_id);
    environments_.insert(t.environment_id);
    return std::nullopt;
  }

  // Pairs of one task: its gold plan against its near misses.
  Step take_pairs(const std::string& environment_id, const std::string& task_id) {
    if (stopped()) return interrupted();
    if (left_out.count(task_id) != 0) {
      ++summary.left_out;
      return std::nullopt;
    }
    if (player_ == nullptr || player_of_ != environment_id) {
      auto stored = store_.environment(environment_id);
      if (!stored.ok()) return std::move(stored).error();
      heldout_ = stored->environment.recipe.split == "heldout";
      auto player = PreferencePlayer::open(*std::move(stored), options_.open_host);
      if (!player.ok()) return std::move(player).error();
      player_ = *std::move(player);
      player_of_ = environment_id;
    }
    auto task = store_.task(task_id);
    if (!task.ok()) return std::move(task).error();
    auto pairs = player_->pairs(*task);
    if (!pairs.ok()) return std::move(pairs).error();
    for (const auto& pair : *pairs) {
      if (auto failed = write(pair.id, dump(pair.line))) return failed;
      ++summary.wrongs[pair.wrong];
      ++summary.kinds[task->task.kind];
    }
    if (pairs->empty()) {
      ++summary.left_out;
      return std::nullopt;
    }
    tasks_.insert(task_id);
    environments_.insert(environment_id);
    return std::nullopt;
  }

  Step close() {
    for (ExportLines* lines : {&train_lines_, &heldout_lines_})
      if (auto failed = lines->close()) return disk_error(options_.out, *failed);
    summary.tasks = static_cast<std::int64_t>(tasks_.size());
    summary.environments = static_cast<std::int64_t>(environments_.size());
    return std::nullopt;
  }

  ExportSummary summary;
  std::set<std::string> left_out;  // tasks

 private:
  bool renders() const {
    return options_.format == ExportFormat::tokens || options_.format == ExportFormat::prompts;
  }
  bool stopped() const { return options_.interrupted != nullptr && options_.interrupted->load(); }
  Error interrupted() const {
    return make_error(Where::interrupted, "export", options_.out, "interrupted, nothing written",
                      "give the same command again");
  }
  Step take_messages(const tasks::StoredEpisode& episode) {
    if (auto failed = open_task(episode.trajectory)) return failed;
    return write(episode.id, dump(export_line(episode, kind_, system_, tools_, options_.format)));
  }

  Step take_tokens(const tasks::StoredEpisode& episode) {
    const schemas::Trajectory& t = episode.trajectory;
    if (!t.tokens && !vocabulary_) {
      ++summary.without_tokens;
      return std::nullopt;
    }
    if (t.tokens && vocabulary_ && t.tokens->tokenizer != vocabulary_->hash()) {
      ++summary.other_tokenizer;
      return std::nullopt;
    }
    if (auto failed = open_task(t)) return failed;
    const std::string& family = environment_->environment.family;
    if (t.tokens) {
      auto lines = token_lines(episode, kind_, family);
      if (!lines.ok()) return std::move(lines).error();
      return write_sequences(episode.id, *lines);
    }
    bool any = false;
    for (const bool thinking : modes_of(options_.render.thinking)) {
      const auto branches = rendered_tokens(*vocabulary_, systems_.turn(), t, thinking, cache_);
      if (!branches.ok() || branches->empty()) continue;  // arguments that are no object
      any = true;
      const auto lines =
          rendered_lines(episode, kind_, family, vocabulary_->hash(), thinking, bare_, *branches);
      if (auto failed = write_sequences(episode.id, lines)) return failed;
    }
    if (!any) ++summary.without_tokens;
    return std::nullopt;
  }

  Step write_sequences(const std::string& id, const std::vector<schemas::Value>& lines) {
    for (const auto& line : lines) {
      const auto& mask = line.find("mask")->items();
      const auto length = static_cast<std::int64_t>(mask.size());
      if (options_.context > 0 && length > options_.context) {
        ++summary.over_context;
        continue;
      }
      if (auto failed = write(id, dump(line))) return failed;
      summary.tokens += length;
      summary.tokens_sampled += std::count_if(mask.begin(), mask.end(),
                                              [](const schemas::Value& m) { return m.as_bool(); });
    }
    return std::nullopt;
  }

  // Each system turn once, then what follows it: a tokenizer learns from both.
  Step take_text(const tasks::StoredEpisode& episode) {
    if (auto failed = open_task(episode.trajectory)) return failed;
    auto text = rendered_text(systems_.turn(), episode.trajectory,
                              options_.render.thinking != ThinkingModes::off);
    if (!text.ok()) {  // arguments that are no object
      ++summary.left_out;
      return std::nullopt;
    }
    if (systems_written_.insert(content_hash(text->system)).second)
      text->rest = text->system + text->rest;
    ExportLines& lines = heldout_ ? heldout_lines_ : train_lines_;
    if (lines.bytes() > kTextShardBytes)
      if (auto failed = lines.next_file()) return disk_error(options_.out, *failed);
    if (auto failed = lines.put(folder_, heldout_ ? "heldout" : "train", ".txt", text->rest))
      return disk_error(options_.out, *failed);
    ++(heldout_ ? summary.heldout : summary.train);
    return std::nullopt;
  }

  Step write(const std::string& id, const std::string& line) {
    const std::string wrong = options_.format == ExportFormat::tokens ? check_token_line(line)
                              : options_.format == ExportFormat::preference
                                  ? check_preference_line(line)
                                  : check_line(line, options_.format);
    if (!wrong.empty())
      return make_error(Where::store, "episode", id,
                        "found " + wrong + ", wanted a whole conversation",
                        "report this; reverify the store");
    ExportLines& lines = heldout_ ? heldout_lines_ : train_lines_;
    if (auto failed = lines.put(folder_, heldout_ ? "heldout" : "train", ".jsonl", line))
      return disk_error(options_.out, *failed);
    ++(heldout_ ? summary.heldout : summary.train);
    return std::nullopt;
  }
  // Episodes come by environment and task, so what is open is nearly always the right one.
  Step open_task(const schemas::Trajectory& t) {
    if (!environment_ || environment_->id != t.environment_id) {
      auto stored = store_.environment(t.environment_id);
      if (!stored.ok()) return std::move(stored).error();
      environment_ = *std::move(stored);
      system_ = system_text(environment_->environment);
      if (renders()) systems_.open(environment_->id, environment_->environment);
      if (vocabulary_) {
        auto bare = system_ids(*vocabulary_, systems_.bare());
        if (!bare.ok()) return std::move(bare).error();
        bare_ = *std::move(bare);
      }
      heldout_ = environment_->environment.recipe.split == "heldout";
    }
    if (task_id_ == t.task_id) return std::nullopt;
    auto stored = store_.task(t.task_id);
    if (!stored.ok()) return std::move(stored).error();
    if (renders())
      systems_.open(environment_->environment, stored->task);
    else
      tools_ = chat_tools(offered_tools(environment_->environment, stored->task));
    kind_ = stored->task.kind;
    task_id_ = t.task_id;
    return std::nullopt;
  }

  tasks::Store& store_;
  const ExportOptions& options_;
  fs::path folder_;
  ExportLines train_lines_, heldout_lines_;
  std::optional<engine::service::ChatVocabulary> vocabulary_;
  SystemTurns systems_;
  SystemCache cache_;
  std::vector<std::int32_t> bare_;  // of the environment
  std::set<std::string> systems_written_;
  std::int64_t done_ = 0, total_ = 0;  // episodes
  std::optional<tasks::StoredEnvironment> environment_;
  std::string system_, kind_, task_id_;
  schemas::Value tools_;
  bool heldout_ = false;
  std::unique_ptr<PreferencePlayer> player_;
  std::string player_of_;
  std::set<std::string> tasks_, environments_;
};

Step write_episodes(tasks::Store& store, Writer& writer) {
  return store.for_each_episode([&](const tasks::StoredEpisode& e) { return writer.take(e); });
}

Step write_pairs(tasks::Store& store, Writer& writer) {
  auto environments = store.environment_ids();
  if (!environments.ok()) return environments.error();
  for (const auto& environment : *environments) {
    auto ids = store.task_ids_of(environment);
    if (!ids.ok()) return ids.error();
    for (const auto& id : *ids)
      if (auto failed = writer.take_pairs(environment, id)) return failed;
  }
  return std::nullopt;
}

Step write_text(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) return disk_error(path.string(), std::strerror(errno));
  return std::nullopt;
}

}  // namespace

Result<ExportSummary> export_dataset(tasks::Store& store, const ExportOptions& options) {
  fs::path out = fs::path(options.out).lexically_normal();
  if (!out.has_filename()) out = out.parent_path();  // a trailing slash
  if (auto wrong = check_export_target(out)) return *std::move(wrong);
  if (!(options.min_score >= 0 && options.min_score <= 1))
    return make_error(Where::usage, "export", "--min-score",
                      "found a number outside 0 to 1, wanted one inside", "correct it");
  ExportFolder folder(out);
  if (auto failed = folder.make()) return *std::move(failed);
  Writer writer(store, options, folder.path());
  if (auto failed = writer.open()) return *std::move(failed);
  if (options.no_issues) {
    SEEDBED_TRY(writer.left_out, store.tasks_with_open_issues());
  }
  if (auto failed = options.format == ExportFormat::preference ? write_pairs(store, writer)
                                                               : write_episodes(store, writer))
    return *std::move(failed);
  if (auto failed = writer.close()) return *std::move(failed);
  if (writer.summary.train + writer.summary.heldout == 0)
    return make_error(
        Where::usage, "export", options.out,
        options.format == ExportFormat::preference
            ? "found no task with a near miss, wanted at least one"
            : "found no episode to write (" + std::to_string(writer.summary.left_out) +
                  " left out, " + std::to_string(writer.summary.without_tokens) +
                  " without tokens, " + std::to_string(writer.summary.other_tokenizer) +
                  " of another tokenizer, " + std::to_string(writer.summary.over_context) +
                  " over the context), wanted at least one",
        options.format == ExportFormat::tokens && !options.render.tokenizer.empty()
            ? "run a policy first, lower --min-score or raise --context"
        : options.format == ExportFormat::tokens
            ? "run --policy engine first, or name a --tokenizer: other policies give "
              "no tokens"
            : "run a policy first, or lower --min-score");
  SEEDBED_TRY(const auto request, store.request());
  SEEDBED_TRY(const auto rejections, store.rejections());
  SEEDBED_TRY(const auto by_mechanism, store.rejections_by_mechanism());
  if (auto failed =
          write_text(folder.path() / "README.md",
                     export_card(writer.summary, options, request, rejections, by_mechanism)))
    return *std::move(failed);
  if (auto failed = folder.put_into_place()) return *std::move(failed);
  return std::move(writer.summary);
}

}  // namespace seedbed::agent
