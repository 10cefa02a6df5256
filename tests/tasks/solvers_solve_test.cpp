#include "tasks/solvers/solve.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tasks/solvers/answer.h"
#include "tasks/solvers/words.h"

namespace seedbed::tasks::solvers {
namespace {

using schemas::End;
using schemas::ToolCall;
using schemas::ToolResult;
using schemas::Value;

Value parse(const std::string& text) {
  auto out = schemas::parse_json(text);
  EXPECT_TRUE(out.ok()) << text;
  return *std::move(out);
}

// A library with two readers and three loans, played from memory.
struct Library {
  schemas::Environment env;
  std::vector<ToolCall> made;
  std::vector<std::string> said;
  std::optional<std::string> reply;  // of the user
  std::string refuses;               // error code of extend_loan
  std::string cleared_by;            // the tool after which it refuses no more
  std::string prompt;
  Value submit =
      parse(R"({"type":"object","properties":{"summary":{"type":"string"}},"required":[]})");

  Library() {
    const auto add = [&](const char* name, const char* about, const char* input) {
      schemas::Tool tool;
      tool.name = name;
      tool.description = about;
      tool.input = parse(input);
      env.tools.push_back(std::move(tool));
    };
    add("find_reader", "Finds a reader by its exact name.",
        R"({"type":"object","properties":{"name":{"type":"string"}},"required":["name"]})");
    add("list_loans", "Lists loans ordered by id, optionally filtered; 2 a page.",
        R"({"type":"object","properties":{"reader_id":{"type":"string"},"state":{"type":"string","enum":["open","closed"]},"offset":{"type":"integer","minimum":0}},"required":[]})");
    add("extend_loan", "Extend a loan by some days.",
        R"({"type":"object","properties":{"loan_id":{"type":"string"}},"required":["loan_id"]})");
    add("close_loan", "Close a loan.",
        R"({"type":"object","properties":{"loan_id":{"type":"string"}},"required":["loan_id"]})");
    add("open_loan", "Open a loan for a reader.",
        R"({"type":"object","properties":{"reader_id":{"type":"string"}},"required":["reader_id"]})");
    env.policy.handbook =
        "1. Today is 2031-03-05.\n2. No loan may be extended when its fee is above 500 cents. "
        "(reason code too_dear; evidence: the id of the loan and the id of the reader)\n";
    env.policy.reasons = {{"too_dear", "No loan of a high fee."}, {"not_found", "There is none."}};
  }

  ToolResult play(const ToolCall& call) const {
    const auto ok = [](const std::string& out) { return ToolResult{End::ok, out}; };
    if (call.tool == "find_reader")
      return ok(call.args.text("name") == "Ada Byron"
                    ? R"({"items":[{"id":"RE-0001","name":"Ada Byron","points":7}]})"
                : call.args.text("name") == "Carl Gauss"
                    ? R"({"items":[{"id":"RE-0002","name":"Carl Gauss","points":9}]})"
                    : R"({"items":[]})");
    if (call.tool == "list_loans")
      return ok(
          call.args.integer("offset") == 0
              ? R"({"items":[{"id":"LO-0001","reader_id":"RE-0001","state":"open","fee_cents":100},{"id":"LO-0002","reader_id":"RE-0002","state":"open","fee_cents":900}],"next_offset":2})"
              : R"({"items":[{"id":"LO-0003","reader_id":"RE-0001","state":"closed","fee_cents":300}],"next_offset":null})");
    const bool cleared = std::any_of(made.begin(), made.end(), [&](const ToolCall& before) {
      return before.tool == cleared_by;
    });
    if (call.tool == "open_loan") return ok(R"({"id":"LO-0009","reader_id":"RE-0001"})");
    if (call.tool == "extend_loan" && !refuses.empty() && !cleared)
      return {End::tool_error, R"({"error":{"code":")" + refuses + R"(","message":"no"}})"};
    return ok(R"({"id":"LO-0001"})");
  }

