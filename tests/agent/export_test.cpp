#include "agent/export.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "agent/export_line.h"
#include "agent/export_preference.h"
#include "agent/show.h"
#include "agent/show_doc.h"
#include "clinic_store.h"

namespace seedbed {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> out;
  for (std::string line; std::getline(file, line);) out.push_back(line);
  return out;
}
std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

class ExportTest : public test::ClinicStore {
 protected:
  void SetUp() override {
    ClinicStore::SetUp();
    run(options("oracle"));
    run(options("random"));
  }
  agent::ExportOptions to(const std::string& name,
                          agent::ExportFormat format = agent::ExportFormat::trl) {
    agent::ExportOptions o;
    o.format = format;
    o.out = (folder / name).string();
    return o;
  }
};

TEST_F(ExportTest, EachFormatWritesCheckedLinesForBothSplitsAndACard) {
  for (const auto format : {agent::ExportFormat::trl, agent::ExportFormat::openai}) {
    const auto o = to(format == agent::ExportFormat::trl ? "trl" : "openai", format);
    auto made = agent::export_dataset(*store, o);
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(made->train, 8);
    EXPECT_EQ(made->heldout, 8);
    EXPECT_EQ(made->tasks, 8);
    const auto train = lines_of(fs::path(o.out) / "data/train-00000.jsonl");
    const auto heldout = lines_of(fs::path(o.out) / "data/heldout-00000.jsonl");
    ASSERT_EQ(train.size(), 8U);
    ASSERT_EQ(heldout.size(), 8U);
    for (const auto& line : train) EXPECT_EQ(agent::check_line(line, format), "");
    const auto first = test::json(train[0]);
    const auto& messages = first.find("messages")->items();
    EXPECT_NE(messages[0].text("content").find("How to finish"),
              std::string::npos);  // self-contained: the system turn is filled in
    const auto* args =
        messages[2].find("tool_calls")->items()[0].find("function")->find("arguments");
    EXPECT_EQ(args->is_object(), format == agent::ExportFormat::trl);
    EXPECT_EQ(args->is_string(), format == agent::ExportFormat::openai);
    EXPECT_EQ(messages[3].text("role"), "tool");
    const std::string card = text_of(fs::path(o.out) / "README.md");
    for (const char* part : {"split: heldout", "list: json", "| G3 | 10 |",
                             "`oracle` | 8 | 8 | 1.0000", "| seed | 7 |", "license: mit"})
      EXPECT_NE(card.find(part), std::string::npos) << part << "\n" << card;
  }
}

TEST_F(ExportTest, ScoreAndPolicyFilter) {
  auto o = to("solved");
  o.min_score = 1;
  auto made = agent::export_dataset(*store, o);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->train + made->heldout, 8);
  EXPECT_EQ(made->left_out, 8);
  o = to("random");
  o.policy = "random";
  made = agent::export_dataset(*store, o);
  ASSERT_TRUE(made.ok());
  for (const auto& line : lines_of(fs::path(o.out) / "data/train-00000.jsonl"))
    EXPECT_EQ(test::json(line).text("policy"), "random");
  o.policy = "nobody";
  made = agent::export_dataset(*store, to("none"));
  ASSERT_TRUE(made.ok());
  o.out = (folder / "empty").string();
  made = agent::export_dataset(*store, o);
  ASSERT_FALSE(made.ok());
  EXPECT_FALSE(fs::exists(o.out));
}

TEST_F(ExportTest, OnlyAnEarlierExportIsReplaced) {
  auto o = to("out");
  ASSERT_TRUE(agent::export_dataset(*store, o).ok());
  o.policy = "oracle";
  o.out += "/";
  auto made = agent::export_dataset(*store, o);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(lines_of(folder / "out/data/train-00000.jsonl").size(), 4U);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "out"), fs::directory_iterator{}), 2);

  fs::create_directories(folder / "mine/data");
  std::ofstream(folder / "mine/README.md") << "my own notes";
  made = agent::export_dataset(*store, to("mine"));
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().where, Where::usage);
  EXPECT_EQ(text_of(folder / "mine/README.md"), "my own notes");
  std::ofstream(folder / "out/extra.txt") << "keep me";
  EXPECT_FALSE(agent::export_dataset(*store, to("out")).ok());
  std::ofstream(folder / "file") << "x";
  EXPECT_FALSE(agent::export_dataset(*store, to("file")).ok());
  for (const auto& entry : fs::directory_iterator(folder))
    EXPECT_EQ(entry.path().string().find(".tmp-"), std::string::npos);
}

