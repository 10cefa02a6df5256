#include "agent/run_async.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <map>
#include <optional>

#include "agent/episode_loop.h"
#include "tasks/judge.h"

namespace seedbed::agent {
namespace {

namespace asio = boost::asio;

constexpr int kGraceMs = 2'000;   // beyond a call's wall time, for the jail to say that it is over
constexpr int kJailFailures = 3;  // in a row: then the run ends
constexpr std::int64_t kReportUs = 200'000;

// An environment opened once for all the workers that are on it.
struct Opened {
  tasks::StoredEnvironment stored;
  std::unique_ptr<tasks::Judge> judge;
};

struct Job {
  const PlannedEnvironment* environment = nullptr;
  const PlannedTask* task = nullptr;
  std::int64_t sample = 0;
};

struct Shared {
  asio::io_context& io;
  tasks::Store& store;
  const RunPlan& plan;
  const RunOptions& options;
  const HostFactory& hosts;
  const OnProgress& on_progress;
  const AsyncClients& clients;
  Clock clock;
  std::size_t environment = 0, task = 0, sample = 0;  // the next job
  std::map<std::string, std::weak_ptr<Opened>> opened;
  RunSummary summary;
  int working = 0, model_failures = 0, jail_failures = 0;
  bool model_answered = false;
  Step error;
  std::int64_t start_us = monotonic_us(), reported_us = start_us;

  std::optional<Job> next() {
    while (environment < plan.environments.size()) {
      const PlannedEnvironment& e = plan.environments[environment];
      if (task == e.tasks.size()) {
        ++environment;
        task = sample = 0;
        continue;
      }
      const PlannedTask& t = e.tasks[task];
      if (sample == t.samples.size()) {
        ++task;
        sample = 0;
        continue;
      }
      return Job{&e, &t, t.samples[sample++]};
    }
    return std::nullopt;
  }
  void fail(Error why) {
    if (!error) error = std::move(why);
    io.stop();
  }
  Result<std::shared_ptr<Opened>> open(const std::string& id) {
    if (auto there = opened[id].lock()) return there;
    SEEDBED_TRY(auto stored, store.environment(id));
    auto out = std::make_shared<Opened>(Opened{std::move(stored), nullptr});
    SEEDBED_TRY(out->judge, tasks::Judge::open(out->stored.environment, out->stored.image));
    opened[id] = out;
    return out;
  }
  void report() {
    const std::int64_t now = monotonic_us();
    if (!on_progress || now - reported_us < kReportUs) return;
    reported_us = now;
    on_progress({.done = summary.episodes + summary.infra_errors,
                 .total = plan.total,
                 .solved = summary.solved,
                 .infra_errors = summary.infra_errors,
                 .seconds = static_cast<double>(now - start_us) / 1e6,
                 .tokens = clients.tokens ? clients.tokens() : RunTokens{}});
  }
};

// Both outlive the coroutine: they are the worker's.
asio::awaitable<std::optional<Result<Reply>>> ask(ModelClient& client,
                                                  asio::steady_timer& timer,
                                                  View view) {
  timer.expires_after(std::chrono::milliseconds(view.wall_ms_left));
  // A late end of the wait does nothing.
  auto turn = std::make_shared<bool>(true);
  timer.async_wait([&client, turn](boost::system::error_code failed) {
    if (!failed && *turn) client.give_up();
  });
  auto reply = co_await asio::async_initiate<const asio::use_awaitable_t<>,
                                             void(std::optional<Result<Reply>>)>(
      [&client, &view](auto handler) {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        client.ask(view, [shared](Result<Reply> answer) {
          std::move (*shared)(std::optional<Result<Reply>>(std::move(answer)));
        });
      },
      asio::use_awaitable);
  *turn = false;
  timer.cancel();
  co_return reply;
}

// One worker: its own jail, its own client, one episode at a time.
class Worker {
 public:
  explicit Worker(Shared& shared)
      : shared_(shared), client_(shared.clients.make()), wait_(shared.io), timer_(shared.io) {}

  asio::awaitable<void> work() {
    while (!shared_.error) {
      const auto job = shared_.next();
      if (!job) break;
      if (auto failed = co_await run(*job)) {
        shared_.fail(*std::move(failed));
        break;
      }
      shared_.report();
    }
  }

