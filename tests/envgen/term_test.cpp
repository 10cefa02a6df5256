#include <gtest/gtest.h>

#include "envgen/general/world.h"
#include "fixture.h"

namespace seedbed::envgen {
namespace {

// One mechanism alone: names as its pack has them.
struct Reservation : ::testing::Test {
  void SetUp() override {
    ComposeKnobs knobs;
    knobs.only = {"reservation"};
    auto w = compose(built_in(), Rng(3), knobs);
    ASSERT_TRUE(w.ok()) << w.error().message;
    world = *w;
    auto f = make_facts(*world, Rng(4));
    ASSERT_TRUE(f.ok()) << f.error().message;
    facts = *f;
  }
  std::int64_t value(const std::string& text) {
    Names names = names_for(*world, 0);
    auto term = parse_term(text, names, "test");
    EXPECT_TRUE(term.ok()) << (term.ok() ? "" : term.error().message);
    return term.ok() ? eval_closed(**term, facts, world->now) : kNone;
  }
  std::string error(const std::string& text) {
    Names names = names_for(*world, 0);
    auto term = parse_term(text, names, "test");
    return term.ok() ? "parsed" : term.error().message;
  }
  std::shared_ptr<World> world;
  Facts facts;
};

TEST_F(Reservation, ArithmeticBindsAsInSchool) {
  EXPECT_EQ(value("1 + 2 * 3 - 4 / 2"), 5);
  EXPECT_EQ(value("(1 + 2) * 3"), 9);
  EXPECT_EQ(value("10 - 3 - 2"), 5);
}

TEST_F(Reservation, ConditionsBindLooserThanComparisons) {
  EXPECT_EQ(value("1 < 2 and 3 = 3 or 1 = 2"), 1);
  EXPECT_EQ(value("not 1 = 2"), 1);
  EXPECT_EQ(value("1 = 2 or not (2 > 1)"), 0);
}

TEST_F(Reservation, CountsSumsAndExtremesAgreeWithALoop) {
  const int c = world->concept_named("reservation.booking");
  const int state = world->concepts[static_cast<std::size_t>(c)].attr("state"),
            fee = world->concepts[static_cast<std::size_t>(c)].attr("fee");
  std::int64_t held = 0, sum = 0, best = kNone, best_key = kNone;
  for (const auto& row : facts.tables[static_cast<std::size_t>(c)].rows) {
    held += row.values[static_cast<std::size_t>(state)] == 0 ? 1 : 0;
    const std::int64_t v = row.values[static_cast<std::size_t>(fee)];
    sum += v;
    if (best == kNone || v < best) {
      best = v;
      best_key = row.key;
    }
  }
  EXPECT_EQ(value("count(b: booking | b.state = 'held')"), held);
  EXPECT_EQ(value("sum(b: booking | true, b.fee)"), sum);
  EXPECT_EQ(value("min(b: booking | true, b.fee)"), best);
  EXPECT_EQ(value("argmin(b: booking | true, b.fee) = none"), 0);
  Names names = names_for(*world, 0);
  EXPECT_EQ(eval_closed(**parse_term("argmin(b: booking | true, b.fee)", names, "test"), facts,
                        world->now),
            best_key);
}

TEST_F(Reservation, AnEmptyExtremeIsNone) {
  EXPECT_EQ(value("argmax(b: booking | b.fee < 0, b.fee) = none"), 1);
  EXPECT_EQ(value("sum(b: booking | b.fee < 0, b.fee)"), 0);
}

TEST_F(Reservation, MistakesAreNamedWhereTheyStand) {
  EXPECT_NE(error("b.fee > 1").find("unknown name 'b'"), std::string::npos);
  EXPECT_NE(error("count(b: boking | true)").find("no concept or role 'boking'"),
            std::string::npos);
  EXPECT_NE(error("count(b: booking | b.fe > 1)").find("no attribute 'fe'"), std::string::npos);
  EXPECT_NE(error("count(b: booking | b.state = 'hold')").find("'hold' is no value"),
            std::string::npos);
  EXPECT_NE(error("1 + ").find("ends too early"), std::string::npos);
  EXPECT_NE(error("1 2").find("after the end"), std::string::npos);
  EXPECT_NE(error("count(b: booking | b.made - now > 3)").find("dates allow only"),
            std::string::npos);
  EXPECT_NE(error(std::string(200, '(')).find("nested too deep"), std::string::npos);
}

TEST_F(Reservation, AFailedGuardChangesNothing) {
  int checked = 0;
  for (int t = 0; t < static_cast<int>(world->transitions.size()); ++t) {
    Rng rng(7);
    for (int i = 0; i < 50; ++i) {
      const auto args =
          sample_args(*world, world->transitions[static_cast<std::size_t>(t)], facts, rng);
      Facts after = facts;
      if (apply(*world, t, args, after).ok) continue;
      ++checked;
      for (std::size_t c = 0; c < facts.tables.size(); ++c)
        ASSERT_EQ(after.tables[c].rows, facts.tables[c].rows);
    }
  }
  EXPECT_GT(checked, 10);
}

TEST(Dates, RoundTripOverFourCenturies) {
  EXPECT_EQ(iso_date(0), "2000-01-01");
  EXPECT_EQ(iso_date(59), "2000-02-29");
  EXPECT_EQ(iso_date(366), "2001-01-01");
  for (std::int64_t day = -70'000; day < 80'000; day += 13)
    ASSERT_EQ(day_of_iso(iso_date(day)), day);
  EXPECT_EQ(day_of_iso("2031-02-30"), kNone);
  EXPECT_EQ(day_of_iso("2031-2-03"), kNone);
}

}  // namespace
}  // namespace seedbed::envgen