  Ending run(std::string_view solver) {
    const Catalog catalog = catalog_of(env);
    const Ways ways{
        .call = [&](const std::vector<ToolCall>& calls) -> Result<std::vector<ToolResult>> {
          std::vector<ToolResult> out;
          for (const auto& call : calls) made.push_back(call), out.push_back(play(call));
          return out;
        },
        .say = [&](const std::string& text) -> Result<std::optional<std::string>> {
          said.push_back(text);
          return reply;
        }};
    auto ending = solve(solver, {catalog, prompt, submit}, ways);
    EXPECT_TRUE(ending.ok());
    return ending.ok() ? *std::move(ending) : Ending{};
  }
  [[nodiscard]] std::vector<std::string> writes() const {
    std::vector<std::string> out;
    for (const auto& call : made)
      if (call.tool.ends_with("_loan")) out.push_back(call.tool + dump(call.args));
    return out;
  }
};

TEST(Solvers, ACatalogKnowsToolsFromTheirNamesAlone) {
  const Catalog c = catalog_of(Library().env);
  ASSERT_EQ(c.nouns.size(), 2U);
  EXPECT_EQ(c.tools[0].form, SeenTool::Form::find);
  EXPECT_EQ(c.tools[1].form, SeenTool::Form::list);
  EXPECT_EQ(c.tools[2].form, SeenTool::Form::act);
  EXPECT_EQ(c.tools[1].params[0].noun, c.tools[0].noun);
  EXPECT_EQ(c.today, 11'386);
}

TEST(Solvers, GreedyPicksTheRecordThatTheClauseDescribes) {
  Library library;
  library.prompt = "Good morning. Please close the open loan of Ada Byron. It is raining.";
  EXPECT_EQ(library.run("greedy").kind, Ending::Kind::submit);
  EXPECT_EQ(library.writes(), std::vector<std::string>{R"(close_loan{"loan_id":"LO-0001"})"});
}

TEST(Solvers, GreedyDoesItForEach) {
  Library library;
  library.prompt = "Please close every loan of Ada Byron.";
  library.run("greedy");
  EXPECT_EQ(library.writes(), (std::vector<std::string>{R"(close_loan{"loan_id":"LO-0001"})",
                                                        R"(close_loan{"loan_id":"LO-0003"})"}));
}

TEST(Solvers, ABreadthFirstSolverWritesAtMostKTimes) {
  for (int k = 1; k <= 2; ++k) {
    Library library;
    library.prompt = "Please close every loan of Ada Byron. Extend the loan of Carl Gauss.";
    library.env.policy.handbook.clear();
    library.run("bfs-" + std::to_string(k));
    EXPECT_EQ(library.writes().size(), static_cast<std::size_t>(k));
  }
}

TEST(Solvers, GreedyTakesTheBranchThatHolds) {
  Library library;
  library.prompt =
      "If the points of the reader Ada Byron is above 8, close the loan of Carl Gauss; otherwise "
      "open a "
      "loan for Carl Gauss.";
  library.run("greedy");
  EXPECT_EQ(library.writes(), std::vector<std::string>{R"(open_loan{"reader_id":"RE-0002"})"});
}

TEST(Solvers, GreedyHeedsARuleThatNoToolChecks) {
  Library library;
  library.prompt = "Extend the loan of Carl Gauss.";
  const Ending ending = library.run("greedy");
  EXPECT_EQ(ending.kind, Ending::Kind::refuse);
  EXPECT_EQ(dump(ending.args),
            R"({"reason_code":"too_dear","evidence_ids":["LO-0002","RE-0002"]})");
  EXPECT_TRUE(library.writes().empty());
}

TEST(Solvers, NoPolicyIgnoresIt) {
  Library library;
  library.prompt = "Extend the loan of Carl Gauss.";
  EXPECT_EQ(library.run("no-policy").kind, Ending::Kind::submit);
  EXPECT_EQ(library.writes().size(), 1U);
}

TEST(Solvers, AToolsReasonIsAReasonToRefuse) {
  Library library;
  library.prompt = "Extend the open loan of Ada Byron.";
  library.refuses = "E_TOO_DEAR";
  const Ending ending = library.run("greedy");
  EXPECT_EQ(ending.kind, Ending::Kind::refuse);
  EXPECT_EQ(ending.args.text("reason_code"), "too_dear");
}

TEST(Solvers, GreedyAsksWhereThePromptInvitesTo) {
  Library library;
  library.prompt = "Please open a loan for the right reader. Ask me if anything is unclear.";
  library.reply = "I mean Ada Byron.";
  library.run("greedy");
  EXPECT_EQ(library.said, std::vector<std::string>{"Which reader should I take?"});
  EXPECT_EQ(library.writes(), std::vector<std::string>{R"(open_loan{"reader_id":"RE-0001"})"});
}

TEST(Solvers, TheNextRequestIsAskedForWherePromptTellsOfIt) {
  Library l;
  l.prompt =
      "Close the open loan of Carl Gauss. There is more; ask me for the next step after this one.";
  l.reply = "Extend the open loan of Ada Byron.";
  EXPECT_EQ(l.run("greedy").kind, Ending::Kind::submit);
  EXPECT_EQ(l.said.size(), 1U);
  EXPECT_EQ(l.writes(), (std::vector<std::string>{R"(close_loan{"loan_id":"LO-0002"})",
                                                  R"(extend_loan{"loan_id":"LO-0001"})"}));
  Library silent;
  silent.prompt = l.prompt;
  EXPECT_EQ(silent.run("greedy").kind, Ending::Kind::stop);
}

TEST(Solvers, ANamedToolClearsTheWay) {
  Library l;
  l.refuses = "blocked";
  l.cleared_by = "close_loan";
  l.prompt =
      "Extend the open loan of Ada Byron; there is an obstacle at the moment, so remove that "
      "first; use close_loan once for that and nothing else.";
  EXPECT_EQ(l.run("greedy").kind, Ending::Kind::submit);
  EXPECT_EQ(l.writes(), (std::vector<std::string>{R"(extend_loan{"loan_id":"LO-0001"})",
                                                  R"(close_loan{"loan_id":"LO-0001"})",
                                                  R"(extend_loan{"loan_id":"LO-0001"})"}));
}

TEST(Solvers, TheFirstStepIsTakenBackWhereTheSecondIsRefused) {
  for (const bool refused : {true, false}) {
    Library l;
    if (refused) l.refuses = "too_dear";
    l.prompt =
        "Open a loan for Ada Byron. Then extend the open loan of Ada Byron; should that be "
        "refused, take the first step back (close_loan).";
    EXPECT_EQ(l.run("greedy").kind, Ending::Kind::submit);
    std::vector<std::string> wanted = {R"(open_loan{"reader_id":"RE-0001"})",
                                       R"(extend_loan{"loan_id":"LO-0001"})"};
    if (refused) wanted.emplace_back(R"(close_loan{"loan_id":"LO-0009"})");
    EXPECT_EQ(l.writes(), wanted);
  }
}

TEST(Solvers, ADutyOfTheHandbookIsDoneButNotByNoPolicy) {
  const auto written = [](const char* solver, const char* least) {
    Library l;
    l.env.policy.handbook +=
        std::string("3. Whoever closes any loan whose fee is above ") + least +
        " cents also extends it (close_loan, then extend_loan; no tool does this by itself).\n";
    l.prompt = "Close the open loan of Ada Byron.";
    l.run(solver);
    return l.writes().size();
  };
  EXPECT_EQ(written("greedy", "50"), 2U);
  EXPECT_EQ(written("greedy", "150"), 1U);
  EXPECT_EQ(written("no-policy", "50"), 1U);
}

TEST(Solvers, SeveralRecordsGoInOneCallWhereTheToolTakesThem) {
  Library l;
  l.env.tools[2].input = parse(
      R"({"type":"object","properties":{"loan_ids":{"type":"array","items":{"type":"string"}}},"required":["loan_ids"]})");
  l.prompt = "Extend all open loans.";
  l.run("no-policy");
  EXPECT_EQ(l.writes(),
            (std::vector<std::string>{R"(extend_loan{"loan_ids":["LO-0001","LO-0002"]})"}));
}

TEST(Solvers, GreedyFillsTheFormByItsDescriptions) {
  Library library;
  library.prompt = "Give me the ids of all open loans and the sum of their fee.";
  library.submit = parse(
      R"({"type":"object","properties":{"record_ids":{"type":"array","items":{"type":"string"},"description":"the ids of those loans"},"total":{"type":"integer","description":"the sum of their fee"}},"required":["record_ids","total"]})");
  const Ending ending = library.run("greedy");
  EXPECT_EQ(dump(ending.args), R"({"record_ids":["LO-0001","LO-0002"],"total":1000})");
  EXPECT_TRUE(library.writes().empty());
}

TEST(Solvers, EachIsDeterministicAndBounded) {
  for (const auto name : kSolvers) {
    Library one, two;
    one.prompt = two.prompt =
        "Close each loan of Ada Byron, then open a loan for Carl Gauss and extend the loan that "
        "has "
        "the highest fee.";
    const Ending a = one.run(name), b = two.run(name);
    EXPECT_EQ(a.kind, b.kind) << name;
    EXPECT_EQ(a.args, b.args) << name;
    EXPECT_EQ(one.writes(), two.writes()) << name;
    EXPECT_LE(one.made.size(), static_cast<std::size_t>(kMaxCalls)) << name;
  }
}

TEST(Solvers, TheEmptyOnesCallNothing) {
  for (const auto* name : {"refuse-all", "prompt-echo"}) {
    Library library;
    library.prompt = "Close the loan of Ada Byron.";
    library.run(name);
    EXPECT_TRUE(library.made.empty());
  }
}

TEST(Solvers, NothingBreaksThem) {
  for (const auto* prompt :
       {"", "if", "If , otherwise", "\"", "....;;;", "\xC3\xA9t\xC3\xA9 If above 3, x"})
    for (const auto name : kSolvers) {
      Library library;
      library.prompt = prompt;
      library.submit = parse(R"({"type":"object"})");
      EXPECT_NE(library.run(name).kind, Ending::Kind::stop) << name;
    }
  const Catalog nothing = catalog_of({});
  const Value submit = Value::object();
  const Ways ways{.call = [](const auto&) -> Result<std::vector<ToolResult>> {
                    return std::vector<ToolResult>();
                  },
                  .say = [](const auto&) -> Result<std::optional<std::string>> {
                    return std::optional<std::string>();
                  }};
  for (const auto name : kSolvers) EXPECT_TRUE(solve(name, {nothing, "Do it.", submit}, ways).ok());
  EXPECT_FALSE(solve("bfs-7", {nothing, "Do it.", submit}, ways).ok());
}

TEST(Words, StemsJoinWhatBelongsTogether) {
  for (const auto& [a, b] :
       std::vector<std::pair<const char*, const char*>>{{"cancelled", "cancel"},
                                                        {"entries", "entry"},
                                                        {"exhibits", "exhibit"},
                                                        {"placing", "place"},
                                                        {"escalated", "escalate"}})
    EXPECT_EQ(stem_of(a), stem_of(b));
  EXPECT_NE(stem_of("class"), stem_of("clas"));
  EXPECT_EQ(stems_of_name("listPickUpPoints"),
            (std::vector<std::string>{"list", "pick", "up", "point"}));
}

TEST(Words, DaysAreCountedFromTheYear2000) {
  EXPECT_EQ(day_of("2000-01-01"), 0);
  EXPECT_EQ(day_of("2000-03-01"), 60);
  EXPECT_EQ(day_of("2031-03-05 14:30"), 11'386);
  EXPECT_FALSE(day_of("2031-13-05"));
  EXPECT_FALSE(day_of("none"));
}

TEST(Words, NamesAreRunsOfCapitals) {
  const auto names = name_candidates("Move Arjun Christou up, and note SL-0018 of The Old Mill.");
  EXPECT_EQ(names, (std::vector<std::string>{"Move Arjun Christou", "Arjun Christou", "SL-0018",
                                             "The Old Mill"}));
}

TEST(Words, ClausesEndAtSentencesAndTurns) {
  const auto clauses = clauses_of("Do A. Then do B; otherwise C at 3.5!");
  ASSERT_EQ(clauses.size(), 3U);
  EXPECT_EQ(clauses[1], "Then do B");
  EXPECT_EQ(clauses[2], "otherwise C at 3.5");
}

}  // namespace
}  // namespace seedbed::tasks::solvers
