// The ledger of issues, and rejections by mechanism: kept, merged, upgraded to.
#include "tests/tasks/store_fixture.h"

namespace seedbed::tasks {
namespace {

class IssuesTest : public StoreTest {
 protected:
  std::string lines(const std::string& path) const {
    auto store = must_open(path);
    std::string out;
    for (const auto& i : must(store->issues()))
      out += i.id + " " + i.task_id + " " + i.title + " " + i.author + " " +
             std::string(name_of(i.status)) + " '" + i.resolution + "' " +
             std::to_string(i.revision) + "\n";
    return out;
  }
};

TEST_F(IssuesTest, AnIssueIsOpenedResolvedAndOpenedAgain) {
  fill(at("a.db"), {0, 1});
  auto store = must_open(at("a.db"));
  const auto task = must(store->task_ids())[1];
  const auto id = must(store->add_issue(task, "two pets fit", "user"));
  EXPECT_EQ(must(store->add_issue(task, "two pets fit", "user")), id);
  EXPECT_NE(must(store->add_issue(task, "two pets fit", "program")), id);
  EXPECT_EQ(must(store->issues()).size(), 2U);
  EXPECT_EQ(must(store->tasks_with_open_issues()), std::set<std::string>{task});
  EXPECT_EQ(must(store->resolve(id.substr(0, 10))).first, "issue");
  ASSERT_FINE(store->set_issue(id, Issue::Status::resolved, "the prompt names the owner"));
  ASSERT_FINE(store->set_issue(id, Issue::Status::resolved, "the prompt names the owner"));
  store.reset();
  store = must_open(at("a.db"));
  for (const auto& issue : must(store->issues())) {
    EXPECT_EQ(issue.status, issue.id == id ? Issue::Status::resolved : Issue::Status::open);
    EXPECT_EQ(issue.revision, issue.id == id ? 1 : 0);
  }
  ASSERT_FINE(store->set_issue(id, Issue::Status::open, ""));
  EXPECT_EQ(must(store->counts()).integer("issues"), 2);
  EXPECT_EQ(must(store->counts()).integer("issues_open"), 2);
}

TEST_F(IssuesTest, WhatIsNoIssueIsRefused) {
  fill(at("a.db"), {0});
  auto store = must_open(at("a.db"));
  const auto task = must(store->task_ids())[0];
  const auto refusal = [](const auto& result) { return result.ok() ? "" : result.error().message; };
  EXPECT_NE(refusal(store->add_issue(std::string(32, 'f'), "x", "user")).find("no task"),
            std::string::npos);
  store = nullptr;
  store = must_open(at("a.db"));
  EXPECT_NE(refusal(store->add_issue(task, "", "user")).find("empty"), std::string::npos);
  EXPECT_NE(refusal(store->add_issue(task, "a\nb", "user")).find("one line"), std::string::npos);
  EXPECT_NE(refusal(store->add_issue(task, "\xff", "user")).find("UTF-8"), std::string::npos);
  EXPECT_NE(refusal(store->add_issue(task, std::string(1001, 'x'), "user")).find("at most 1000"),
            std::string::npos);
  EXPECT_NE(refusal(store->add_issue(task, "x", "nobody")).find("user or program"),
            std::string::npos);
  const auto unknown = store->set_issue(std::string(32, 'f'), Issue::Status::resolved, "");
  ASSERT_TRUE(unknown);
  EXPECT_NE(unknown->message.find("no issue"), std::string::npos);
}

TEST_F(IssuesTest, MergingInAnyOrderGivesTheSameLedger) {
  for (const char* name : {"a.db", "b.db", "c.db"}) fill(at(name), {0, 1, 2});
  const auto tasks = must(must_open(at("a.db"))->task_ids());
  {
    auto a = must_open(at("a.db"));
    const auto id = must(a->add_issue(tasks[0], "one", "user"));
    ASSERT_FINE(a->set_issue(id, Issue::Status::wont_fix, "as meant"));
    must(a->add_issue(tasks[2], "only here", "program"));
  }
  {
    auto b = must_open(at("b.db"));
    const auto id = must(b->add_issue(tasks[0], "one", "user"));
    ASSERT_FINE(b->set_issue(id, Issue::Status::resolved, "reworded"));
    ASSERT_FINE(b->set_issue(id, Issue::Status::open, "not yet"));
  }
  {
    auto c = must_open(at("c.db"));
    must(c->add_issue(tasks[0], "one", "user"));
    must(c->add_issue(tasks[1], "two", "user"));
  }
  std::set<std::string> seen;
  for (const auto& order : std::vector<std::vector<std::string>>{
           {"a.db", "b.db", "c.db"}, {"c.db", "a.db", "b.db"}, {"b.db", "c.db", "a.db", "b.db"}}) {
    const auto path = at("m" + order[0] + order[1]);
    auto into = must_open(path, {.create = true});
    for (const auto& name : order) ASSERT_FINE(into->absorb(at(name)));
    into.reset();
    seen.insert(lines(path));
  }
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_NE(seen.begin()->find("one user open 'not yet' 2"), std::string::npos) << *seen.begin();
  EXPECT_NE(seen.begin()->find("only here program open"), std::string::npos) << *seen.begin();
}

TEST_F(IssuesTest, RejectionsByMechanismAreSummedAndMerged) {
  const auto record = [](std::int64_t slot) {
    auto r = slot_of(slot);
    r.rejections_by_mechanism = {
        {"G6", "waitlist", slot + 1}, {"G6", "waitlist", 1}, {"G3", "ledger", 2}};
    return r;
  };
  for (const std::int64_t slot : {0, 1}) {
    auto store = must_open(at(std::to_string(slot) + ".db"), {.create = true});
    ASSERT_FINE(store->set_request(request_of()));
    ASSERT_FINE(store->put_slot(record(slot)));
  }
  auto store = must_open(at("m.db"), {.create = true});
  ASSERT_FINE(store->absorb(at("1.db")));
  ASSERT_FINE(store->absorb(at("0.db")));
  const auto rows = must(store->rejections_by_mechanism());
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].gate + rows[0].mechanism + std::to_string(rows[0].count), "G3ledger4");
  EXPECT_EQ(rows[1].gate + rows[1].mechanism + std::to_string(rows[1].count), "G6waitlist5");
}

}  // namespace
}  // namespace seedbed::tasks
