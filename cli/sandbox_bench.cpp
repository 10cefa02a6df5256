#include "cli/sandbox_bench.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>

#include "cli/common.h"
#include "cli/sandbox_mixed.h"
#include "sandbox/box_exec.h"
#include "sandbox/box_pool.h"
#include "sandbox/hosts/python_host.h"

namespace seedbed::cli {
namespace {

constexpr std::chrono::milliseconds kThinks{5};  // whoever calls, between one call and the next

using Clock = std::chrono::steady_clock;
using sandbox::Boxes;
using sandbox::BoxSpec;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values.empty()
             ? 0
             : values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

std::int64_t available_kib() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("MemAvailable:", 0) == 0) return std::stoll(line.substr(13));
  return 0;
}

// What is compared with: no jail at all.
Result<double> plain_spawn() {
  const auto begin = Clock::now();
  char program[] = "/bin/true";
  char* const argv[] = {program, nullptr};
  char* const env[] = {nullptr};
  pid_t pid = 0;
  if (::posix_spawn(&pid, program, nullptr, nullptr, argv, env) != 0)
    return make_error(Where::sandbox, "program", program, "cannot be started", "install coreutils");
  ::waitpid(pid, nullptr, 0);
  return ms_since(begin);
}

struct Row {
  std::string what, unit;
  double value = 0;
  std::string bar;  // in words; empty: none
  bool met = true;
};

class Bench {
 public:
  Bench(Context& context, std::shared_ptr<Boxes> boxes, std::int64_t rounds)
      : context_(context), boxes_(std::move(boxes)), rounds_(static_cast<int>(rounds)) {}

  // A ready box is taken and runs one program, beside a plain one; by turns, so that what else the
  // machine does hits both.
  Step pooled() {
    sandbox::PoolOptions options;
    options.ready = 16;
    sandbox::BoxPool pool(boxes_, BoxSpec{}, options);
    sandbox::Command command;
    command.argv = {"/bin/true"};
    std::vector<double> plain, jailed;
    Progress progress(context_.out, "pooled exec", "rounds");
    for (int i = 0; i < rounds_; ++i) {
      progress.at(i, rounds_);
      while (pool.metrics().ready < 2) ::usleep(500);  // making a box is another row
      ::usleep(2000);                                  // and so is what it does beside us
      auto spawned = plain_spawn();
      if (!spawned.ok()) return spawned.error();
      plain.push_back(*spawned);
      const auto taking = Clock::now();
      auto box = pool.take();
      if (!box.ok()) return box.error();
      const double taken = ms_since(taking);
      ::usleep(5000);  // the pool makes another one meanwhile
      const auto begin = Clock::now();
      const auto done = sandbox::execute(**box, command);
      jailed.push_back(taken + ms_since(begin));
      if (!done.ok()) return done.error();
      pool.give_back(std::move(*box));
    }
    add("plain posix_spawn", "ms", quantile(plain, 0.5));
    add("pooled exec", "ms", quantile(jailed, 0.5));
    const double ratio = quantile(jailed, 0.5) / quantile(plain, 0.5);
    add("pooled exec / plain posix_spawn", "x", ratio, "at most 1.6", ratio <= 1.6);
    return {};
  }

  Step fresh() {
    sandbox::PoolOptions options;
    options.ready = 32;
    options.starting = 16;
    sandbox::BoxPool pool(boxes_, BoxSpec{}, options);
    Progress progress(context_.out, "fresh jails", "jails");
    const int jails = rounds_ * 10;
    const auto begin = Clock::now();
    for (int i = 0; i < jails; ++i) {
      progress.at(i, jails);
      auto box = pool.take();
      if (!box.ok()) return box.error();
      pool.give_back(std::move(*box));
    }
    pool.drain();
    const double rate = static_cast<double>(pool.metrics().made) / ms_since(begin) * 1000;
    add("fresh jails, made and buried", "jails/s", rate, "at least 450", rate >= 450);
    return {};
  }

