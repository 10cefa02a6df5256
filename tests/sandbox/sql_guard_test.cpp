// What hostile tools and images may not do, and that the host stays usable after each.
#include <chrono>

#include "tests/sandbox/sql_testing.h"

namespace seedbed::sandbox {
namespace {

using schemas::End;

constexpr const char* kState =
    "CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT NOT NULL) STRICT; CREATE VIEW w AS SELECT k FROM "
    "t;"
    "INSERT INTO t VALUES(1,'a'),(2,'b');";

class SqlGuard : public SqlHostTest {
 protected:
  std::string refused(schemas::ProgramStep step) {
    return refusal(kState, {{"bad", "", "", {std::move(step)}}});
  }
  std::string refused_result(const std::string& sql) {
    return refusal(kState, {{"bad", "", "", {}, sql}});
  }
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(SqlGuard, StatementsOutsideTheListAreRefusedAtLoadByName) {
  const struct {
    const char* sql;
    const char* why;
  } rows[] = {
      {"ATTACH ':memory:' AS other", "ATTACH is not allowed"},
      {"DETACH main", "DETACH is not allowed"},
      {"PRAGMA writable_schema=ON", "PRAGMA is not allowed"},
      {"PRAGMA user_version=7", "PRAGMA is not allowed"},
      {"CREATE TABLE x(k INTEGER PRIMARY KEY)", "CREATE is not allowed"},
      {"CREATE TEMP TABLE x(k INTEGER PRIMARY KEY)", "CREATE is not allowed"},
      {"CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END", "CREATE is not allowed"},
      {"CREATE VIRTUAL TABLE f USING fts5(x)", "CREATE is not allowed"},
      {" /* x */ ; drop TABLE t", "DROP is not allowed"},
      {"ALTER TABLE t RENAME TO u", "ALTER is not allowed"},
      {"CREATE INDEX i ON t(v)", "CREATE is not allowed"},
      {"REINDEX t", "REINDEX is not allowed"},
      {"ANALYZE", "ANALYZE is not allowed"},
      {"VACUUM", "VACUUM is not allowed"},
      {"VACUUM INTO 'x'", "VACUUM is not allowed"},
      {"BEGIN", "BEGIN is not allowed"},
      {"COMMIT", "COMMIT is not allowed"},
      {"END", "END is not allowed"},
      {"SAVEPOINT s", "SAVEPOINT is not allowed"},
      {"RELEASE episode", "RELEASE is not allowed"},
      {"EXPLAIN DELETE FROM t", "EXPLAIN is not allowed"},
      {"ROLLBACK", "ROLLBACK is not allowed"},
      {"INSERT OR ROLLBACK INTO t VALUES(1, 'x')", "rollback is not allowed"},
      {"UPDATE sqlite_schema SET sql = ''", "sqlite_"},
      {"DELETE FROM sqlite_schema", "sqlite_"},
      {"INSERT INTO t VALUES(9, random())", "random is not allowed"},
      {"INSERT INTO t VALUES(9, current_timestamp)", "current_timestamp is not allowed"},
      {"INSERT INTO t VALUES(9, datetime('now'))", "datetime() is not in the list"},
  };
  for (const auto& row : rows) {
    const auto said = refused(run(row.sql));
    EXPECT_TRUE(has(said, row.why) && has(said, "'bad/steps/0/run'")) << row.sql << "\n  " << said;
  }
}

TEST_F(SqlGuard, FunctionsAndTablesOutsideTheListAreRefused) {
  for (const char* call : {"random()",
                           "randomblob(4)",
                           "zeroblob(900000000)",
                           "avg(k)",
                           "total(k)",
                           "round(k)",
                           "date('now')",
                           "time('now')",
                           "julianday('now')",
                           "strftime('%s','now')",
                           "unixepoch()",
                           "last_insert_rowid()",
                           "changes()",
                           "total_changes()",
                           "load_extension('x.so')",
                           "sqlite_version()",
                           "sqlite_compileoption_get(1)",
                           "fts3_tokenizer('x')",
                           "readfile('/etc/passwd')",
                           "writefile('x','y')",
                           "sqrt(2)",
                           "pi()",
                           "current_date",
                           "current_time"}) {
    const auto said = refused_result(std::string("SELECT ") + call + " AS x FROM t");
    EXPECT_TRUE(has(said, "not in the list") || has(said, "is not allowed") ||
                has(said, "no such function"))
        << call << "\n  " << said;
  }
  for (const char* table : {"sqlite_schema", "sqlite_master", "pragma_table_info('t')",
                            "pragma_database_list", "dbstat", "sqlite_stmt", "pragma_function_list",
                            "temp.sqlite_schema", "generate_series(1,2)"}) {
    for (const char* what : {"*", "count(*)", "1"}) {
      const auto said = refused_result(std::string("SELECT ") + what + " AS x FROM " + table);
      EXPECT_NE(said, "loaded") << what << " from " << table;
      EXPECT_TRUE(has(said, "'bad/result'")) << table << "\n  " << said;
    }
  }
}

TEST_F(SqlGuard, OrdinaryQueriesPass) {
  load(kState,
       {{"cte",
         "",
         "",
         {},
         "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 10) SELECT "
         "count(*) AS n FROM r"},
        {"view", "", "", {}, "SELECT count(*) AS n FROM w"},
        {"window",
         "",
         "",
         {},
         "SELECT k, row_number() OVER (ORDER BY v DESC) AS r FROM t ORDER BY r",
         schemas::Shape::rows},
        {"each", R"({"a":{"type":"array"}})", "", {}, "SELECT count(*) AS n FROM json_each(:a)"},
        {"id",
         "",
         "",
         {},
         "SELECT printf('%s%04d', 'B-', 7) AS id, format('%d', 3) AS f, upper('x') || lower('Y') "
         "AS u"},
        {"exists",
         "",
         "",
         {},
         "SELECT EXISTS (SELECT 1 FROM t WHERE v LIKE '%a%') AS e, json_extract('{\"a\":[5]}', "
         "'$.a[0]') AS j, '{\"a\":1}' ->> 'a' AS p"}});
  EXPECT_EQ(out("cte"), R"({"n":10})");
  EXPECT_EQ(out("view"), R"({"n":2})");
  EXPECT_EQ(out("window"), R"({"items":[{"k":2,"r":1},{"k":1,"r":2}]})");
  EXPECT_EQ(out("each", R"({"a":[1,2,3]})"), R"({"n":3})");
  EXPECT_EQ(out("id"), R"({"id":"B-0007","f":"3","u":"Xy"})");
  EXPECT_EQ(out("exists"), R"({"e":1,"j":5,"p":1})");
}

TEST_F(SqlGuard, PrintfIsBoundedAndOtherwiseSqlites) {
  load(
      kState,
      {{"printf", R"({"f":{"type":"string"},"n":{}})", "", {}, "SELECT printf(:f, :n, 'x') AS p"}});
  for (const char* args :
       {R"({"f":"%.*c","n":900000000})", R"({"f":"%*d","n":900000000})", R"({"f":"%900000000d"})",
        R"({"f":"%.900000000c"})", R"({"f":"%0*d","n":2000000000})", R"({"f":"%-1001s"})",
        R"({"f":"%f","n":1})", R"({"f":"%e","n":1})", R"({"f":"%"})",
        R"({"f":"%99999999999999999999d"})"}) {
    const auto start = std::chrono::steady_clock::now();
    const auto r = call("printf", args);
    EXPECT_EQ(r.end, End::tool_error) << args << r.out;
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(100)) << args;
  }
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(":memory:", &db), SQLITE_OK);
  sqlite3_stmt* own = nullptr;
  ASSERT_EQ(sqlite3_prepare_v2(db, "SELECT printf(?1, ?2, 'x')", -1, &own, nullptr), SQLITE_OK);
  for (const std::string format :
       {"%s%04d", "a%%b%d",   "%d", "%5d|",     "%-5d|",  "%05d",   "%+d",  "% d",
        "%,d",    "%x %X %o", "%u", "%s",       "%10s|",  "%-10s|", "%.2s", "%!.2s",
        "%q",     "%Q",       "%w", "%c",       "%i",     "%08.3d", "%.0d", "%*s",
        "%#x",    "plain",    "",   "%d %s %d", "%ld%lld"}) {
    for (const std::string n :
         {"0", "7", "-12345", "1234567", "\"text\"", "\"it's\"", "\"\u00e9\u00e8z\"", "null"}) {
      if (format == "%*s" && n.size() > 4 && n[0] != '"') continue;  // wider than ours allows
      const auto v = json(n);
      sqlite3_bind_text(own, 1, format.c_str(), -1, SQLITE_TRANSIENT);
      if (v.is_int())
        sqlite3_bind_int64(own, 2, v.as_int());
      else if (v.is_string())
        sqlite3_bind_text(own, 2, v.as_string().c_str(), -1, SQLITE_TRANSIENT);
      else
        sqlite3_bind_null(own, 2);
      ASSERT_EQ(sqlite3_step(own), SQLITE_ROW);
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(own, 0));
      schemas::Value args = schemas::Value::object();
      args.set("f", format).set("n", v);
      const auto got = host_->call({"printf", args}, 1000);
      ASSERT_TRUE(got.ok());
      const auto parsed = json(got->out);
      ASSERT_NE(parsed.find("p"), nullptr) << format << " of " << n << got->out;
      const bool cuts_a_letter =
          format == "%.2s" &&
          n.find("u00e9") != std::string::npos;  // both cut bytes; a result is UTF-8
      EXPECT_TRUE(cuts_a_letter || parsed.text("p") == (text == nullptr ? "" : text))
          << format << " of " << n << ": " << got->out;
      sqlite3_reset(own);
    }
  }
  sqlite3_finalize(own);
  sqlite3_close(db);
}