 private:
  asio::awaitable<Step> run(Job job) {
    auto opened = shared_.open(job.environment->id);
    if (!opened.ok()) co_return std::move(opened).error();
    if (opened_ != *opened) {
      opened_ = *opened;
      if (host_ != nullptr && host_->load(opened_->stored.environment, opened_->stored.image))
        close_host();
    }
    auto stored = shared_.store.task(job.task->id);
    if (!stored.ok()) co_return std::move(stored).error();
    const tasks::StoredTask task = *std::move(stored);
    const RunOptions& options = shared_.options;
    const Offered offered(opened_->stored.environment, task.task);
    const RolloutSpec spec{
        .environment = opened_->stored.environment,
        .task = task.task,
        .offered = offered,
        .task_id = job.task->id,
        .policy = shared_.plan.info.policy,
        .policy_version = shared_.plan.info.policy_version,
        .sample = job.sample,
        .seed = options.seed,
        .budget = options.budget ? smaller(task.task.budget, *options.budget) : task.task.budget,
        .call_wall_ms = options.call_wall_ms};
    for (int retries = 0;; ++retries) {
      auto made = co_await attempt(spec);
      if (made->ok()) {
        shared_.jail_failures = 0;
        (*made)->trajectory.retries = retries;
        co_return put(spec, task.verifier, **std::move(made));
      }
      const Error why = made->error();
      if (why.where == Where::sandbox) close_host();
      if (why.where == Where::sandbox && retries == 0) continue;
      co_return put_failure(spec, why);
    }
  }

  Step put(const RolloutSpec& spec, const schemas::Verifier& verifier, Rollout made) {
    auto verdict = opened_->judge->judge(verifier, made.evidence);
    if (!verdict.ok()) return std::move(verdict).error();
    made.trajectory.verdict = *std::move(verdict);
    if (auto failed = shared_.store.put_episode({shared_.plan.run, spec.task_id, spec.sample},
                                                made.trajectory, made.evidence))
      return failed;
    RunSummary& sum = shared_.summary;
    ++sum.episodes;
    sum.score_sum += made.trajectory.verdict.score;
    if (made.trajectory.verdict.solved) ++sum.solved;
    for (const auto& turn : made.trajectory.turns)
      sum.tool_calls += static_cast<std::int64_t>(turn.calls.size());
    return shared_.store.flush();  // an episode of a model is dear: durable at once
  }

  // What failed outside the agent is counted and tried again by the next run; what fails throughout
  // ends this one.
  Step put_failure(const RolloutSpec& spec, const Error& why) {
    const bool model = why.where == Where::model;
    if (!model && why.where != Where::sandbox) return why;
    int& in_a_row = model ? shared_.model_failures : shared_.jail_failures;
    if (++in_a_row >= (model ? shared_.clients.model_failures : kJailFailures) ||
        (model && !shared_.model_answered))
      return why;
    if (auto failed = shared_.store.put_infra_error({shared_.plan.run, spec.task_id, spec.sample},
                                                    why.message))
      return failed;
    ++shared_.summary.infra_errors;
    return std::nullopt;
  }

  asio::awaitable<std::optional<Result<Rollout>>> attempt(const RolloutSpec& spec) {
    if (auto failed = ready_host()) co_return Result<Rollout>(*std::move(failed));
    client_->begin({spec.task_id, spec.task, spec.sample, spec.seed, nullptr});
    EpisodeLoop loop(spec, shared_.clock);
    while (loop.need() != EpisodeLoop::Need::done) {
      Step failed;
      if (loop.need() == EpisodeLoop::Need::reply) {
        auto reply = co_await ask(*client_, timer_, loop.view());
        if (!reply->ok()) co_return Result<Rollout>(std::move(*reply).error());
        shared_.model_answered = true;
        shared_.model_failures = 0;
        failed = loop.take(**std::move(reply));
      } else {
        auto result = co_await call(loop.call(), loop.call_wall_ms());
        if (!result->ok()) co_return Result<Rollout>(std::move(*result).error());
        failed = loop.take(**std::move(result));
      }
      if (failed) co_return Result<Rollout>(*std::move(failed));
    }
    std::vector<schemas::RowChange> changes;
    if (loop.called_host()) {
      auto recorded = host_->changes();
      if (!recorded.ok()) co_return Result<Rollout>(std::move(recorded).error());
      changes = *std::move(recorded);
    }
    Rollout made = loop.finish(std::move(changes));
    made.trajectory.tokens = client_->finish();
    co_return Result<Rollout>(std::move(made));
  }

  Step ready_host() {
    if (host_ == nullptr) {
      auto made = shared_.hosts(-1);
      if (!made.ok()) return std::move(made).error();
      host_ = *std::move(made);
      if (auto failed = host_->load(opened_->stored.environment, opened_->stored.image)) {
        close_host();
        return failed;
      }
    }
    return host_->reset();
  }

