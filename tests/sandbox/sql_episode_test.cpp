// Episodes: exact reset, what is recorded, and that a play is the same as its calls one by one.
#include <algorithm>
#include <functional>
#include <map>

#include "base/rng.h"
#include "tests/sandbox/sql_testing.h"

namespace seedbed::sandbox {
namespace {

using schemas::End;
using schemas::RowChange;
using schemas::Scalar;

constexpr const char* kBank =
    "CREATE TABLE account(id TEXT PRIMARY KEY NOT NULL, owner TEXT NOT NULL, cents INT NOT NULL "
    "CHECK(cents >= 0)) STRICT;"
    "CREATE TABLE entry(account TEXT NOT NULL, seq INT NOT NULL, cents INT NOT NULL, note TEXT, "
    "PRIMARY KEY(account, seq)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE counter(name TEXT PRIMARY KEY NOT NULL, n INT NOT NULL) STRICT;"
    "CREATE INDEX by_owner ON account(owner);"
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 300)"
    " INSERT INTO account SELECT printf('A%03d', n), printf('P%02d', n % 40), n * 10 FROM r;"
    "INSERT INTO entry SELECT id, 1, cents, NULL FROM account;"
    "INSERT INTO counter VALUES('entry', 2);";

std::vector<ToolSpec> bank_tools() {
  const char* id = R"({"id":{"type":"string"},"cents":{"type":"integer"},"to":{"type":"string"}})";
  return {
      {"get", id, "", {}, "SELECT id, owner, cents FROM account WHERE id = :id"},
      {"list",
       R"({"offset":{"type":"integer","minimum":0}})",
       "",
       {},
       "SELECT id, cents FROM account ORDER BY id LIMIT :page_limit OFFSET :page_offset",
       schemas::Shape::rows,
       7},
      {"pay",
       id,
       R"(["id","to","cents"])",
       {require("SELECT 1 FROM account WHERE id = :id", "not_found", "no account {id}"),
        let("n", "SELECT n FROM counter WHERE name = 'entry'"), run("UPDATE counter SET n = n + 1"),
        run("INSERT INTO entry VALUES(:id, :n, -:cents, NULL)"),
        run("UPDATE account SET cents = cents - :cents WHERE id = :id"),
        require("SELECT 1 FROM account WHERE id = :to", "not_found", "no account {to}"),
        run("UPDATE account SET cents = cents + :cents WHERE id = :to")},
       "SELECT id, cents FROM account WHERE id IN (:id, :to) ORDER BY id",
       schemas::Shape::rows},
      {"close",
       id,
       R"(["id"])",
       {run("DELETE FROM entry WHERE account = :id"), run("DELETE FROM account WHERE id = :id")}},
      {"rename",
       id,
       R"(["id","to"])",
       {run("UPDATE account SET id = :to WHERE id = :id"),
        run("UPDATE entry SET account = :to WHERE account = :id")}},
      {"fee",
       R"({"cents":{"type":"integer"}})",
       "",
       {each("SELECT id, cents AS had FROM account WHERE cents > 2500 ORDER BY id",
             {"UPDATE account SET cents = :had - :cents WHERE id = :id"})}},
      {"wipe", "", "", {run("DELETE FROM entry")}, "SELECT count(*) AS n FROM entry"},
      {"put", id, R"(["id"])", {run("INSERT OR REPLACE INTO account VALUES(:id, 'new', 1)")}},
      {"upsert",
       id,
       R"(["id"])",
       {run("INSERT INTO account VALUES(:id, 'new', 5) ON CONFLICT(id) DO UPDATE SET cents = cents "
            "+ 5")}},
      {"there_and_back",
       id,
       R"(["id"])",
       {run("UPDATE account SET cents = cents + 1 WHERE id = :id"),
        run("UPDATE account SET cents = cents - 1 WHERE id = :id"),
        run("INSERT INTO counter VALUES('tmp', 1)"),
        run("DELETE FROM counter WHERE name = 'tmp'")}},
      {"spin",
       "",
       "",
       {run("INSERT INTO counter WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 0 FROM r) "
            "SELECT 'x', n FROM r WHERE n > 10")}},
  };
}

class SqlEpisode : public SqlHostTest {
 protected:
  void SetUp() override {
    SqlHostTest::SetUp();
    load(kBank, bank_tools());
  }
};

Scalar text(const char* s) {
  return std::string(s);
}
Scalar number(std::int64_t n) {
  return n;
}

TEST_F(SqlEpisode, ResetGivesTheImagesBytesAThousandTimesAndPreparesNothingAgain) {
  Rng rng(7);
  std::int64_t heap = 0;
  for (int episode = 0; episode < 1000; ++episode) {
    ASSERT_EQ(digest(), env_.image_hash) << episode;
    const auto id = "\"A" + std::to_string(100 + rng.below(200)) + "\"";
    switch (rng.below(6)) {
      case 0:
        call("close", "{\"id\":" + id + "}");
        break;
      case 1:
        call("pay", "{\"id\":" + id + ",\"to\":\"A001\",\"cents\":3}");
        break;
      case 2:
        call("fee", R"({"cents":7})");
        break;
      case 3:
        call("wipe");
        break;
      case 4:
        call("rename", "{\"id\":" + id + ",\"to\":\"Z\"}");
        break;
      default:
        call("pay", "{\"id\":" + id + ",\"to\":\"nobody\",\"cents\":3}");
        break;
    }
    call("get", "{\"id\":" + id + "}");
    if (episode % 3 == 0) call("put", "{\"id\":" + id + "}");
    if (episode == 3) {
      ASSERT_NE(digest(), env_.image_hash);
    }
    reset();
    if (episode == 100) heap = stat("heap_bytes");
  }
  EXPECT_EQ(stat("reprepared"), 0);
  EXPECT_EQ(stat("rebuilt"), 0);
  EXPECT_EQ(stat("resets"), 1000);
  EXPECT_LE(stat("heap_bytes"), heap + (64 << 10));
}

TEST_F(SqlEpisode, ADeleteOfAllRowsIsRecordedRowByRow) {
  EXPECT_EQ(out("wipe"), R"({"n":0})");
  const auto all = changes();
  ASSERT_EQ(all.size(), 300U);
  EXPECT_EQ(all[0], (RowChange{0, "entry", {text("A001"), number(1), number(10), Scalar()}, {}}));
}

TEST_F(SqlEpisode, ChangesAreNettedByCallAndSortedByTableAndKey) {
  call("get", R"({"id":"A001"})");                          // call 0 writes nothing
  call("pay", R"({"id":"A002","to":"A001","cents":5})");    // call 1
  call("pay", R"({"id":"A002","to":"nobody","cents":5})");  // call 2 is undone
  call("there_and_back", R"({"id":"A001"})");               // call 3 nets to nothing
  call("nonsense");                                         // call 4
  call("pay", R"({"id":5})");                               // call 5
  call("put", R"({"id":"A003"})");              // call 6: REPLACE of a row that was there
  call("upsert", R"({"id":"A003"})");           // call 7
  call("rename", R"({"id":"A004","to":"Y"})");  // call 8: a changed key is a delete and an insert
  const std::vector<RowChange> wanted = {
      {1,
       "account",
       {text("A001"), text("P01"), number(10)},
       {text("A001"), text("P01"), number(15)}},
      {1,
       "account",
       {text("A002"), text("P02"), number(20)},
       {text("A002"), text("P02"), number(15)}},
      {1, "counter", {text("entry"), number(2)}, {text("entry"), number(3)}},
      {1, "entry", {}, {text("A002"), number(2), number(-5), Scalar()}},
      {6,
       "account",
       {text("A003"), text("P03"), number(30)},
       {text("A003"), text("new"), number(1)}},
      {7,
       "account",
       {text("A003"), text("new"), number(1)},
       {text("A003"), text("new"), number(6)}},
      {8, "account", {text("A004"), text("P04"), number(40)}, {}},
      {8, "account", {}, {text("Y"), text("P04"), number(40)}},
      {8, "entry", {text("A004"), number(1), number(40), Scalar()}, {}},
      {8, "entry", {}, {text("Y"), number(1), number(40), Scalar()}},
  };
  const auto got = changes();
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(got[i], wanted[i]) << i;
  reset();
  EXPECT_TRUE(changes().empty());
}

TEST_F(SqlEpisode, ACallThatFailsLeavesNothing) {
  const auto before = digest();
  EXPECT_EQ(call("pay", R"({"id":"A002","to":"nobody","cents":5})").end, End::tool_error);
  EXPECT_EQ(call("pay", R"({"id":"A002","to":"A001","cents":500000})").end,
            End::tool_error);  // CHECK
  EXPECT_EQ(digest(), before);
  EXPECT_TRUE(changes().empty());
}

// ---- the recorded changes are all that happened ----

std::vector<std::string> all_rows(sqlite3* db) {
  std::vector<std::string> rows;
  for (const char* sql : {"SELECT 'account', id, owner, cents FROM account",
                          "SELECT 'entry', account, seq, cents, coalesce(note, '-') FROM entry",
                          "SELECT 'counter', name, n FROM counter"}) {
    sqlite3_stmt* s = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db, sql, -1, &s, nullptr), SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW) {
      std::string row;
      for (int i = 0; i < sqlite3_column_count(s); ++i)
        row += std::string(reinterpret_cast<const char*>(sqlite3_column_text(s, i))) + "|";
      rows.push_back(row);
    }
    sqlite3_finalize(s);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

void bind_row(sqlite3_stmt* s, const std::vector<Scalar>& row) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    const int at = static_cast<int>(i) + 1;
    if (const auto* n = std::get_if<std::int64_t>(&row[i]))
      sqlite3_bind_int64(s, at, *n);
    else if (const auto* t = std::get_if<std::string>(&row[i]))
      sqlite3_bind_text(s, at, t->data(), static_cast<int>(t->size()), SQLITE_TRANSIENT);
    else
      sqlite3_bind_null(s, at);
  }
}

