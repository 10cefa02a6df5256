// A program's meaning: let, require, run, each, when; binding; results, pages, messages.
#include "tests/sandbox/sql_testing.h"

namespace seedbed::sandbox {
namespace {

using schemas::End;

constexpr const char* kShop =
    "CREATE TABLE item(id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, price INT NOT NULL, note "
    "TEXT) STRICT;"
    "CREATE TABLE sale(id INTEGER PRIMARY KEY, item TEXT NOT NULL, amount INT NOT NULL) STRICT;"
    "CREATE VIEW cheap AS SELECT id, price FROM item WHERE price < 30;"
    "INSERT INTO item "
    "VALUES('a','Apple',10,NULL),('b','Bread',25,'fresh'),('c','Coat',900,NULL),('d','Date',30,'x')"
    ",('e','Egg',5,'y');";

class SqlProgram : public SqlHostTest {};

TEST_F(SqlProgram, ObjectResultIsTheFirstRowInColumnOrderAndEmptyWhereNone) {
  load(kShop, {{"get",
                R"({"id":{"type":"string"}})",
                R"(["id"])",
                {},
                "SELECT id, price, note FROM item WHERE id = :id"}});
  EXPECT_EQ(out("get", R"({"id":"b"})"), R"({"id":"b","price":25,"note":"fresh"})");
  EXPECT_EQ(out("get", R"({"id":"a"})"), R"({"id":"a","price":10,"note":null})");
  EXPECT_EQ(call("get", R"({"id":"zz"})").out, "{}");
  EXPECT_EQ(call("get", R"({"id":"zz"})").end, End::ok);
}

TEST_F(SqlProgram, RowsResultIsItems) {
  load(kShop, {{"list", "", "", {}, "SELECT id FROM cheap ORDER BY id", schemas::Shape::rows}});
  EXPECT_EQ(out("list"), R"({"items":[{"id":"a"},{"id":"b"},{"id":"e"}]})");
}

TEST_F(SqlProgram, PagesFollowNextOffsetToTheEnd) {
  load(kShop, {{"list",
                R"({"offset":{"type":"integer","minimum":0}})",
                "",
                {},
                "SELECT id FROM item ORDER BY id LIMIT :page_limit OFFSET :page_offset",
                schemas::Shape::rows,
                2}});
  EXPECT_EQ(out("list"), R"({"items":[{"id":"a"},{"id":"b"}],"next_offset":2})");
  EXPECT_EQ(out("list", R"({"offset":2})"), R"({"items":[{"id":"c"},{"id":"d"}],"next_offset":4})");
  EXPECT_EQ(out("list", R"({"offset":4})"), R"({"items":[{"id":"e"}],"next_offset":null})");
  EXPECT_EQ(out("list", R"({"offset":3})"),
            R"({"items":[{"id":"d"},{"id":"e"}],"next_offset":null})");
  EXPECT_EQ(out("list", R"({"offset":99})"), R"({"items":[],"next_offset":null})");
  EXPECT_EQ(out("list", R"({"offset":2.0})"),
            R"({"items":[{"id":"c"},{"id":"d"}],"next_offset":4})");
}

TEST_F(SqlProgram, APagedToolMustUseItsLimitAndOffset) {
  const auto said = refusal(
      kShop, {{"list", "", "", {}, "SELECT id FROM item ORDER BY id", schemas::Shape::rows, 2}});
  EXPECT_NE(said.find("'list/result'"), std::string::npos) << said;
  EXPECT_NE(said.find(":page_limit"), std::string::npos) << said;
}

TEST_F(SqlProgram, LetBindsTheFirstColumnOfTheFirstRowOrNull) {
  load(kShop,
       {{"f",
         R"({"id":{"type":"string"}})",
         R"(["id"])",
         {let("p", "SELECT price, name FROM item WHERE id = :id"), let("twice", "SELECT :p * 2")},
         "SELECT :p AS p, :twice AS twice"}});
  EXPECT_EQ(out("f", R"({"id":"b"})"), R"({"p":25,"twice":50})");
  EXPECT_EQ(out("f", R"({"id":"none"})"), R"({"p":null,"twice":null})");
  EXPECT_EQ(out("f", R"({"id":"a"})"), R"({"p":10,"twice":20})");
}

TEST_F(SqlProgram, ALetMayShadowAnArgumentToGiveItsDefault) {
  load(kShop, {{"f",
                R"({"n":{"type":"integer"}})",
                "",
                {let("n", "SELECT coalesce(:n, 7)")},
                "SELECT :n AS n"}});
  EXPECT_EQ(out("f"), R"({"n":7})");
  EXPECT_EQ(out("f", R"({"n":3})"), R"({"n":3})");
}

TEST_F(SqlProgram, RequireEndsTheCallWithCodeAndMessageAndUndoesIt) {
  load(kShop, {{"buy",
                R"({"id":{"type":"string"},"n":{"type":"integer"}})",
                R"(["id","n"])",
                {run("INSERT INTO sale(item, amount) VALUES(:id, :n)"),
                 require("SELECT 1 FROM item WHERE id = :id", "not_found",
                         "no item {id} ({n} wanted) {unknown} {")},
                "SELECT count(*) AS sales FROM sale"}});
  const auto r = call("buy", R"({"id":"q","n":3})");
  EXPECT_EQ(r.end, End::tool_error);
  EXPECT_EQ(r.out,
            R"({"error":{"code":"not_found","message":"no item q (3 wanted) {unknown} {"}})");
  EXPECT_EQ(out("buy", R"({"id":"a","n":3})"), R"({"sales":1})");
}

TEST_F(SqlProgram, EachRunsItsBodyForRowsReadBeforeTheFirstWrite) {
  load(kShop, {{"sell",
                R"({"max":{"type":"integer"}})",
                R"(["max"])",
                {each("SELECT id, price FROM item WHERE price <= :max AND NOT EXISTS (SELECT 1 "
                      "FROM sale) ORDER BY id",
                      {"INSERT INTO sale(item, amount) VALUES(:id, :price)",
                       "UPDATE item SET price = price + :max WHERE id = :id"})},
                "SELECT count(*) AS n, sum(amount) AS total, (SELECT sum(price) FROM item) AS "
                "prices FROM sale"}});
  EXPECT_EQ(out("sell", R"({"max":30})"), R"({"n":4,"total":70,"prices":1090})");
}

TEST_F(SqlProgram, WhenSkipsAStepWhereTheLetIsNullOrZero) {
  load(kShop, {{"f",
                R"({"x":{"type":["integer","null"]}})",
                "",
                {let("go", "SELECT :x"), when("go", let("y", "SELECT 5")),
                 when("go", run("DELETE FROM item")),
                 when("go", require("SELECT 1 FROM sale", "none", "no sale"))},
                "SELECT :y AS y, (SELECT count(*) FROM item) AS n"}});
  EXPECT_EQ(call("f", R"({"x":1})").end, End::tool_error);
  EXPECT_EQ(out("f", R"({"x":0})"), R"({"y":null,"n":5})");
  EXPECT_EQ(out("f", R"({"x":null})"), R"({"y":null,"n":5})");
  EXPECT_EQ(out("f"), R"({"y":null,"n":5})");
}

TEST_F(SqlProgram, ArgumentsBindByKind) {
  load(
      kShop,
      {{"f",
        R"({"i":{"type":"integer"},"b":{"type":"boolean"},"s":{"type":"string"},"a":{"type":"array"},"o":{"type":"object"},"z":{}})",
        "",
        {},
        "SELECT :i AS i, typeof(:i) AS ti, :b AS b, :s AS s, :a AS a, :o AS o, :z AS z, :now AS "
        "now,"
        " (SELECT sum(value) FROM json_each(:a)) AS total"}});
  EXPECT_EQ(
      out("f", R"({"i":5.0,"b":true,"s":"q\u0000r","a":[1,2,39],"o":{"k":[true]}})"),
      R"({"i":5,"ti":"integer","b":1,"s":"q\u0000r","a":"[1,2,39]","o":"{\"k\":[true]}","z":null,"now":1000,"total":42})");
  EXPECT_EQ(
      out("f", R"({"b":false})"),
      R"({"i":null,"ti":"null","b":0,"s":null,"a":null,"o":null,"z":null,"now":1000,"total":null})");
}

TEST_F(SqlProgram, ArgumentsOutsideTheSchemaAreNamed) {
  load(kShop, {{"get",
                R"({"id":{"type":"string"},"n":{"type":"integer","minimum":1}})",
                R"(["id"])",
                {},
                "SELECT :id AS id, :n AS n"}});
  EXPECT_EQ(call("get", R"({"id":5})").end, End::tool_error);
  EXPECT_NE(call("get", R"({"id":5})").out.find(R"("code":"invalid_arguments")"),
            std::string::npos);
  EXPECT_NE(call("get", R"({"id":5})").out.find("argument 'id'"), std::string::npos);
  EXPECT_NE(call("get", R"({"id":"a","n":0})").out.find("argument 'n'"), std::string::npos);
  EXPECT_NE(call("get", R"({})").out.find("id"), std::string::npos);
  EXPECT_NE(call("get", R"({"id":"a","m":1})").out.find("m"), std::string::npos);
  EXPECT_NE(call("get", "[]").out.find("must be an object"), std::string::npos);
}

TEST_F(SqlProgram, AnUnknownToolNamesTheNearest) {
  load(kShop,
       {{"get_item", "", "", {}, "SELECT 1 AS x"}, {"list_items", "", "", {}, "SELECT 1 AS x"}});
  const auto r = call("get_itm");
  EXPECT_EQ(r.end, End::tool_error);
  EXPECT_EQ(
      r.out,
      R"({"error":{"code":"unknown_tool","message":"no tool 'get_itm'; did you mean 'get_item'?"}})");
}

TEST_F(SqlProgram, AConstraintEndsTheCallAndUndoesIt) {
  load(kShop, {{"add",
                R"({"id":{"type":"string"}})",
                R"(["id"])",
                {run("INSERT INTO sale(item, amount) VALUES('x', 1)"),
                 run("INSERT INTO item VALUES(:id, 'n', 1, NULL)")},
                "SELECT count(*) AS n FROM sale"}});
  const auto r = call("add", R"({"id":"a"})");
  EXPECT_EQ(r.end, End::tool_error);
  EXPECT_NE(r.out.find(R"("code":"constraint_failed")"), std::string::npos) << r.out;
  EXPECT_TRUE(changes().empty());
  EXPECT_EQ(digest(), env_.image_hash);
  EXPECT_EQ(out("add", R"({"id":"f"})"), R"({"n":1})");
}

TEST_F(SqlProgram, RealsAndBlobsAreDeniedInResultsAndInWrites) {
  load("CREATE TABLE loose(k TEXT PRIMARY KEY NOT NULL, v);",
       {{"real", "", "", {}, "SELECT 1.5 AS x"},
        {"blob", "", "", {}, "SELECT x'00ff' AS x"},
        {"let_real", "", "", {let("x", "SELECT 3 / 2.0")}, "SELECT 1 AS y"},
        {"write_real", "", "", {run("INSERT INTO loose VALUES('a', 0.5)")}},
        {"write_blob", "", "", {run("INSERT INTO loose VALUES('a', x'01')")}},
        {"write_text", "", "", {run("INSERT INTO loose VALUES('a', 'b')")}}});
  for (const char* tool : {"real", "blob", "let_real", "write_real", "write_blob"}) {
    const auto r = call(tool);
    EXPECT_EQ(r.end, End::denied) << tool << r.out;
    EXPECT_NE(r.out.find("real number or a blob"), std::string::npos) << r.out;
  }
  EXPECT_TRUE(changes().empty());
  EXPECT_EQ(digest(), env_.image_hash);
  EXPECT_EQ(call("write_text").end, End::ok);
}

TEST_F(SqlProgram, InvalidUtf8InAResultIsReplaced) {
  load(
      "CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, v TEXT);"
      "INSERT INTO t VALUES('a', CAST(x'41ff42c3a9e282f09f9880' AS TEXT)), ('b', CAST(x'c3' AS "
      "TEXT)), ('c', CAST(x'eda080' AS TEXT));",
      {{"get", "", "", {}, "SELECT v FROM t ORDER BY k", schemas::Shape::rows}});
  EXPECT_EQ(out("get"),
            "{\"items\":[{\"v\":\"A\xef\xbf\xbd"
            "B\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80\"},{\"v\":\"\xef\xbf\xbd\"},"
            "{\"v\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}]}");
}

TEST_F(SqlProgram, ALongResultIsCutAsValidJsonWithTheExactNumberLeftOut) {
  load(
      "CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT NOT NULL);"
      "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r WHERE n < 900) INSERT INTO t "
      "SELECT n, printf('%.*c', 1000, 'x') FROM r;",
      {{"all", "", "", {}, "SELECT k, v FROM t ORDER BY k", schemas::Shape::rows},
       {"many",
        "",
        "",
        {},
        "SELECT a.k AS k FROM t a JOIN t b ON b.k <= 3 ORDER BY a.k, b.k",
        schemas::Shape::rows},
       {"paged",
        R"({"offset":{"type":"integer"}})",
        "",
        {},
        "SELECT k, v FROM t ORDER BY k LIMIT :page_limit OFFSET :page_offset",
        schemas::Shape::rows,
        500},
       {"one", "", "", {}, "SELECT group_concat(v) AS v FROM t"},
       {"all_and_write",
        "",
        "",
        {run("DELETE FROM t WHERE k = 1")},
        "SELECT k, v FROM t ORDER BY k",
        schemas::Shape::rows}});
  const auto all = call("all");
  EXPECT_EQ(all.end, End::output_cut);
  EXPECT_LE(all.out.size(), (256U << 10) + 4096);
  const auto parsed = json(all.out);
  EXPECT_EQ(
      static_cast<std::int64_t>(parsed.find("items")->items().size()) + parsed.integer("omitted"),
      900);
  EXPECT_GT(parsed.integer("omitted"), 600);

  const auto many = json(call("many").out);
  EXPECT_EQ(many.find("items")->items().size(), 1000U);
  EXPECT_EQ(many.integer("omitted"), 1700);

  // Pages cut short go on where they ended: all rows are seen, each once.
  std::int64_t seen = 0;
  std::int64_t offset = 0;
  for (int page = 0; page < 20; ++page) {
    const auto got = json(call("paged", "{\"offset\":" + std::to_string(offset) + "}").out);
    seen += static_cast<std::int64_t>(got.find("items")->items().size());
    if (got.find("next_offset")->is_null()) break;
    EXPECT_EQ(got.integer("next_offset"), seen);
    offset = got.integer("next_offset");
  }
  EXPECT_EQ(seen, 900);

  EXPECT_EQ(call("one").end, End::output_cut);
  EXPECT_EQ(call("one").out, R"({"omitted":1})");
  EXPECT_EQ(call("all_and_write").end, End::output_cut);  // took effect, shown in part
  EXPECT_EQ(changes().size(), 1U);
}

TEST_F(SqlProgram, StepsThatMakeNoSenseAreRefusedByToolAndStatement) {
  const auto said = [&](std::vector<schemas::ProgramStep> steps,
                        const std::string& result = "SELECT 1 AS x") {
    return refusal(kShop, {{"good", "", "", {}, "SELECT 1 AS x"},
                           {"bad", R"({"id":{"type":"string"}})", "", std::move(steps), result}});
  };
  const auto names = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_PRED2(names, said({run("UPDATE item SET price = 1 WHERE id = :idd")}),
               "'bad/steps/0/run': unknown parameter :idd");
  EXPECT_PRED2(names, said({run("UPDATE item SET price = 1 WHERE id = ?")}),
               "not of the form :NAME");
  EXPECT_PRED2(names, said({run("UPDATE item SET pric = 1")}),
               "'bad/steps/0/run': no such column: pric");
  EXPECT_PRED2(names, said({run("SELECT 1")}), "writes nothing");
  EXPECT_PRED2(names, said({let("x", "DELETE FROM item RETURNING id")}),
               "'bad/steps/0/let': a statement that writes");
  EXPECT_PRED2(names, said({run("DELETE FROM sale; DELETE FROM item")}), "more than one statement");
  EXPECT_PRED2(names, said({when("id", run("DELETE FROM sale"))}), "'id' is no let");
  EXPECT_PRED2(names, said({let("now", "SELECT 1")}), "reserved");
  EXPECT_PRED2(names, said({schemas::ProgramStep()}), "exactly one of");
  EXPECT_PRED2(names,
               said({each("SELECT id FROM item", {"DELETE FROM item WHERE id = :id", "SELEC"})}),
               "'bad/steps/0/body/1'");
  EXPECT_PRED2(names, said({}, ""), "'bad/result': no statement");
  EXPECT_PRED2(names, said({}, "SELECT 1 AS x, 2 AS x"), "column 'x' twice");
  EXPECT_PRED2(names, said({}, "EXPLAIN SELECT 1"), "EXPLAIN");
  EXPECT_EQ(said({run("DELETE FROM sale;  -- all of them\n /* yes */ ;")}), "loaded");
}

}  // namespace
}  // namespace seedbed::sandbox