TEST(ExportLine, TheCheckFindsEachBrokenPart) {
  const auto trl = agent::ExportFormat::trl;
  const std::string head =
      R"({"id":"1","group_id":"g","environment_id":"e","kind":"k","policy":"p","policy_version":"1","seed":"5","stop":"answered","score":1.0,)"
      R"("tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"})";
  const std::string call =
      R"(,{"role":"assistant","content":"","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":{}}}]})";
  const std::string result = R"(,{"role":"tool","name":"f","tool_call_id":"a","content":"{}"})";
  EXPECT_EQ(agent::check_line(head + call + result + "]}", trl), "");
  EXPECT_NE(agent::check_line(head + call + "]}", trl), "");                    // no result
  EXPECT_NE(agent::check_line(head + result + "]}", trl), "");                  // no call
  EXPECT_NE(agent::check_line(head + call + result + result + "]}", trl), "");  // two results
  EXPECT_NE(agent::check_line(head + call + result + call + result + "]}", trl),
            "");  // an id twice
  EXPECT_NE(agent::check_line(head + call + result + "]}", agent::ExportFormat::openai),
            "");                                                      // arguments of the other form
  EXPECT_NE(agent::check_line(head + call + result + "]", trl), "");  // half a line
  EXPECT_NE(agent::check_line(R"({"messages":[]})", trl), "");
}