TEST_F(SqlGuard, TextsOverOneMebibyteAreDenied) {
  load(kState,
       {{"grow",
         "",
         "",
         {},
         "WITH RECURSIVE r(s) AS (SELECT 'xxxxxxxx' UNION ALL SELECT s || s FROM r) SELECT "
         "length(s) AS n FROM r ORDER BY n DESC"},
        {"replace",
         "",
         "",
         {},
         "SELECT length(replace(hex(printf('%1000d', 1)), '2', hex(printf('%1000d', 1)))) AS n"},
        {"ok", "", "", {}, "SELECT count(*) AS n FROM t"}});
  EXPECT_EQ(call("grow").end, End::denied);
  EXPECT_EQ(call("replace").end, End::denied);
  EXPECT_EQ(out("ok"), R"({"n":2})");
}

TEST_F(SqlGuard, EndlessReadEndsAsTimedOutAndTheEpisodeGoesOn) {
  load(kState,
       {{"loop",
         "",
         "",
         {},
         "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) AS n "
         "FROM r"},
        {"write", "", "", {run("UPDATE t SET v = v || '!'")}, "SELECT group_concat(v) AS v FROM t"},
        {"read", "", "", {}, "SELECT group_concat(v) AS v FROM t"}});
  EXPECT_EQ(out("write"), R"({"v":"a!,b!"})");
  const auto r = call("loop");
  EXPECT_EQ(r.end, End::timed_out);
  EXPECT_TRUE(has(r.out, "timed_out")) << r.out;
  EXPECT_EQ(out("read"), R"({"v":"a!,b!"})");
  EXPECT_EQ(changes().size(), 2U);
}

