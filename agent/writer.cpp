#include "agent/writer.h"

#include <utility>

#include "base/clock.h"

namespace seedbed::agent {
namespace {

constexpr std::size_t kQueue = 256;
constexpr std::int64_t kReportUs = 200'000;

}  // namespace

EpisodeWriter::EpisodeWriter(tasks::Store& store,
                             std::mutex& store_mutex,
                             std::string run,
                             std::int64_t total,
                             OnProgress progress)
    : store_(store),
      store_mutex_(store_mutex),
      run_(std::move(run)),
      on_progress_(std::move(progress)),
      start_us_(monotonic_us()),
      reported_us_(start_us_) {
  progress_.total = total;
  thread_ = std::thread([this] { work(); });
}

EpisodeWriter::~EpisodeWriter() {
  RunSummary ignored;
  if (thread_.joinable()) (void)close(ignored);
}

bool EpisodeWriter::put(Item item) {
  std::unique_lock lock(mutex_);
  drained_.wait(lock, [this] { return queue_.size() < kQueue || failed_.has_value(); });
  if (failed_) return false;
  queue_.push_back(std::move(item));
  if (queue_.size() == 1) filled_.notify_one();
  return true;
}

Step EpisodeWriter::close(RunSummary& summary) {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  filled_.notify_one();
  thread_.join();
  if (!failed_) {
    const std::lock_guard lock(store_mutex_);
    failed_ = store_.flush();
  }
  summary_.seconds = static_cast<double>(monotonic_us() - start_us_) / 1e6;
  summary = summary_;
  report(true);
  return failed_;
}

void EpisodeWriter::work() {
  for (;;) {
    std::deque<Item> batch;
    {
      std::unique_lock lock(mutex_);
      filled_.wait(lock, [this] { return !queue_.empty() || closing_; });
      if (queue_.empty()) return;
      batch.swap(queue_);
    }
    drained_.notify_all();
    if (auto failed = store_batch(batch)) {
      const std::lock_guard lock(mutex_);
      failed_ = std::move(failed);
      queue_.clear();
      drained_.notify_all();
      return;
    }
    report(false);
  }
}

Step EpisodeWriter::store_batch(std::deque<Item>& batch) {
  const std::lock_guard lock(store_mutex_);
  for (auto& item : batch) {
    const tasks::EpisodeKey key{run_, item.task_id, item.sample};
    ++progress_.done;
    if (!item.infra_why.empty()) {
      if (auto failed = store_.put_infra_error(key, item.infra_why)) return failed;
      ++summary_.infra_errors;
      continue;
    }
    const auto& trajectory = item.rollout.trajectory;
    if (auto failed = store_.put_episode(key, trajectory, item.rollout.evidence)) return failed;
    ++summary_.episodes;
    summary_.score_sum += trajectory.verdict.score;
    if (trajectory.verdict.solved) ++summary_.solved;
    for (const auto& turn : trajectory.turns)
      summary_.tool_calls += static_cast<std::int64_t>(turn.calls.size());
  }
  return std::nullopt;
}

void EpisodeWriter::report(bool last) {
  const std::int64_t now = monotonic_us();
  if (!on_progress_ || (!last && now - reported_us_ < kReportUs)) return;
  reported_us_ = now;
  progress_.solved = summary_.solved;
  progress_.infra_errors = summary_.infra_errors;
  progress_.seconds = static_cast<double>(now - start_us_) / 1e6;
  on_progress_(progress_);
}

}  // namespace seedbed::agent