  void close_host() {
    boost::system::error_code ignored;
    wait_.close(ignored);
    host_ = nullptr;
  }

  // The jail's socket is watched through a duplicate, so that neither side closes the other's.
  asio::awaitable<std::optional<Result<schemas::ToolResult>>> call(const schemas::ToolCall& made,
                                                                   int wall_ms) {
    if (auto failed = host_->send(made, wall_ms))
      co_return Result<schemas::ToolResult>(*std::move(failed));
    if (!wait_.is_open()) {
      boost::system::error_code failed;
      const int copy = ::dup(host_->descriptor());
      if (copy >= 0) wait_.assign(copy, failed);
      if (copy < 0 || failed)
        co_return Result<schemas::ToolResult>(
            make_error(Where::sandbox, "jail", "socket",
                       "found a descriptor that cannot be watched, wanted a socket",
                       "raise the limit of open files"));
    }
    const int patience = wall_ms + kGraceMs + host_->start_ms();
    timer_.expires_after(std::chrono::milliseconds(patience));
    // Whichever comes first cancels the other; a late cancel of a wait that is over does nothing.
    auto turn = std::make_shared<bool>(true);
    timer_.async_wait([this, turn](boost::system::error_code failed) {
      boost::system::error_code ignored;
      if (!failed && *turn) wait_.cancel(ignored);
    });
    boost::system::error_code late;
    co_await wait_.async_wait(asio::posix::descriptor_base::wait_read,
                              asio::redirect_error(asio::use_awaitable, late));
    *turn = false;
    timer_.cancel();
    if (late)
      co_return Result<schemas::ToolResult>(
          make_error(Where::sandbox, "jail", made.tool,
                     "no answer in " + std::to_string(patience) + " ms, wanted one",
                     "nothing: the jail is replaced"));
    co_return host_->receive(wall_ms);
  }

  Shared& shared_;
  std::unique_ptr<ModelClient> client_;
  asio::posix::stream_descriptor wait_;
  asio::steady_timer timer_;
  std::shared_ptr<Opened> opened_;
  std::unique_ptr<sandbox::ToolHost> host_;
};

asio::awaitable<void> watch_interrupt(Shared& shared) {
  asio::steady_timer timer(shared.io);
  while (shared.working > 0) {
    if (shared.options.interrupted != nullptr && shared.options.interrupted->load())
      shared.io.stop();
    shared.report();
    timer.expires_after(std::chrono::milliseconds(50));
    co_await timer.async_wait(asio::use_awaitable);
  }
}

}  // namespace

Result<RunSummary> run_async(asio::io_context& io,
                             tasks::Store& store,
                             const RunPlan& plan,
                             const RunOptions& options,
                             const HostFactory& hosts,
                             const AsyncClients& clients,
                             const OnProgress& progress) {
  Shared shared{.io = io,
                .store = store,
                .plan = plan,
                .options = options,
                .hosts = hosts,
                .on_progress = progress,
                .clients = clients,
                .clock = {},
                .opened = {},
                .summary = {},
                .error = {}};
  const auto count = std::min<std::int64_t>(options.concurrency, plan.total);
  std::vector<std::unique_ptr<Worker>> workers;
  for (std::int64_t i = 0; i < count; ++i) {
    workers.push_back(std::make_unique<Worker>(shared));
    ++shared.working;
    asio::co_spawn(io, workers.back()->work(), [&shared](std::exception_ptr thrown) {
      --shared.working;
      if (thrown)
        shared.fail(
            Error{Where::model, "a rollout's coroutine threw: out of memory or a broken loop"});
    });
  }
  asio::co_spawn(io, watch_interrupt(shared), asio::detached);
  io.run();
  // What is in flight is dropped here: its jails and clients go with the workers, its coroutines
  // with the clients and the loop.
  workers.clear();
  Step flushed = store.flush();
  if (shared.error) return *std::move(shared.error);
  if (flushed) return *std::move(flushed);
  if (shared.working > 0) return interrupted_error(shared.summary.episodes);
  shared.summary.seconds = static_cast<double>(monotonic_us() - shared.start_us) / 1e6;
  shared.summary.skipped = plan.skipped;
  shared.summary.run = plan.run;
  if (clients.tokens) shared.summary.tokens = clients.tokens();
  if (progress) {
    shared.reported_us = 0;
    shared.report();
  }
  return shared.summary;
}

}  // namespace seedbed::agent