TEST_F(SqlGuard, AShortWallTimeEndsTheCall) {
  load(kState, {{"loop",
                 "",
                 "",
                 {},
                 "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) "
                 "AS n FROM r"}});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(call("loop", "{}", 50).end, End::timed_out);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(400));
}

// SQLite gives up the whole transaction when a writing statement is interrupted: the episode before
// it must come back.
TEST_F(SqlGuard, EndlessWriteIsUndoneAloneAndEarlierCallsStay) {
  load(kState,
       {{"loop",
         "",
         "",
         {run("INSERT INTO t WITH RECURSIVE r(n) AS (SELECT 10 UNION ALL SELECT n + 0 FROM r) "
              "SELECT n, 'x' FROM r WHERE n > 10")}},
        {"flood",
         "",
         "",
         {run("INSERT INTO t WITH RECURSIVE r(n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM r) "
              "SELECT n, 'x' FROM r")}},
        {"fat",
         "",
         "",
         {run("INSERT INTO t WITH RECURSIVE r(n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM r LIMIT "
              "4000) SELECT n, replace(printf('%1000d', 1), ' ', printf('%100d', 1)) FROM r")}},
        {"write",
         "",
         "",
         {run("UPDATE t SET v = v || '!'")},
         "SELECT group_concat(v) AS v FROM t"}});
  EXPECT_EQ(out("write"), R"({"v":"a!,b!"})");
  EXPECT_EQ(out("write"), R"({"v":"a!!,b!!"})");
  const auto before = digest();
  EXPECT_EQ(call("loop").end, End::timed_out);
  EXPECT_EQ(digest(), before);
  const auto flood = call("flood");
  EXPECT_TRUE(flood.end == End::denied) << flood.out;
  EXPECT_EQ(digest(), before);
  const auto fat = call("fat");
  EXPECT_TRUE(fat.end == End::denied || fat.end == End::out_of_memory) << fat.out;
  EXPECT_EQ(digest(), before);
  EXPECT_GE(stat("rebuilt"), 1);
  EXPECT_EQ(out("write"), R"({"v":"a!!!,b!!!"})");
  const auto all = changes();
  ASSERT_EQ(all.size(), 6U);
  EXPECT_EQ(all.back().call, 5);
  reset();
  EXPECT_EQ(digest(), env_.image_hash);
  EXPECT_EQ(out("write"), R"({"v":"a!,b!"})");
}