void apply(sqlite3* db, const RowChange& c) {
  static const std::map<std::string, std::pair<std::string, std::string>> kSql = {
      {"account",
       {"DELETE FROM account WHERE id IS ?1 AND owner IS ?2 AND cents IS ?3",
        "INSERT INTO account VALUES(?1,?2,?3)"}},
      {"entry",
       {"DELETE FROM entry WHERE account IS ?1 AND seq IS ?2 AND cents IS ?3 AND note IS ?4",
        "INSERT INTO entry VALUES(?1,?2,?3,?4)"}},
      {"counter",
       {"DELETE FROM counter WHERE name IS ?1 AND n IS ?2", "INSERT INTO counter VALUES(?1,?2)"}}};
  for (const bool insert : {false, true}) {
    const auto& row = insert ? c.after : c.before;
    if (row.empty()) continue;
    sqlite3_stmt* s = nullptr;
    ASSERT_EQ(
        sqlite3_prepare_v2(db, (insert ? kSql.at(c.table).second : kSql.at(c.table).first).c_str(),
                           -1, &s, nullptr),
        SQLITE_OK);
    bind_row(s, row);
    ASSERT_EQ(sqlite3_step(s), SQLITE_DONE) << sqlite3_errmsg(db);
    ASSERT_EQ(sqlite3_changes(db), 1) << c.table;
    sqlite3_finalize(s);
  }
}

