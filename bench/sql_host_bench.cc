// The SQL tool host: round trips, reset, load, plays; parent and host on one core. Without a jail,
// and in one where this machine offers it. A state of about 150 KiB: 12 tables, 650 rows, 18 tools.
//   bench sql_host jail=no op=read us_p50=.. us_p95=..
#include <sched.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "sandbox/jail.h"
#include "sandbox/sql_client.h"

namespace {

using seedbed::sandbox::SqlHostClient;
using seedbed::schemas::Environment;
using seedbed::schemas::Shape;
using seedbed::schemas::Tool;
using seedbed::schemas::ToolCall;
using seedbed::schemas::Value;

void must(bool fine, const std::string& why) {
  if (fine) return;
  std::fprintf(stderr, "sql_host: %s\n", why.c_str());
  std::exit(1);
}

std::string make_image() {
  std::string sql = "BEGIN;";
  for (int t = 0; t < 12; ++t) {
    const std::string name = "t" + std::to_string(t);
    sql += "CREATE TABLE " + name +
           "(id TEXT PRIMARY KEY NOT NULL, owner TEXT NOT NULL, state TEXT NOT NULL, cents INT NOT "
           "NULL, starts INT NOT NULL, note TEXT) STRICT;";
    sql += "CREATE INDEX " + name + "_owner ON " + name + "(owner);";
    sql +=
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 54) INSERT "
        "INTO " +
        name + " SELECT printf('K" + std::to_string(t) +
        "-%04d', n), printf('P%03d', n % 9), 'open', n * 100, n * 60, 'a note of some words, "
        "number ' || n FROM r;";
  }
  sql += "COMMIT";
  sqlite3* db = nullptr;
  must(sqlite3_open(":memory:", &db) == SQLITE_OK &&
           sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK,
       "image");
  sqlite3_int64 size = 0;
  unsigned char* bytes = sqlite3_serialize(db, "main", &size, 0);
  std::string image(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  sqlite3_free(bytes);
  sqlite3_close(db);
  return image;
}

Value parsed(const char* text) {
  auto v = seedbed::schemas::parse_json(text);
  must(v.ok(), text);
  return *v;
}

Tool make_tool(std::string name, const std::string& table, bool writes, bool rows) {
  Tool tool;
  tool.name = std::move(name);
  tool.description = "measured";
  tool.input = parsed(
      R"({"type":"object","properties":{"id":{"type":"string"},"cents":{"type":"integer","minimum":0}},"required":["id"],"additionalProperties":false})");
  if (writes) {
    seedbed::schemas::ProgramStep a;
    a.require = "SELECT 1 FROM " + table + " WHERE id = :id";
    a.code = "not_found";
    a.message = "no record {id}";
    seedbed::schemas::ProgramStep b = a;
    b.require = "SELECT 1 FROM " + table + " WHERE id = :id AND state = 'open'";
    b.code = "wrong_state";
    seedbed::schemas::ProgramStep c;
    tool.program.steps = {a, b};
    for (const char* effect :
         {" SET cents = cents + :cents WHERE id = :id", " SET starts = starts + 1 WHERE id = :id",
          " SET note = 'changed' WHERE id = :id"}) {
      c.run = "UPDATE " + table + effect;
      tool.program.steps.push_back(c);
    }
    c.run = "INSERT INTO t11 VALUES('N-' || :id, 'P001', 'open', :cents, 0, NULL)";
    tool.program.steps.push_back(c);
    c.run = "UPDATE t10 SET state = 'done' WHERE id = 'K10-0001'";
    tool.program.steps.push_back(c);
  }
  tool.program.result = rows ? "SELECT id, owner, state, cents FROM " + table +
                                   " WHERE id >= :id ORDER BY id LIMIT 10"
                             : "SELECT id, owner, state, cents FROM " + table + " WHERE id = :id";
  tool.program.shape = rows ? Shape::rows : Shape::object;
  return tool;
}

void print(const char* jail, const char* op, std::vector<double> us, const std::string& more = "") {
  std::sort(us.begin(), us.end());
  const auto at = [&](double q) {
    return us[static_cast<std::size_t>(q * static_cast<double>(us.size() - 1))];
  };
  std::printf("bench sql_host jail=%s op=%s us_p50=%.1f us_p95=%.1f n=%zu%s\n", jail, op, at(0.5),
              at(0.95), us.size(), more.c_str());
}

template <class F>
std::vector<double> times(int n, F&& f) {
  std::vector<double> us;
  for (int i = 0; i < n; ++i) {
    timespec a{};
    timespec b{};
    clock_gettime(CLOCK_MONOTONIC, &a);
    f();
    clock_gettime(CLOCK_MONOTONIC, &b);
    us.push_back(static_cast<double>(b.tv_sec - a.tv_sec) * 1e6 +
                 static_cast<double>(b.tv_nsec - a.tv_nsec) / 1e3);
  }
  return us;
}

void measure(const char* jail,
             SqlHostClient& host,
             const Environment& env,
             const std::string& image) {
  const auto load = [&] {
    const auto e = host.load(env, image);
    must(!e, e ? e->message : "");
  };
  const auto call = [&](const ToolCall& c) {
    const auto r = host.call(c, 1000);
    must(r.ok(), r.ok() ? "" : r.error().message);
    return *r;
  };
  const auto reset = [&] { must(!host.reset(), "reset"); };
  print(jail, "load", times(50, load),
        " image_bytes=" + std::to_string(image.size()) +
            " tools=" + std::to_string(env.tools.size()));
  const ToolCall read{"get", parsed(R"({"id":"K0-0007"})")};
  const ToolCall list{"list", parsed(R"({"id":"K0-0007"})")};
  const ToolCall write{"change", parsed(R"({"id":"K0-0007","cents":5})")};
  const ToolCall denied{"change", parsed(R"({"id":"none","cents":5})")};
  must(call(read).out.find("K0-0007") != std::string::npos, "read");
  must(call(denied).end == seedbed::schemas::End::tool_error, "denied");
  times(2000, [&] { call(read); });
  print(jail, "read", times(20'000, [&] { call(read); }));
  print(jail, "read_10_rows", times(5'000, [&] { call(list); }));
  std::vector<double> writes;
  std::vector<double> resets;
  std::vector<double> inside;  // the reset alone, as the host's own clock has it
  const auto reset_ns = [&] {
    auto counted = host.stats();
    must(counted.ok(), "stats");
    return static_cast<double>(parsed(counted->c_str()).integer("reset_ns"));
  };
  for (int i = 0; i < 3'000; ++i) {
    reset();
    writes.push_back(times(1, [&] { call(write); })[0]);
    const double before = reset_ns();
    resets.push_back(times(1, reset)[0]);
    inside.push_back((reset_ns() - before) / 1000);
  }
  print(jail, "write_2_guards_5_effects", std::move(writes));
  print(jail, "denied", times(5'000, [&] { call(denied); }));
  print(jail, "reset_after_write", std::move(resets), " (round trip included)");
  print(jail, "reset_after_write_in_host", std::move(inside));
  reset();
  print(jail, "reset_of_nothing", times(5'000, reset), " (round trip included)");
  print(jail, "digest", times(500, [&] { must(host.digest().ok(), "digest"); }));
  std::vector<std::vector<ToolCall>> plans;
  for (int i = 0; i < 24; ++i)
    plans.push_back({read,
                     list,
                     read,
                     i % 2 == 0 ? write : read,
                     list,
                     i % 3 == 0 ? write : denied,
                     read,
                     {"get" + std::to_string(i % 16), read.args}});
  print(jail, "play_24_plans_of_8", times(300, [&] { must(host.play(plans, 1000).ok(), "play"); }));
}

}  // namespace

int main() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(
      1 % static_cast<std::size_t>(std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)))),
      &one);
  sched_setaffinity(0, sizeof one, &one);  // children inherit it
  const std::string image = make_image();
  Environment env;
  env.image_hash = seedbed::content_hash(image);
  env.tools = {make_tool("get", "t0", false, false), make_tool("list", "t0", false, true),
               make_tool("change", "t0", true, false)};
  for (int i = 0; i < 16; ++i)
    env.tools.push_back(
        make_tool("get" + std::to_string(i), "t" + std::to_string(i % 12), i % 3 == 0, i % 2 == 0));

  auto plain = seedbed::sandbox::open_unjailed_sql_host_for_tests();
  must(plain.ok(), plain.ok() ? "" : plain.error().message);
  measure("no", **plain, env, image);

  auto broker = seedbed::sandbox::Broker::start(seedbed::sandbox::Isolation::strict);
  if (!broker.ok()) {
    std::printf("bench sql_host jail=strict skipped: %s\n", broker.error().message.c_str());
    return 0;
  }
  seedbed::sandbox::JailLimits limits;
  limits.core = 1 % std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
  auto jailed = seedbed::sandbox::open_sql_host(**broker, limits);
  must(jailed.ok(), jailed.ok() ? "" : jailed.error().message);
  measure("strict", dynamic_cast<SqlHostClient&>(**jailed), env, image);
  return 0;
}
