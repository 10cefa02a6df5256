#include <gtest/gtest.h>

#include <algorithm>

#include "judge_clinic.h"

namespace seedbed::tasks {
namespace {

using clinic::call;
using clinic::submitting;
using schemas::AnswerType;
using schemas::ChangeKind;
using schemas::FactChange;
using schemas::Outcome;
using schemas::RowChange;
using schemas::Scalar;
using schemas::Value;
using schemas::Verdict;
using schemas::Verifier;

FactChange set(const char* about, const char* key, const char* attribute, Value value) {
  return {ChangeKind::set, about, key, attribute, std::move(value), {}};
}
FactChange add(const char* about, Value row) {
  return {ChangeKind::add, about, {}, "", {}, std::move(row)};
}

class JudgeTest : public testing::Test {
 protected:
  void SetUp() override {
    env_ = clinic::environment();
    auto judge = Judge::open(env_, clinic::image());
    ASSERT_TRUE(judge.ok()) << judge.error().message;
    judge_ = *std::move(judge);
  }
  Verdict judge(const Verifier& verifier, const Episode& episode) {
    const auto refused = judge_->check(verifier);
    EXPECT_FALSE(refused.has_value()) << refused->message;
    auto verdict = judge_->judge(verifier, episode);
    EXPECT_TRUE(verdict.ok()) << verdict.error().message;
    if (!verdict.ok()) return {};
    const auto solved = judge_->solves(verifier, episode);
    EXPECT_TRUE(solved.ok() &&
                *solved == verdict->solved);  // the quick way agrees, remembered or not
    return *verdict;
  }
  Episode play(const std::vector<schemas::ToolCall>& calls) { return clinic::episode(env_, calls); }
  static std::vector<std::string> failing(const Verdict& v) {
    std::vector<std::string> out;
    for (const auto& part : v.parts)
      if (!part.holds) out.push_back(part.name);
    return out;
  }
  static std::vector<std::string> only(const char* name) { return {name}; }

  // Cancels B-301 and books S-201 for P-102, then says which person holds it and what it costs.
  static Verifier full() {
    Verifier v;
    v.answer = {{"fee", AnswerType::integer, {"1500"}}};
    v.choose = {{"roomy", "slot.capacity >= 3",
                 "SELECT count(*) > 0 FROM v_slot WHERE id = :slot AND capacity >= 3"}};
    v.post = {{"one_more", "count = 21", "SELECT count(*) = 21 FROM v_booking"}};
    v.delta = {
        set("booking", "B-301", "state", "cancelled"),
        add("booking",
            clinic::args(
                {{"holder", "P-102"}, {"slot", "S-201"}, {"state", "confirmed"}, {"fee", 1500}}))};
    v.obligations = {{"no_gold", "cancel", "holder is plain",
                      "SELECT p.tier = 'plain' FROM v_booking b JOIN v_person p ON p.id = "
                      "b.person_id WHERE b.id = :booking_id"}};
    return v;
  }
  static std::vector<schemas::ToolCall>
  full_plan() {  // P-101 is gold: made plain first, and gold again in the end
    return {call("set_tier", {{"person_id", "P-101"}, {"tier", "plain"}}),
            call("cancel", {{"booking_id", "B-301"}}),
            call("book", {{"person_id", "P-102"}, {"slot_id", "S-201"}}),
            call("set_tier", {{"person_id", "P-101"}, {"tier", "gold"}})};
  }
  static Value full_answer() { return clinic::args({{"fee", "1,500"}, {"slot", "S-202"}}); }