schemas::ToolCall random_call(Rng& rng, bool with_spin) {
  const auto id = [&] {
    return rng.chance(1, 8) ? std::string("Q") : "A" + std::to_string(290 + rng.below(15));
  };
  schemas::Value args = schemas::Value::object();
  switch (rng.below(with_spin ? 41 : 40) / 4) {
    case 0:
      args.set("id", id());
      return {"get", args};
    case 1:
      args.set("offset", static_cast<std::int64_t>(rng.below(3) * 7));
      return {"list", args};
    case 2:
    case 3:
      args.set("id", id()).set("to", id()).set("cents", rng.between(1, 2000));
      return {"pay", args};
    case 4:
      args.set("id", id());
      return {"close", args};
    case 5:
      args.set("id", id()).set("to", id());
      return {"rename", args};
    case 6:
      args.set("cents", rng.between(0, 3));
      return {"fee", args};
    case 7:
      args.set("id", id());
      return {rng.chance(1, 2) ? "put" : "upsert", args};
    case 8:
      args.set("id", id());
      return {"there_and_back", args};
    case 9:
      args.set("id", rng.chance(1, 2) ? schemas::Value(5) : schemas::Value("A001"));
      return {rng.chance(1, 3) ? "getz" : "get", args};
    default:
      return {"spin", args};
  }
}

TEST_F(SqlEpisode, TheRecordedChangesLeadFromTheImageToTheState) {
  Rng rng(11);
  for (int episode = 0; episode < 60; ++episode) {
    for (int i = 0; i < 15; ++i) {
      const auto r = host_->call(random_call(rng, false), 5000);
      ASSERT_TRUE(r.ok());
    }
    // The state as the host shows it: every account through its pages.
    std::vector<std::string> shown;
    for (std::int64_t offset = 0;;) {
      const auto page = json(out("list", "{\"offset\":" + std::to_string(offset) + "}"));
      for (const auto& item : page.find("items")->items())
        shown.push_back(item.text("id") + "=" + std::to_string(item.integer("cents")));
      if (page.find("next_offset")->is_null()) break;
      offset = page.integer("next_offset");
    }
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(":memory:", &db), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(db, kBank, nullptr, nullptr, nullptr), SQLITE_OK);
    for (const auto& c : changes()) apply(db, c);
    std::vector<std::string> wanted;
    for (const auto& row : all_rows(db)) {
      const auto first = row.find('|');
      if (row.substr(0, first) != "account") continue;
      const auto id_end = row.find('|', first + 1);
      const auto cents = row.rfind('|', row.size() - 2);
      wanted.push_back(row.substr(first + 1, id_end - first - 1) + "=" +
                       row.substr(cents + 1, row.size() - cents - 2));
    }
    sqlite3_close(db);
    ASSERT_EQ(shown, wanted) << episode;
    reset();
  }
}