TEST_F(SqlGuard, MemoryIsBoundedAndTheEpisodeSurvives) {
  load(kState, {{"hog",
                 "",
                 "",
                 {},
                 "WITH RECURSIVE r(n, s) AS (SELECT 1, replace(printf('%1000d', 1), ' ', "
                 "printf('%100d', 1)) UNION ALL SELECT n + 1, s FROM r LIMIT 20000)"
                 " SELECT count(*) AS n FROM (SELECT n, s || n AS s FROM r ORDER BY s DESC)"},
                {"write",
                 "",
                 "",
                 {run("UPDATE t SET v = v || '!'")},
                 "SELECT group_concat(v) AS v FROM t"}});
  EXPECT_EQ(out("write"), R"({"v":"a!,b!"})");
  const auto r = call("hog", "{}", 20000);
  EXPECT_EQ(r.end, End::out_of_memory) << r.out;
  EXPECT_EQ(out("write"), R"({"v":"a!!,b!!"})");
  EXPECT_LT(stat("heap_bytes"), 8 << 20);
}

TEST_F(SqlGuard, ImagesThatHideWritesOrCodeAreRefused) {
  const std::vector<ToolSpec> none;
  const auto says = [&](const std::string& sql, const std::string& part) {
    const auto said = refusal(sql, none);
    EXPECT_TRUE(has(said, part)) << sql << "\n  " << said;
  };
  says("CREATE TABLE nokey(a TEXT)", "'nokey': table without a NOT NULL primary key");
  says("CREATE TABLE maybe(a TEXT PRIMARY KEY)", "'maybe': table without a NOT NULL primary key");
  says("CREATE TABLE half(a TEXT NOT NULL, b TEXT, PRIMARY KEY(a, b))",
       "'half': table without a NOT NULL primary key");
  says("CREATE TABLE down(a INTEGER PRIMARY KEY DESC)",
       "'down': table without a NOT NULL primary key");
  says("CREATE TABLE gen(a INTEGER PRIMARY KEY, b INT AS (a + 1))", "column 'b' is generated");
  says("CREATE TABLE auto(a INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO auto DEFAULT VALUES",
       "AUTOINCREMENT");
  says(
      "CREATE TABLE t(a INTEGER PRIMARY KEY); CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM "
      "t; END",
      "'g': a trigger");
  says("CREATE VIRTUAL TABLE f USING fts5(x)", "a virtual table");
  says("CREATE TABLE t(a INTEGER PRIMARY KEY, at TEXT DEFAULT CURRENT_TIMESTAMP)",
       "current_timestamp");
  says("CREATE TABLE t(a INTEGER PRIMARY KEY ON CONFLICT ROLLBACK)", "rollback");
  for (const char* fine :
       {"CREATE TABLE t(a INTEGER PRIMARY KEY)", "CREATE TABLE t(a TEXT PRIMARY KEY) STRICT",
        "CREATE TABLE t(a TEXT, b INT, PRIMARY KEY(a, b)) WITHOUT ROWID",
        "CREATE TABLE t(a TEXT NOT NULL, b INT NOT NULL, PRIMARY KEY(a, b)); CREATE INDEX i ON "
        "t(b)"})
    EXPECT_EQ(refusal(fine, none), "loaded") << fine;
}