  // Bad calls among good ones: what do they cost those, is any cause wrong, what is left?
  Step mixed(int calls) {
    constexpr int kCallers = 4, kReady = 32;
    const auto quiet = mixed_calls(context_.out, boxes_, std::min(calls, 1000), kCallers, kReady,
                                   false, context_.stop);
    if (!quiet.ok()) return quiet.error();
    const auto loud =
        mixed_calls(context_.out, boxes_, calls, kCallers, kReady, true, context_.stop);
    if (!loud.ok()) return loud.error();
    const std::string of = std::to_string(loud->calls) + " mixed calls: ";
    add(of + "wrong causes", "", loud->wrong + quiet->wrong, "0", loud->wrong + quiet->wrong == 0);
    for (const auto* run : {&*quiet, &*loud})
      if (run->wrong > 0) context_.out.status("first wrong: " + run->first_wrong);
    add(of + "left behind", "", loud->left + quiet->left, "0", loud->left + quiet->left == 0);
    for (const auto* run : {&*quiet, &*loud})
      if (run->left > 0) context_.out.status("left: " + run->what_is_left);
    const double ratio = quantile(loud->good_ms, 0.95) / quantile(quiet->good_ms, 0.95);
    add(of + "p95 of the good ones / of good ones alone", "x", ratio, "at most 2", ratio <= 2);
    return {};
  }

  // What stays in a box and answers: a program, a Python session, a call in a process of its own.
  Step hosts() {
    SEEDBED_TRY(auto box, boxes_->open(BoxSpec{}));
    sandbox::Command cat;
    cat.argv = {"/bin/cat"};
    {
      SEEDBED_TRY(const auto echo,
                  sandbox::Resident::start(*box, cat, sandbox::Talk::output_stream, '\n'));
      const std::string message(1024, 'x');
      std::vector<double> times;
      for (int i = 0; i < rounds_ * 20; ++i) {
        const auto begin = Clock::now();
        const auto deadline = begin + std::chrono::seconds(10);
        if (!echo->say(message + "\n", deadline) || echo->hear(deadline).message != message)
          return make_error(Where::sandbox, "bench", "/bin/cat", "found no echo, wanted 1 KiB back",
                            "look at the box");
        times.push_back(ms_since(begin) * 1000);
      }
      add("round trip to a program in a jail, 1 KiB, p50", "us", quantile(times, 0.5), "at most 25",
          quantile(times, 0.5) <= 25);
    }
    SEEDBED_TRY(const auto python, sandbox::PythonHost::open(std::move(box), {}));
    std::vector<double> calls, ready, starts, cells;
    const auto wrong = [](const std::string& found) {
      return make_error(Where::sandbox, "bench", "python", "found '" + found + "', wanted 2",
                        "look at the box");
    };
    for (int i = 0; i < rounds_; ++i) {
      const auto begin = Clock::now();
      SEEDBED_TRY(const auto called, python->call("1 + 1", std::chrono::seconds(10)));
      calls.push_back(ms_since(begin));
      if (called.value != "2") return wrong(called.value);
    }
    for (int i = 0; i < rounds_; ++i) {
      std::this_thread::sleep_for(kThinks);
      const auto begin = Clock::now();
      SEEDBED_TRY(const auto called, python->call("1 + 1", std::chrono::seconds(10)));
      ready.push_back(ms_since(begin));
      if (called.value != "2") return wrong(called.value);
    }
    for (int i = 0; i < rounds_; ++i) {
      const auto starting = Clock::now();
      SEEDBED_TRY(const auto first, python->run("1 + 1", std::chrono::seconds(10)));
      starts.push_back(ms_since(starting));
      const auto again = Clock::now();
      SEEDBED_TRY(const auto second, python->run("1 + 1", std::chrono::seconds(10)));
      cells.push_back(ms_since(again) * 1000);
      if (first.value != "2" || second.value != "2") return wrong(first.value + second.value);
      if (auto e = python->restart()) return e;
    }
    add("Python call in a process of its own, that is ready", "ms", quantile(ready, 0.5),
        "at most 0.7", quantile(ready, 0.5) <= 0.7);
    add("the same, one call upon the other", "ms", quantile(calls, 0.5));
    add("Python session, start and first answer", "ms", quantile(starts, 0.5), "at most 5",
        quantile(starts, 0.5) <= 5);
    add("Python session, answer", "us", quantile(cells, 0.5));
    return {};
  }