// ---- plays ----

class SqlPlay : public SqlEpisode {
 protected:
  void same_as_calls(const std::vector<std::vector<schemas::ToolCall>>& plans) {
    auto played = host_->play(plans, 60'000);
    ASSERT_TRUE(played.ok()) << played.error().message;
    EXPECT_EQ(digest(), env_.image_hash);  // leaves the host reset
    ASSERT_EQ(played->size(), plans.size());
    for (std::size_t i = 0; i < plans.size(); ++i) {
      reset();
      ASSERT_EQ((*played)[i].results.size(), plans[i].size());
      for (std::size_t k = 0; k < plans[i].size(); ++k) {
        auto r = host_->call(plans[i][k], 60'000);
        ASSERT_TRUE(r.ok());
        EXPECT_EQ(static_cast<int>(r->end), static_cast<int>((*played)[i].results[k].end))
            << i << " " << k;
        EXPECT_EQ(r->out, (*played)[i].results[k].out) << i << " " << k;
      }
      EXPECT_EQ(changes(), (*played)[i].changes) << i;
    }
    reset();
  }
};

TEST_F(SqlPlay, APlayIsTheSameAsItsCallsOneByOne) {
  Rng rng(3);
  for (int round = 0; round < 25; ++round) {
    std::vector<std::vector<schemas::ToolCall>> plans;
    for (std::size_t i = 0; i < 12; ++i) {
      std::vector<schemas::ToolCall> plan;
      if (!plans.empty()) {  // share a prefix with an earlier plan, of any length
        const auto& other = plans[static_cast<std::size_t>(rng.below(plans.size()))];
        plan.assign(other.begin(),
                    other.begin() + static_cast<std::ptrdiff_t>(rng.below(other.size() + 1)));
      }
      const auto more = rng.below(6);
      for (std::uint64_t k = 0; k < more; ++k) plan.push_back(random_call(rng, false));
      plans.push_back(std::move(plan));
    }
    same_as_calls(plans);
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(stat("reprepared"), 0);
}

TEST_F(SqlPlay, AnInterruptedWriteInABranchLeavesTheOtherBranchesAsTheyAre) {
  const auto pay = [](const char* from, std::int64_t cents) {
    schemas::Value args = schemas::Value::object();
    args.set("id", from).set("to", "A001").set("cents", cents);
    return schemas::ToolCall{"pay", args};
  };
  const schemas::ToolCall spin{"spin", schemas::Value::object()};
  same_as_calls({{pay("A100", 1), pay("A101", 2), spin, pay("A102", 3)},
                 {pay("A100", 1), pay("A101", 2), pay("A103", 4), spin, pay("A104", 5)},
                 {pay("A100", 1), pay("A105", 6)},
                 {spin, pay("A106", 7)},
                 {pay("A107", 8)}});
  EXPECT_GE(stat("rebuilt"), 3);
}

TEST_F(SqlPlay, EmptyAndEqualPlansAndAFullBatch) {
  schemas::Value args = schemas::Value::object();
  args.set("id", "A001");
  const schemas::ToolCall close{"close", args};
  same_as_calls({});
  same_as_calls({{}, {close}, {close}, {}, {close, close}});
  std::vector<std::vector<schemas::ToolCall>> many;
  Rng rng(5);
  for (int i = 0; i < 300; ++i) many.push_back({random_call(rng, false), random_call(rng, false)});
  auto played = host_->play(many, 60'000);
  ASSERT_TRUE(played.ok()) << played.error().message;
  EXPECT_EQ(played->size(), 300U);
}

TEST_F(SqlPlay, APlayOutOfTimeIsAnErrorAndTheHostGoesOn) {
  std::vector<std::vector<schemas::ToolCall>> plans(200, {{"spin", schemas::Value::object()}});
  for (std::size_t i = 0; i < plans.size(); ++i)
    plans[i].insert(plans[i].begin(), {"list", json("{\"offset\":" + std::to_string(i) + "}")});
  auto played = host_->play(plans, 300);
  ASSERT_FALSE(played.ok());
  EXPECT_EQ(played.error().where, Where::sandbox);
  EXPECT_NE(played.error().message.find("ran out"), std::string::npos) << played.error().message;
  EXPECT_EQ(digest(), env_.image_hash);
  EXPECT_EQ(call("get", R"({"id":"A001"})").end, End::ok);
}

}  // namespace
}  // namespace seedbed::sandbox
