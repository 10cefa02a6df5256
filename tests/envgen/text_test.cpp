// Prompts read over whole environments: no faults, no constant lost or doubled, tones that can say
// everything.
#include "envgen/text/text.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "envgen/general/goal.h"
#include "fixture.h"

namespace seedbed::envgen {
namespace {

constexpr const char* kKinds[] = {"lookup",  "aggregate", "achieve", "multi", "each",
                                  "if",      "choose",    "refuse",  "ask",   "exception",
                                  "restore", "fallback",  "saga",    "talk",  "duty"};

// Visits goals of a few environments, each with what is said of it.
template <class F>
void over_goals(std::int64_t slots, std::uint64_t draws, F&& visit) {
  const auto request = request_of(slots, 1, "texts");
  for (std::int64_t slot = 0; slot < slots; ++slot) {
    const auto made = make_environment(built_in(), request, slot, 0);
    if (!made.ok()) continue;
    for (const char* kind : kKinds)
      for (std::uint64_t i = 0; i < draws; ++i) {
        const Rng rng = rng_for(3, kind, static_cast<std::uint64_t>(slot) * draws + i, "goal");
        if (const auto goal = draw_goal(**made, kind, rng)) visit(**made, *goal, rng);
      }
  }
}

TEST(Registers, EachToneCanSayWhatItMust) {
  ASSERT_GE(registers().size(), 22U);
  std::set<std::string> names;
  for (const auto& r : registers()) {
    EXPECT_TRUE(names.insert(r.name).second) << r.name;
    EXPECT_GE(r.openings.size(), 6U) << r.name;
    EXPECT_GE(r.first.size(), 6U) << r.name;
    EXPECT_GE(r.next.size(), 5U) << r.name;
    EXPECT_GE(r.closings.size(), 5U) << r.name;
    EXPECT_GE(r.reasons.size(), 4U) << r.name;
    for (const auto* frames : {&r.first, &r.next}) {
      int open = 0;
      for (const auto& f : *frames) {
        EXPECT_NE(f.find("{}"), std::string::npos) << r.name << ": " << f;
        open += wants(f) == Wants::clause ? 1 : 0;
      }
      EXPECT_GE(open, 1) << r.name << " has no frame for a clause without a verb in front";
    }
  }
  for (const auto& x : built_in().lexicons)
    for (const auto& tone : x.registers) EXPECT_EQ(names.count(tone), 1U) << x.name << ": " << tone;
}

TEST(Registers, ALexiconKeepsToItsTones) {
  Rng rng(8);
  std::set<std::string> all, some;
  for (int i = 0; i < 400; ++i) {
    all.insert(pick_register({}, rng).name);
    some.insert(pick_register({"curt", "ticket", "unheard of"}, rng).name);
  }
  EXPECT_EQ(all.size(), registers().size());
  EXPECT_EQ(some, (std::set<std::string>{"curt", "ticket"}));
}

TEST(Clauses, OnlyPhrasesThatBeginWithAVerbAreTakenForImperatives) {
  EXPECT_EQ(clause_of("cancel the order"), Clause::short_verb);
  EXPECT_EQ(clause_of("find out why it is refused: then do it"), Clause::verb);
  for (const char* text : {"of all loans, extend the first", "for every order, pick it",
                           "if it is open, close it", "{p} has paid what was next: book it",
                           "the money has come in: take it", "from today, it is to cost more",
                           "whoever is next gives way", "among the orders, cancel the last"})
    EXPECT_EQ(clause_of(text), Clause::any) << text;
  // Over the packs: whatever starts with a slot or a lower-case word that is no verb of the list.
  int known = 0, all = 0;
  const auto count = [&](const std::vector<std::string>& phrases) {
    for (const auto& p : phrases) {
      ++all;
      known += clause_of(p) != Clause::any ? 1 : 0;
      if (p[0] == '{') {
        EXPECT_EQ(clause_of(p), Clause::any) << p;
      }
    }
  };
  for (const auto& m : built_in().mechanisms) {
    for (const auto& t : m.transitions) count(t.say);
    for (const auto& g : m.goals) count(g.say);
  }
  EXPECT_GT(all, 500);
  EXPECT_GT(known * 100, all * 85);
  EXPECT_LT(known, all);
}

TEST(Grammar, NumbersArticlesAndStatesAgree) {
  EXPECT_EQ(tidy("draw 1 units from a allotment"), "draw 1 unit from an allotment");
  EXPECT_EQ(tidy("add 1 more copies, level 1 tickets, 11 units"),
            "add 1 more copy, level 1 tickets, 11 units");
  EXPECT_EQ(tidy("list all promised promised gifts of the the club"),
            "list all \"promised\" promised gifts of the club");
  EXPECT_EQ(tidy("move it to 2031-01-11 unless 1 is left"),
            "move it to 2031-01-11 unless 1 is left");
  EXPECT_EQ(value_words(Type::integer, "swims", "1"), "with 1 swim");
  EXPECT_EQ(value_words(Type::integer, "units left", "4"), "with 4 units left");
  EXPECT_EQ(value_words(Type::integer, "lesson count", "2"), "whose lesson count is 2");
  EXPECT_EQ(value_words(Type::date, "waiting since", "2031-05-02"), "waiting since 2031-05-02");
  EXPECT_EQ(extreme_ending(Type::date, "waiting since", false), "waiting since the latest day");
  EXPECT_EQ(extreme_words(Type::integer, "trays thawed", true, 0), "fewest trays thawed");
  EXPECT_EQ(extreme_words(Type::date, "return date", true, 0), "earliest return date");
  EXPECT_EQ(extreme_words(Type::integer, "most calls at once", false, 0),
            "highest \"most calls at once\"");
  EXPECT_EQ(value_words(Type::integer, "most calls at once", "3"),
            "whose \"most calls at once\" is 3");
}

TEST(Grammar, AParticleStandsByItsVerb) {
  Rng rng(4);
  const std::string words = "the order from Dana Reyes that has the latest order date";
  EXPECT_EQ(pick_phrase({"call {b} off"}, {{"b", words}}, rng), "call off {b}");
  EXPECT_EQ(pick_phrase({"call {b} off"}, {{"b", "Dana"}}, rng), "call {b} off");
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(pick_phrase({"call {b} off", "cancel {b}"}, {{"b", words}}, rng), "cancel {b}");
}

TEST(Faults, AreFound) {
  for (const char* bad :
       {"May I ask you to of all loans extend one.", "Please of all loans, extend one.",
        "Task: If it is open, close it.", "Draw 1 units.", "Cancel the the order.", "Take a apple.",
        "Choose two the orders.", "Cancel {b}.", "Done..", "Done?.",
        "The one with the latest waiting since.", "Please please cancel it."})
    EXPECT_FALSE(faults_of(bad).empty()) << bad;
  EXPECT_TRUE(faults_of("Hello. Could you draw 1 unit, please? Well... thank you.").empty());
}

TEST(Asides, OfEveryLexiconReadWell) {
  for (const auto& x : built_in().lexicons)
    for (const auto& text : x.asides)
      for (const auto& fault : faults_of(text))
        ADD_FAILURE() << x.name << ": " << fault << ": " << text;
}

TEST(Prompts, HaveNoFaultsAndSayEveryConstantAsOftenAsTheRequests) {
  std::map<std::string, int> tones;
  std::set<std::string> shapes;
  int n = 0;
  over_goals(24, 6, [&](const Lowered& l, const Goal& goal, const Rng& rng) {
    const std::string prompt = prompt_of(l, goal, rng.fork("prompt"));
    EXPECT_EQ(prompt, prompt_of(l, goal, rng.fork("prompt")));
    std::vector<std::string> later;
    for (std::size_t i = 0; i < goal.turns.size(); ++i)
      later.push_back(later_request(l, goal, i, rng.fork("later", i)));
    std::string why;
    EXPECT_TRUE(says_all(content_of(l, goal), prompt, later, &why)) << why << "\n" << prompt;
    later.push_back(prompt);
    for (const auto& text : later)
      for (const auto& fault : faults_of(text)) ADD_FAILURE() << fault << " in\n" << text;
    ++n;
  });
  EXPECT_GT(n, 1000);
}

TEST(ContentPlan, IsReadBackWithItsConstantsAndEachDescriptionFitsOneFact) {
  int n = 0, operations = 0, described = 0;
  std::size_t longest = 0, letters = 0;
  over_goals(12, 4, [&](const Lowered& l, const Goal& goal, const Rng&) {
    const std::string text = plan_text(l, goal);
    const auto read = parse_plan(l, text);
    ASSERT_TRUE(read.ok()) << read.error().message << "\n" << text;
    EXPECT_EQ(read->expression, goal.expression);
    EXPECT_EQ(plan_text(l, *read), text);
    ASSERT_EQ(read->operations.size(), goal.operations.size());
    for (std::size_t i = 0; i < goal.operations.size(); ++i) {
      EXPECT_EQ(read->operations[i].transition, goal.operations[i].transition);
      EXPECT_EQ(read->operations[i].args, goal.operations[i].args) << text;
      ++operations;
    }
    // The same terms: the same answers over the facts.
    ASSERT_EQ(read->answers.size(), goal.answers.size());
    EXPECT_EQ(outcome_of(l, *read, -1), [&] {
      Goal bare = goal;
      bare.needs.clear();
      bare.holds.clear();
      return outcome_of(l, bare, -1);
    }());
    EXPECT_TRUE(recovers(l, goal));
    for (const auto& o : goal.operations)
      for (const auto& r : o.refs)
        if (r.concept_id >= 0 && !r.by_name) {
          ++described;
          letters += r.phrase.size();
          longest = std::max(longest, r.phrase.size());
          // Nothing in it can be left out, but for the only thing that it can be searched by.
          for (std::size_t i = 0; r.filters.size() > 1 && i < r.filters.size(); ++i) {
            Reference less = r;
            less.filters.erase(less.filters.begin() + static_cast<std::ptrdiff_t>(i));
            const auto& attrs = l.world->concepts[static_cast<std::size_t>(r.concept_id)].attrs;
            if (std::none_of(less.filters.begin(), less.filters.end(), [&](const auto& f) {
                  const Type t = attrs[static_cast<std::size_t>(f.first)].domain.type;
                  return t == Type::word || t == Type::ref;
                }))
              continue;
            EXPECT_FALSE(fits_one(l, l.facts, less)) << r.phrase;
          }
        }
    ++n;
  });
  EXPECT_GT(n, 300);
  EXPECT_GT(operations, 200);
  ASSERT_GT(described, 50);
  EXPECT_LT(letters / static_cast<std::size_t>(described), 90U);
}

TEST(ContentPlan, AChangedPlanIsNotTheGoal) {
  int changed = 0;
  over_goals(3, 2, [&](const Lowered& l, const Goal& goal, const Rng&) {
    if (goal.operations.empty() || goal.operations[0].args.empty()) return;
    Goal other = goal;  // says one fact, means another
    auto& o = other.operations[0];
    if (o.refs[0].concept_id < 0) return;
    o.args[0] += 1;
    EXPECT_FALSE(recovers(l, other));
    ++changed;
  });
  EXPECT_GT(changed, 5);
  const auto made = make_environment(built_in(), request_of(1, 1, "texts"), 0, 0);
  ASSERT_TRUE(made.ok());
  for (const char* bad :
       {"(goal", "(do 0 -1 nothing.here 1)", "(what 1)", ")", "(mention 0 (the 999 (is 0 0)))",
        "(goal \"a\" \"b", "(tell \"x\" 0 0 value (plus 1 2 3 4 5 6))"})
    EXPECT_FALSE(parse_plan(**made, bad).ok()) << bad;
  EXPECT_FALSE(parse_plan(**made, std::string(4000, '(')).ok());
}

TEST(Content, ALostOrDoubledConstantIsNoticed) {
  Content c;
  c.requests = {"move 1250 cents of Dana Reyes to 2031-02-03"};
  c.constants = {{"1250", 0, 1}, {"Dana Reyes", 0, 1}, {"2031-02-03", 0, 1}};
  c.secret = "Pavel Morgan";
  EXPECT_TRUE(says_all(c, "Please move 1,250 cents of Dana Reyes to 2031-02-03.", {}));
  EXPECT_FALSE(says_all(c, "Please move cents of Dana Reyes to 2031-02-03.", {}));
  EXPECT_FALSE(says_all(c, "Move 1250 cents of Dana Reyes to 2031-02-03, Dana Reyes.", {}));
  EXPECT_FALSE(says_all(c, "Move 12500 cents of Dana Reyes to 2031-02-03.", {}));
  EXPECT_FALSE(says_all(c, "Move 1250 cents of Dana Reyes to 2031-02-03, Pavel Morgan.", {}));
  c.constants = {{"2", 0, 1}};
  EXPECT_TRUE(says_all(c, "Book two hours on 2031-02-02.", {}));
}

}  // namespace
}  // namespace seedbed::envgen