  Step idle(int count) {
    ::sleep(2);  // what was buried is freed by and by
    const std::int64_t before = available_kib();
    auto many = boxes_->open(BoxSpec{}, count);
    if (!many.ok()) return many.error();
    ::usleep(300'000);
    const double mib = static_cast<double>(before - available_kib()) / 1024 / count;
    add("memory of an idle jail, kernel's share too (" + std::to_string(count) + " open)", "MiB",
        mib, "at most 1.5", mib <= 1.5);
    for (auto& box : *many) box->hang_up();
    return {};
  }

  // The caller's size must not matter: the server makes the boxes.
  Step beside_memory(std::int64_t gib) {
    std::vector<double> small, big;
    if (auto e = open_and_end(small)) return e;
    const std::size_t bytes = static_cast<std::size_t>(gib) << 30;
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
      return make_error(Where::usage, "--resident-gib", std::to_string(gib), "cannot be had",
                        "name less, or 0 to leave this out");
    auto e = open_and_end(big);
    ::munmap(memory, bytes);
    if (e) return e;
    if ((e = open_and_end(small))) return e;  // before and after: the machine's mood is no result
    const double ratio = quantile(big, 0.5) / quantile(small, 0.5);
    add("opening a jail from " + std::to_string(gib) + " GiB resident / from a small process", "x",
        ratio, "at most 1.2", ratio <= 1.2);
    return {};
  }

  std::vector<Row> rows;

 private:
  Step open_and_end(std::vector<double>& times) {
    for (int i = 0; i < rounds_; ++i) {
      const auto begin = Clock::now();
      auto box = boxes_->open(BoxSpec{});
      if (!box.ok()) return box.error();
      times.push_back(ms_since(begin));
    }
    return {};
  }
  void add(
      std::string what, std::string unit, double value, std::string bar = {}, bool met = true) {
    rows.push_back({std::move(what), std::move(unit), value, std::move(bar), met});
  }

  Context& context_;
  std::shared_ptr<Boxes> boxes_;
  int rounds_;
};

std::string shown(double value) {
  std::array<char, 32> text{};
  const bool whole = value >= 100 || value == static_cast<double>(static_cast<std::int64_t>(value));
  std::snprintf(text.data(), text.size(), whole ? "%.0f" : "%.3f", value);
  return text.data();
}

}  // namespace

Result<int> cmd_sandbox_bench(Context& context, const Words& words) {
  Common common;
  std::int64_t rounds = 200, open = 1000, resident = 8, mixed = 10'000;
  Options options("sandbox bench", "measure what a jail costs on this machine",
                  "seedbed sandbox bench --rounds 500 --json");
  options.integer("--rounds", rounds, 10, 100'000, "of each comparison");
  options.integer("--open", open, 1, 4000, "jails open at once, for the memory of one");
  options.integer("--resident-gib", resident, 0, 1024,
                  "of this process, while it opens jails; 0: leave it out");
  options.integer("--mixed", mixed, 0, 10'000'000,
                  "calls, of which four in ten crash, hang, flood or fork without end");
  isolation_option(options, common);
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);
  SEEDBED_TRY(const auto boxes, Boxes::start(isolation_of(common.isolation)));
  Bench bench(context, boxes, rounds);
  if (auto error = bench.pooled()) return *std::move(error);
  if (auto error = bench.hosts()) return *std::move(error);
  if (auto error = bench.fresh()) return *std::move(error);
  if (auto error = bench.idle(static_cast<int>(open))) return *std::move(error);
  if (mixed > 0)
    if (auto error = bench.mixed(static_cast<int>(mixed))) return *std::move(error);
  if (resident > 0)
    if (auto error = bench.beside_memory(resident)) return *std::move(error);

  utsname machine = {};
  ::uname(&machine);
  Table table{{"what", "measured", "", "wanted"}, {}};
  schemas::Value list = schemas::Value::array();
  bool all = true;
  for (const Row& row : bench.rows) {
    all = all && row.met;
    table.rows.push_back({row.what, shown(row.value), row.unit,
                          row.bar.empty() ? "" : row.bar + (row.met ? ": met" : ": NOT met")});
    schemas::Value one = schemas::Value::object();
    one.set("what", row.what).set("value", row.value).set("unit", row.unit);
    if (!row.bar.empty()) one.set("wanted", row.bar).set("met", row.met);
    list.push(std::move(one));
  }
  context.out.table(table);
  context.out.line(std::string("\nkernel ") + machine.release + ", " +
                   std::to_string(core_count()) + " cores");
  schemas::Value out = schemas::Value::object();
  out.set("rows", std::move(list))
      .set("rounds", rounds)
      .set("kernel", std::string(machine.release));
  out.set("cores", core_count());
  context.out.object(out);
  return all ? 0 : 1;
}

}  // namespace seedbed::cli