TEST(ExportLine, ArgumentsThatWereNoObjectKeepTheirText) {
  tasks::StoredEpisode episode;
  episode.id = "e";
  auto& t = episode.trajectory;
  t.turns = {test::turn_of("system", ""), test::turn_of("user", "u"),
             test::turn_of("assistant", "")};
  t.turns[2].calls.push_back({.id = "a",
                              .tool = "f",
                              .args = "{\"half\": ",
                              .result = {schemas::End::tool_error, "{}"},
                              .reserved = false,
                              .malformed = true});
  const auto tools = test::json(R"([{"type":"function","function":{"name":"f","parameters":{}}}])");
  const std::string trl =
      dump(agent::export_line(episode, "k", "s", tools, agent::ExportFormat::trl));
  EXPECT_EQ(agent::check_line(trl, agent::ExportFormat::trl), "");
  EXPECT_NE(trl.find(R"("_unparsed":"{\"half\": ")"), std::string::npos);
  const std::string openai =
      dump(agent::export_line(episode, "k", "s", tools, agent::ExportFormat::openai));
  EXPECT_EQ(agent::check_line(openai, agent::ExportFormat::openai), "");
  EXPECT_NE(openai.find(R"("arguments":"{\"half\": ")"), std::string::npos);
}

TEST_F(ExportTest, ShowsEnvironmentTaskAndEpisodeAsTextAndHtml) {
  std::string episode;
  EXPECT_FALSE(store->for_each_episode([&](const tasks::StoredEpisode& e) -> Step {
    if (e.trajectory.policy == "oracle") episode = e.id;
    return std::nullopt;
  }));
  auto environments = store->environment_ids();
  auto ids = store->task_ids();
  ASSERT_TRUE(environments.ok() && ids.ok());
  for (const auto& id : {environments->at(0), ids->at(0), episode}) {
    auto text = agent::show(*store, id.substr(0, 16), agent::ShowForm::text);
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_NE(text->find(id), std::string::npos);
    auto html = agent::show(*store, id, agent::ShowForm::html);
    ASSERT_TRUE(html.ok());
    EXPECT_NE(html->find("<!doctype html>"), std::string::npos);
    for (const char* foreign : {"src=", "href=", "http:", "https:", "@import", "url("})
      EXPECT_EQ(html->find(foreign), std::string::npos) << foreign;
  }
  auto shown = agent::show(*store, episode, agent::ShowForm::text);
  ASSERT_TRUE(shown.ok());
  for (const char* part : {"Verdict: solved, score 1", "[x] ", "find_person", "How to finish"})
    EXPECT_NE(shown->find(part), std::string::npos) << part;
  EXPECT_FALSE(agent::show(*store, "ffffffffffffffffffffffffffffffff", agent::ShowForm::text).ok());
}

TEST(ShowDoc, NothingFromOutsideBecomesMarkupOrControl) {
  agent::Page page("t<script>");
  page.open("<b>", "\"><img onerror=x>", true);
  page.code("</pre><script>alert('1')</script>\x1b[31m");
  page.table({"<h>"}, {{"<td>"}});
  page.mark(true, "a&b");
  page.close();
  const std::string html = page.as_html();
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("<img"), std::string::npos);
  EXPECT_EQ(html.find('\x1b'), std::string::npos);
  EXPECT_NE(html.find("&lt;/pre&gt;"), std::string::npos);
  EXPECT_NE(html.find("a&amp;b"), std::string::npos);
  EXPECT_EQ(page.as_text().find('\x1b'), std::string::npos);
}

TEST_F(ExportTest, PreferencePairsSetGoldAgainstNearMissesFromWhereTheyPart) {
  auto o = to("pairs", agent::ExportFormat::preference);
  o.open_host = [] { return test::clinic_hosts()(0); };
  auto made = agent::export_dataset(*store, o);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->train, 3);
  EXPECT_EQ(made->heldout, 3);
  EXPECT_EQ(made->wrongs.at("sibling_row"), 2);
  EXPECT_EQ(made->left_out, 4);  // lookup and ask have no near miss
  const auto lines = lines_of(fs::path(o.out) / "data/train-00000.jsonl");
  ASSERT_EQ(lines.size(), 3U);
  std::map<std::string, schemas::Value> by_wrong;
  for (const auto& line : lines) {
    EXPECT_EQ(agent::check_preference_line(line), "");
    by_wrong.emplace(test::json(line).text("wrong"), test::json(line));
  }
  const auto& sibling = by_wrong.at("sibling_row");
  EXPECT_EQ(sibling.find("chosen_score")->as_double(), 1);
  EXPECT_LT(sibling.find("rejected_score")->as_double(), 1);
  EXPECT_NE(sibling.text("why"), "");
  // System, request, two shared calls with their results; then the two cancellations.
  const auto& prompt = sibling.find("prompt")->items();
  ASSERT_EQ(prompt.size(), 6U);
  EXPECT_EQ(prompt.back().text("role"), "tool");
  const auto booking = [](const schemas::Value& messages) {
    return dump(*messages.items()[0].find("tool_calls"));
  };
  EXPECT_NE(booking(*sibling.find("chosen")).find("B-302"), std::string::npos);
  EXPECT_NE(booking(*sibling.find("rejected")).find("B-303"), std::string::npos);
  // A wrong plan goes on after a call that fails.
  const auto& failing = by_wrong.at("no_such_row");
  EXPECT_NE(dump(*failing.find("rejected")).find("submit_result"), std::string::npos);
  EXPECT_NE(by_wrong.at("rule_ignored").text("why").find("refused"), std::string::npos);
  const auto card = text_of(fs::path(o.out) / "README.md");
  EXPECT_NE(card.find("| `sibling_row` | 2 |"), std::string::npos) << card;
  EXPECT_NE(card.find("- name: rejected\n    list: json"), std::string::npos);
  EXPECT_NE(agent::check_preference_line(lines[0].substr(0, lines[0].size() - 1)), "");
}

TEST_F(ExportTest, TasksWithAnOpenIssueCanBeLeftOut) {
  const auto ids = store->task_ids().value();
  const auto issue = store->add_issue(ids[1], "two bookings fit", "user").value();
  auto o = to("all");
  EXPECT_EQ(agent::export_dataset(*store, o)->train, 8);
  o.no_issues = true;
  EXPECT_EQ(agent::export_dataset(*store, o)->train, 6);
  const auto page = agent::show(*store, ids[1], agent::ShowForm::text).value();
  EXPECT_NE(page.find("two bookings fit"), std::string::npos);
  EXPECT_EQ(agent::show(*store, issue.substr(0, 12), agent::ShowForm::text).value(), page);
  auto again = options("nop");
  again.no_issues = true;
  EXPECT_EQ(run(again).episodes, 7);
  ASSERT_FALSE(store->set_issue(issue, tasks::Issue::Status::resolved, "reworded"));
  EXPECT_EQ(agent::export_dataset(*store, o)->train, 11);
}

}  // namespace
}  // namespace seedbed