TEST_F(SqlGuard, DamagedForeignAndMismatchedImagesAreRefused) {
  const auto good = image_of(kState);
  schemas::Environment env;
  const auto says = [&](const std::string& image, const std::string& part) {
    const auto e = host_->load(env, image);
    EXPECT_TRUE(e.has_value() && e->where == Where::tool && has(e->message, part))
        << part << (e ? e->message : " loaded");
  };
  says("", "0 bytes");
  says("hello", "no SQLite database");
  says(good.substr(0, good.size() - 100), "page size and length");
  says(good.substr(0, 4096), "");
  auto wal = good;
  wal[18] = wal[19] = 2;
  says(wal, "WAL mode");
  env.image_hash = std::string(32, '0');
  says(good, "the bytes have the hash " + content_hash(good));
  env.image_hash.clear();
  // Damage anywhere is refused or harmless, and never ends the host.
  for (std::size_t at = 0; at < good.size(); at += 97) {
    auto bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x55);
    const auto e = host_->load(env, bad);
    ASSERT_TRUE(!e.has_value() || e->where == Where::tool) << at << e->message;
  }
  EXPECT_FALSE(host_->load(env, good).has_value());
}

TEST_F(SqlGuard, ToolsWithBadSchemasOrNamesAreRefused) {
  load(kState, {});
  auto tool = make_tool({"a", "", "", {}, "SELECT 1 AS x"});
  env_.tools = {tool, tool};
  auto e = host_->load(env_, image_);
  ASSERT_TRUE(e.has_value());
  EXPECT_TRUE(has(e->message, "a second one of this name")) << e->message;
  tool.input = json(R"({"type":"object","properties":{"x":{"pattern":"("}}})");
  env_.tools = {tool};
  e = host_->load(env_, image_);
  ASSERT_TRUE(e.has_value());
  EXPECT_TRUE(has(e->message, "'a/input'")) << e->message;
  tool.input = json(R"({"type":"object","properties":{"now":{}}})");
  env_.tools = {tool};
  e = host_->load(env_, image_);
  ASSERT_TRUE(e.has_value());
  EXPECT_TRUE(has(e->message, "'now' is a reserved name")) << e->message;
}

}  // namespace
}  // namespace seedbed::sandbox