  schemas::Environment env_;
  std::unique_ptr<Judge> judge_;
};

TEST_F(JudgeTest, EveryPartOfARightEpisodeHolds) {
  const auto v = judge(full(), submitting(play(full_plan()), full_answer()));
  EXPECT_TRUE(v.solved) << v.why;
  EXPECT_EQ(v.score, 1.0);
  EXPECT_EQ(v.parts.size(), 7U);
}

TEST_F(JudgeTest, EachPartCanFailAlone) {
  const auto right = submitting(play(full_plan()), full_answer());
  auto e = right;
  e.stop = schemas::Stop::stopped;  // outcome fails; with it whatever the submission carried
  auto v = judge(full(), e);
  EXPECT_EQ(failing(v), (std::vector<std::string>{"outcome", "answer:fee", "choose:roomy"}));
  EXPECT_LT(v.score, 0.1);
  Verifier no_fields = full();
  no_fields.answer.clear(), no_fields.choose.clear();
  EXPECT_EQ(failing(judge(no_fields, e)), only("outcome"));

  EXPECT_EQ(
      failing(judge(full(), submitting(right, clinic::args({{"fee", 1501}, {"slot", "S-202"}})))),
      only("answer:fee"));
  EXPECT_EQ(
      failing(judge(full(), submitting(right, clinic::args({{"fee", 1500}, {"slot", "S-999"}})))),
      only("choose:roomy"));
  Verifier other = full();
  other.post[0].sql = "SELECT count(*) = 22 FROM v_booking";
  EXPECT_EQ(failing(judge(other, right)), only("post:one_more"));
  other = full();
  other.delta[0].value = "held";  // the place is right, its value is not
  v = judge(other, right);
  EXPECT_EQ(failing(v), only("delta"));
  EXPECT_NE(v.why.find("booking B-301"), std::string::npos) << v.why;
  auto plan = full_plan();
  plan.pop_back();  // P-101 stays plain
  EXPECT_EQ(failing(judge(full(), submitting(play(plan), full_answer()))), only("frame"));
  plan = full_plan();
  plan.erase(plan.begin());  // cancelled while gold
  plan.pop_back();
  v = judge(full(), submitting(play(plan), full_answer()));
  EXPECT_EQ(failing(v), only("obligation:no_gold"));
  EXPECT_GT(v.score, 0.8);
  EXPECT_LE(v.score, 0.99);
}

TEST_F(JudgeTest, NewFactsMatchWhateverTheirKeys) {
  Verifier v;
  const auto row = [](const char* who, const char* slot) {
    return clinic::args({{"holder", who}, {"slot", slot}, {"parent", Value()}});
  };
  const auto both = [&](FactChange x, FactChange y) {  // room is a derived fact: it changes too
    return std::vector<FactChange>{std::move(x), std::move(y), set("slot", "S-203", "free", 3),
                                   set("slot", "S-204", "free", 3)};
  };
  v.delta = both(add("booking", row("P-110", "S-203")), add("booking", row("P-111", "S-204")));
  const auto a = call("book", {{"person_id", "P-110"}, {"slot_id", "S-203"}}),
             b = call("book", {{"person_id", "P-111"}, {"slot_id", "S-204"}});
  const auto c = call("book", {{"person_id", "P-110"}, {"slot_id", "S-205"}});
  EXPECT_TRUE(judge(v, submitting(play({a, b}), clinic::args({}))).solved);
  EXPECT_TRUE(judge(v, submitting(play({b, a}), clinic::args({}))).solved);
  EXPECT_EQ(failing(judge(v, submitting(play({a}), clinic::args({})))), only("delta"));
  EXPECT_EQ(failing(judge(v, submitting(play({a, a}), clinic::args({})))), only("delta"));
  EXPECT_EQ(failing(judge(v, submitting(play({a, b, c}), clinic::args({})))), only("frame"));
  // A wanted fact that says less must not take away the one that another needs.
  v.delta = both(add("booking", clinic::args({{"state", "confirmed"}})),
                 add("booking", row("P-110", "S-203")));
  EXPECT_TRUE(judge(v, submitting(play({a, b}), clinic::args({}))).solved);
  EXPECT_TRUE(judge(v, submitting(play({b, a}), clinic::args({}))).solved);
}

TEST_F(JudgeTest, ANullInANewFactStandsForTheKeyOfANewFactOnly) {
  Verifier v;
  v.delta = {add("booking", clinic::args({{"holder", "P-110"}, {"parent", Value()}})),
             add("booking", clinic::args({{"holder", "P-111"}}))};
  const auto insert = [](const char* id, const char* who, Scalar parent) {
    return RowChange{0,
                     "booking",
                     {},
                     {std::string(id), std::string(who), std::string("S-201"),
                      std::string("confirmed"), std::int64_t{5}, std::move(parent)}};
  };
  Episode e = submitting(play({call("list_slots")}), clinic::args({}));
  e.changes = {insert("B-901", "P-111", {}), insert("B-902", "P-110", std::string("B-901"))};
  v.delta.push_back(set("slot", "S-201", "free", 0));  // capacity 3, two taken before
  auto verdict = judge(v, e);
  EXPECT_EQ(failing(verdict), only("delta")) << verdict.why;  // free went to another value than 0
  v.delta.back() = set("slot", "S-201", "free", -1);
  EXPECT_TRUE(judge(v, e).solved) << judge(v, e).why;
  e.changes[1] = insert("B-902", "P-110", std::string("B-303"));  // an old key
  EXPECT_EQ(failing(judge(v, e)), only("delta"));
}

TEST_F(JudgeTest, RemovedFactsAreWantedOrTheFrames) {
  Episode e = submitting(play({call("list_slots")}), clinic::args({}));
  e.changes = {
      RowChange{0,
                "person",
                {std::string("P-140"), std::string("Jo DDi"), std::string("gold"), Scalar{}},
                {}}};
  Verifier v;
  v.delta = {{ChangeKind::remove, "person", "P-140", "", {}, {}}};
  EXPECT_TRUE(judge(v, e).solved) << judge(v, e).why;
  v.delta[0].key = "P-139";
  EXPECT_EQ(failing(judge(v, e)), (std::vector<std::string>{"delta", "frame"}));
}

// Whatever one more change is made to a right episode, the frame tells.
TEST_F(JudgeTest, AnySingleStrayChangeFlipsTheFrame) {
  Verifier v;
  v.delta = {set("booking", "B-302", "state", "cancelled"), set("slot", "S-202", "free", 3)};
  const auto right =
      submitting(play({call("cancel", {{"booking_id", "B-302"}})}), clinic::args({}));
  ASSERT_TRUE(judge(v, right).solved) << judge(v, right).why;
  const auto rows = play({call("list_slots")});
  int checked = 0;
  for (const auto& column : judge_->columns()) {
    if (column.attribute.empty() || column.attribute == "free") continue;  // free is derived
    const std::string table = column.concept_name;
    for (const char* id : {"P-105", "S-205", "B-305"}) {
      if (table[0] != std::string(id)[0] + 32) continue;
      Episode e = right;
      e.calls.push_back(call("list_slots")), e.results.push_back({});
      std::vector<Scalar> before =
          table == "person" ? std::vector<Scalar>{"P-105", "Ed AIda", "plain", Scalar{}}
          : table == "slot"
              ? std::vector<Scalar>{"S-205", std::int64_t{9'000'240}, std::int64_t{3}}
              : std::vector<Scalar>{"B-305", "P-105", "S-205", "cancelled", std::int64_t{1148},
                                    Scalar{}};
      std::vector<Scalar> after = before;
      const auto& view = *std::find_if(env_.views.begin(), env_.views.end(),
                                       [&](const auto& w) { return w.concept_name == table; });
      const auto at = static_cast<std::size_t>(
                          std::find(view.columns.begin(), view.columns.end(), column.column) -
                          view.columns.begin()) +
                      1;
      after[at] = std::holds_alternative<std::int64_t>(after[at]) ? Scalar(std::int64_t{424242})
                                                                  : Scalar("elsewhere");
      e.changes.push_back({1, table, before, after});
      EXPECT_EQ(failing(judge(v, e)), only("frame"))
          << column.concept_name << "." << column.attribute;
      e.changes.back() = {1, table, before, {}};
      EXPECT_EQ(failing(judge(v, e)), only("frame"));
      after = before;
      after[0] = "X-1";
      e.changes.back() = {1, table, {}, after};
      EXPECT_EQ(failing(judge(v, e)), only("frame"));
      ++checked;
    }
  }
  EXPECT_EQ(checked, 9);
  Episode e = right;  // a table that no view reads, and one that is bookkeeping
  e.changes.push_back({0, "audit", {}, {std::int64_t{1}, "seen"}});
  EXPECT_EQ(failing(judge(v, e)), only("frame"));
  e.changes.push_back({0, "audit", {std::int64_t{1}, "seen"}, {}});
  e.changes.back().call = 1, e.calls.push_back(call("list_slots")), e.results.push_back({});
  EXPECT_TRUE(judge(v, e).solved) << "done and undone is no change";
  e = right;
  e.changes.push_back(
      {0, "counter", {"booking", std::int64_t{500}}, {"booking", std::int64_t{600}}});
  EXPECT_TRUE(judge(v, e).solved);
}

TEST_F(JudgeTest, AViewThatListsTooFewTablesHidesNothing) {
  env_.views[1].tables = {"slot"};  // it counts bookings too
  judge_ = *Judge::open(env_, clinic::image());
  Verifier v;
  v.delta = {set("booking", "B-302", "state", "cancelled")};
  EXPECT_EQ(failing(judge(v, submitting(play({call("cancel", {{"booking_id", "B-302"}})}),
                                        clinic::args({})))),
            only("frame"));
}

TEST_F(JudgeTest, RefusalNeedsCodeAndExactEvidence) {
  Verifier v;
  v.outcome = Outcome::refuse;
  v.refuse_codes = {"gold_member"};
  v.refuse_evidence = {"P-101", "B-301"};
  const auto read = play({call("list_bookings", {{"person_id", "P-101"}})});
  EXPECT_TRUE(judge(v, clinic::refusing(read, "gold_member", {"b-301", "P-101"})).solved);
  EXPECT_EQ(failing(judge(v, clinic::refusing(read, "too_late", {"B-301", "P-101"}))),
            only("refuse_code"));
  EXPECT_EQ(failing(judge(v, clinic::refusing(read, "gold_member", {"B-301"}))), only("evidence"));
  EXPECT_EQ(failing(judge(v, clinic::refusing(read, "gold_member", {"B-301", "P-101", "P-102"}))),
            only("evidence"));
  EXPECT_EQ(failing(judge(v, submitting(read, clinic::args({})))),
            (std::vector<std::string>{"outcome", "refuse_code", "evidence"}));
  EXPECT_EQ(failing(judge(v, clinic::refusing(play({call("cancel", {{"booking_id", "B-301"}})}),
                                              "gold_member", {"B-301", "P-101"}))),
            only("frame"));
}

TEST_F(JudgeTest, DamagedEvidenceIsAnErrorAndLeavesTheJudgeUsable) {
  Verifier v;
  v.delta = {set("booking", "B-302", "state", "cancelled"), set("slot", "S-202", "free", 3)};
  const auto right =
      submitting(play({call("cancel", {{"booking_id", "B-302"}})}), clinic::args({}));
  const auto damage = [&](auto&& f) {
    Episode e = right;
    f(e);
    EXPECT_FALSE(judge_->judge(v, e).ok());
    EXPECT_TRUE(judge(v, right).solved);
  };
  damage([](Episode& e) { e.changes[0].before[4] = std::int64_t{7}; });
  damage([](Episode& e) { e.changes[0].before.clear(); });  // an insert over a row that exists
  damage([](Episode& e) { e.changes[0].table = "nowhere"; });
  damage([](Episode& e) { e.changes[0].table = "sqlite_schema"; });
  damage([](Episode& e) { e.changes[0].after.pop_back(); });
  damage([](Episode& e) { e.changes[0].before.clear(), e.changes[0].after.clear(); });
  damage([](Episode& e) { e.changes[0].call = 1; });
  damage([](Episode& e) { e.changes[0].call = -1; });
  damage([](Episode& e) { e.results.clear(); });
}

TEST_F(JudgeTest, CheckRefusesWhatCouldNotJudge) {
  const auto refuses = [&](auto&& f, const char* word) {
    Verifier v = full();
    f(v);
    const auto e = judge_->check(v);
    ASSERT_TRUE(e.has_value()) << word;
    EXPECT_NE(e->message.find(word), std::string::npos) << e->message;
  };
  refuses([](Verifier& v) { v = Verifier{}; }, "empty verifier");
  refuses(
      [](Verifier& v) {
        v = Verifier{};
        v.obligations = full().obligations;
      },
      "empty verifier");
  refuses(
      [](Verifier& v) {
        v = Verifier{};
        v.outcome = Outcome::refuse;
        v.refuse_codes = {"other"};
      },
      "empty verifier");
  refuses([](Verifier& v) { v.answer[0].accept.clear(); }, "accepts nothing");
  refuses([](Verifier& v) { v.answer[0].accept = {"many"}; }, "read as its type");
  refuses([](Verifier& v) { v.obligations[0].tool = "cancle"; }, "cancle");
  refuses([](Verifier& v) { v.obligations[0].sql = "SELECT :person_id"; }, ":person_id");
  refuses([](Verifier& v) { v.delta[0].attribute = "colour"; }, "colour");
  refuses([](Verifier& v) { v.delta[0].concept_name = "ship"; }, "ship");
  refuses(
      [](Verifier& v) {
        v.outcome = Outcome::refuse;
        v.refuse_codes = {"other"};
        v.refuse_evidence = {"x"};
      },
      "answer fields");
  for (const char* sql :
       {"DELETE FROM booking", "UPDATE booking SET fee = 0", "SELECT 1; SELECT 1", "", "SELECT",
        "ATTACH 'x' AS y", "PRAGMA user_version", "SELECT load_extension('x')",
        "SELECT random() = 1", "SELECT length(zeroblob(900000000))", "SELECT datetime('now')",
        "SELECT count(*) FROM sqlite_schema", "SELECT count(*) FROM pragma_table_info('booking')",
        "SELECT :x", "SELECT ?1", "CREATE TABLE z (a)", "BEGIN", "SELECT count(*) FROM dbstat",
        "INSERT INTO audit VALUES (1, 'x') RETURNING 1"})
    refuses([&](Verifier& v) { v.post[0].sql = sql; }, "one_more");
}

TEST_F(JudgeTest, AStatementThatNeverEndsIsCutOff) {
  Verifier v;
  v.post = {{"loop", "loop",
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) = 0 "
             "FROM n"}};
  const auto verdict = judge_->judge(v, submitting(play({}), clinic::args({})));
  ASSERT_FALSE(verdict.ok());
  EXPECT_NE(verdict.error().message.find("budget"), std::string::npos) << verdict.error().message;
}

TEST_F(JudgeTest, FactsFollowTheCalls) {
  const auto e = play(full_plan());
  const auto initial = clinic::oracle().initial();
  EXPECT_EQ(*judge_->facts({}, 99), *initial);
  EXPECT_EQ(*judge_->facts(e.changes, 0), *initial);
  const auto steps = clinic::oracle().run(e.calls);
  for (int i = 0; i < 4; ++i) {
    const auto diff = judge_->difference(e.changes, i + 1);
    ASSERT_TRUE(diff.ok());
    EXPECT_EQ(diff->gone, (*steps)[static_cast<std::size_t>(i)].gone);
    EXPECT_EQ(diff->come, (*steps)[static_cast<std::size_t>(i)].come);
  }
  const auto after = *judge_->facts(e.changes, 2);
  EXPECT_TRUE(std::binary_search(
      after.begin(), after.end(),
      "booking|B-301|holder=P-101|slot=S-201|state=cancelled|fee=1000|parent=\\N"));
  const auto values = judge_->values();
  EXPECT_TRUE(std::binary_search(values.begin(), values.end(), "P-140"));
  EXPECT_TRUE(std::binary_search(values.begin(), values.end(), "1000"));
  EXPECT_FALSE(std::binary_search(values.begin(), values.end(), "500"));  // bookkeeping is no fact
}

TEST(FactLine, DifferentFactsNeverPrintAlike) {
  const schemas::View view{"c", "v", "k", {"a", "b"}, {"a", "b"}, {"t"}};
  const auto line = [&](Scalar a, Scalar b) {
    return fact_line(view, std::int64_t{1}, {std::move(a), std::move(b)});
  };
  EXPECT_EQ(line("x", std::int64_t{-2}), "c|1|a=x|b=-2");
  EXPECT_NE(line("x|b=y", ""), line("x", "y|b="));
  EXPECT_NE(line({}, ""), line("\\N", ""));
  EXPECT_EQ(line("p|q\\\n", {}), "c|1|a=p\\pq\\\\\\n|b=\\N");
}

TEST(JudgeOpen, RefusesStatesThatItCouldNotWatch) {
  const auto refuses = [](const std::string& image, const char* word) {
    schemas::Environment env;
    env.views = {{"t", "v", "id", {"x"}, {"x"}, {"t"}}};
    const auto judge = Judge::open(env, image);
    ASSERT_FALSE(judge.ok()) << word;
    EXPECT_NE(judge.error().message.find(word), std::string::npos) << judge.error().message;
  };
  const std::string v = ";CREATE VIEW v AS SELECT id, x FROM t";
  refuses(clinic::image_of("CREATE TABLE t (id INTEGER, x)" + v), "no primary key");
  refuses(clinic::image_of("CREATE TABLE t (id TEXT PRIMARY KEY, x)" + v), "may be null");
  refuses(clinic::image_of("CREATE TABLE t (id INTEGER PRIMARY KEY, x, y AS (x))" + v),
          "generated");
  refuses(clinic::image_of("CREATE VIRTUAL TABLE t USING fts5(x)" + v), "virtual");
  refuses(clinic::image_of(
              "CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES (1, 2.5)" + v),
          "float");
  refuses(clinic::image_of("CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES (1, "
                           "2), (2, 2); CREATE VIEW v AS SELECT x AS id, x FROM t"),
          "twice");
  refuses(clinic::image_of("CREATE TABLE t (id INTEGER PRIMARY KEY, x); CREATE VIEW v AS SELECT "
                           "id, random() AS x FROM t"),
          "random");
  refuses(clinic::image_of("CREATE TABLE t (id INTEGER PRIMARY KEY, x)"), "not in the state");
  refuses("", "0 bytes");
  refuses(std::string(4096, 'x'), "4096 bytes");
  std::string damaged = clinic::image();
  for (std::size_t i = 100; i < damaged.size(); i += 3) damaged[i] = '\x5a';
  refuses(damaged, "");
}

}  // namespace
}  // namespace seedbed::tasks
