#include "agent/export.h"

#include <fcntl.h>
#include <stdio.h>  // renameat2
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "agent/export_line.h"
#include "agent/export_preference.h"
#include "agent/export_tokens.h"
#include "agent/http_body.h"
#include "agent/prompt.h"
#include "agent/run_plan.h"

namespace seedbed::agent {
namespace {

namespace fs = std::filesystem;

Error disk(const std::string& path, const std::string& found) {
  return make_error(Where::store, "export", path, "found " + found + ", wanted to write it",
                    "free some space or name another --out");
}

// Only what an export writes may be replaced by another.
Step check_target(const fs::path& out) {
  std::error_code failed;
  if (out.empty())
    return make_error(Where::usage, "export", "--out", "found nothing, wanted a folder",
                      "name one");
  if (!fs::exists(out, failed)) return std::nullopt;
  const auto refuse = [&](const std::string& found) {
    return make_error(Where::usage, "export", out.string(),
                      "found " + found + ", wanted no folder, an empty one or an earlier export",
                      "name another --out");
  };
  if (!fs::is_directory(out, failed)) return refuse("something that is no folder");
  bool empty = true;
  for (const auto& entry : fs::directory_iterator(out, failed)) {
    empty = false;
    const std::string name = entry.path().filename();
    if (name != "README.md" && name != "data") return refuse("'" + name + "' in it");
  }
  if (failed) return refuse("a folder that cannot be read (" + failed.message() + ")");
  if (empty) return std::nullopt;
  std::ifstream readme(out / "README.md");
  std::string head(64U << 10, '\0');
  readme.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, readme.gcount())));
  if (head.find(kExportMark) == std::string::npos)
    return refuse("files that seedbed did not write");
  return std::nullopt;
}

// The folder while it is written; gone again unless it was put into place.
class Folder {
 public:
  explicit Folder(const fs::path& out) : out_(out), temp_(out) {
    temp_ += ".tmp-" + std::to_string(::getpid());
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(temp_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const fs::path& path() const { return temp_; }
  Step make() {
    std::error_code failed;
    if (out_.has_parent_path()) fs::create_directories(out_.parent_path(), failed);
    if (!failed) fs::create_directories(temp_ / "data", failed);
    if (failed) return disk(temp_.string(), failed.message());
    return std::nullopt;
  }
  Step put_into_place() {
    std::error_code failed;
    if (!fs::exists(out_, failed))
      fs::rename(temp_, out_, failed);
    else if (::renameat2(AT_FDCWD, temp_.c_str(), AT_FDCWD, out_.c_str(), RENAME_EXCHANGE) != 0)
      failed = std::error_code(errno, std::generic_category());
    if (failed) return disk(out_.string(), failed.message());
    return std::nullopt;  // after an exchange the temporary name holds the old export: the
                          // destructor removes it
  }

 private:
  fs::path out_, temp_;
};

class Writer {
 public:
  Writer(tasks::Store& store, const ExportOptions& options, fs::path folder)
      : store_(store), options_(options), folder_(std::move(folder)) {}

  Step take(const tasks::StoredEpisode& episode) {
    const schemas::Trajectory& t = episode.trajectory;
    if (stopped()) return interrupted();
    const bool other = !options_.policy.empty() && t.policy != options_.policy &&
                       !(options_.policy == "http" && t.policy.rfind("http:", 0) == 0);
    if (other || t.verdict.score < options_.min_score || left_out.count(t.task_id) != 0) {
      ++summary.left_out;
      return std::nullopt;
    }
    if (options_.format == ExportFormat::tokens && !t.tokens) {
      ++summary.without_tokens;
      return std::nullopt;
    }
    if (auto failed = open_task(t)) return failed;
    if (options_.format == ExportFormat::tokens) {
      auto lines = token_lines(episode, kind_, environment_->environment.family);
      if (!lines.ok()) return std::move(lines).error();
      for (const auto& line : *lines)
        if (auto failed = write(episode.id, dump(line))) return failed;
      for (const auto& branch : t.tokens->branches) {
        summary.tokens += branch.count;
        summary.tokens_sampled += branch.sampled;
      }
    } else if (auto failed = write(episode.id, dump(export_line(episode, kind_, system_, tools_,
                                                                options_.format)))) {
      return failed;
    }
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
    for (std::ofstream* file : {&train_file_, &heldout_file_}) {
      if (!file->is_open()) continue;
      file->close();
      if (!*file) return disk(options_.out, std::strerror(errno));
    }
    summary.tasks = static_cast<std::int64_t>(tasks_.size());
    summary.environments = static_cast<std::int64_t>(environments_.size());
    return std::nullopt;
  }

  ExportSummary summary;
  std::set<std::string> left_out;  // tasks

 private:
  bool stopped() const { return options_.interrupted != nullptr && options_.interrupted->load(); }
  Error interrupted() const {
    return make_error(Where::interrupted, "export", options_.out, "interrupted, nothing written",
                      "give the same command again");
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
    std::ofstream& file = heldout_ ? heldout_file_ : train_file_;
    if (!file.is_open())
      file.open(folder_ / "data" / (heldout_ ? "heldout-00000.jsonl" : "train-00000.jsonl"),
                std::ios::binary);
    file << line << '\n';
    if (!file) return disk(options_.out, std::strerror(errno));
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
      heldout_ = environment_->environment.recipe.split == "heldout";
    }
    if (task_id_ == t.task_id) return std::nullopt;
    auto stored = store_.task(t.task_id);
    if (!stored.ok()) return std::move(stored).error();
    tools_ = chat_tools(offered_tools(environment_->environment, stored->task));
    kind_ = stored->task.kind;
    task_id_ = t.task_id;
    return std::nullopt;
  }

  tasks::Store& store_;
  const ExportOptions& options_;
  fs::path folder_;
  std::ofstream train_file_, heldout_file_;
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
  if (!file) return disk(path.string(), std::strerror(errno));
  return std::nullopt;
}

}  // namespace

Result<ExportSummary> export_dataset(tasks::Store& store, const ExportOptions& options) {
  fs::path out = fs::path(options.out).lexically_normal();
  if (!out.has_filename()) out = out.parent_path();  // a trailing slash
  if (auto wrong = check_target(out)) return *std::move(wrong);
  if (!(options.min_score >= 0 && options.min_score <= 1))
    return make_error(Where::usage, "export", "--min-score",
                      "found a number outside 0 to 1, wanted one inside", "correct it");
  Folder folder(out);
  if (auto failed = folder.make()) return *std::move(failed);
  Writer writer(store, options, folder.path());
  if (options.no_issues) {
    SEEDBED_TRY(writer.left_out, store.tasks_with_open_issues());
  }
  if (auto failed = options.format == ExportFormat::preference ? write_pairs(store, writer)
                                                               : write_episodes(store, writer))
    return *std::move(failed);
  if (auto failed = writer.close()) return *std::move(failed);
  if (writer.summary.train + writer.summary.heldout == 0)
    return make_error(Where::usage, "export", options.out,
                      options.format == ExportFormat::preference
                          ? "found no task with a near miss, wanted at least one"
                          : "found no episode to write (" +
                                std::to_string(writer.summary.left_out) + " left out, " +
                                std::to_string(writer.summary.without_tokens) +
                                " without tokens), wanted at least one",
                      options.format == ExportFormat::tokens
                          ? "run --policy engine first: other policies give no tokens"
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
