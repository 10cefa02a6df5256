#include <gtest/gtest.h>

#include <ostream>

#include "tasks/normal.h"

namespace seedbed::tasks {
namespace {

using schemas::AnswerField;
using schemas::AnswerType;
using schemas::Value;

struct Case {
  AnswerType type;
  Value written;
  const char* normal;  // nullptr: does not read as the type
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << dump(c.written);
}

class NormalForms : public testing::TestWithParam<Case> {};

TEST_P(NormalForms, ReadAsTheyShould) {
  const auto& c = GetParam();
  const auto form = normal_form(c.type, c.written);
  EXPECT_EQ(form.value_or("(none)"), c.normal == nullptr ? "(none)" : c.normal) << dump(c.written);
}

INSTANTIATE_TEST_SUITE_P(Integers,
                         NormalForms,
                         testing::Values(Case{AnswerType::integer, 25, "25"},
                                         Case{AnswerType::integer, 25.0, "25"},
                                         Case{AnswerType::integer, "25", "25"},
                                         Case{AnswerType::integer, " 25 ", "25"},
                                         Case{AnswerType::integer, "25.00", "25"},
                                         Case{AnswerType::integer, "+25", "25"},
                                         Case{AnswerType::integer, "1,250", "1250"},
                                         Case{AnswerType::integer, "-1,250,000.0", "-1250000"},
                                         Case{AnswerType::integer, "007", "7"},
                                         Case{AnswerType::integer, "-0", "0"},
                                         Case{AnswerType::integer, "9223372036854775807",
                                              "9223372036854775807"},
                                         Case{AnswerType::integer, "9223372036854775808", nullptr},
                                         Case{AnswerType::integer, "12,50", nullptr},
                                         Case{AnswerType::integer, ",250", nullptr},
                                         Case{AnswerType::integer, "1,2500", nullptr},
                                         Case{AnswerType::integer, "25.5", nullptr},
                                         Case{AnswerType::integer, 25.5, nullptr},
                                         Case{AnswerType::integer, "2e3", nullptr},
                                         Case{AnswerType::integer, "", nullptr},
                                         Case{AnswerType::integer, ".", nullptr},
                                         Case{AnswerType::integer, "25 or 26", nullptr},
                                         Case{AnswerType::integer, true, nullptr},
                                         Case{AnswerType::integer, Value(), nullptr},
                                         Case{AnswerType::integer, 1e300, nullptr}));

INSTANTIATE_TEST_SUITE_P(Texts,
                         NormalForms,
                         testing::Values(Case{AnswerType::text, "  Ada   LOVELACE. ",
                                              "ada lovelace"},
                                         Case{AnswerType::text, "a\t\nb", "a b"},
                                         Case{AnswerType::text, "B-301", "b-301"},
                                         Case{AnswerType::text, "1.5", "1.5"},
                                         Case{AnswerType::text, 7, "7"},
                                         Case{AnswerType::text, "", ""},
                                         Case{AnswerType::text, "J. Doe", "j. doe"},
                                         Case{AnswerType::text, Value::array(), nullptr},
                                         Case{AnswerType::text, true, "true"}));

INSTANTIATE_TEST_SUITE_P(
    Dates,
    NormalForms,
    testing::Values(Case{AnswerType::date, "2031-03-05", "2031-03-05"},
                    Case{AnswerType::date, "5 March 2031", "2031-03-05"},
                    Case{AnswerType::date, "March 5, 2031", "2031-03-05"},
                    Case{AnswerType::date, "05/03/2031", "2031-03-05"},
                    Case{AnswerType::date, "5.3.2031", "2031-03-05"},
                    Case{AnswerType::date, "5th of Mar. 2031", "2031-03-05"},
                    Case{AnswerType::date, "MARCH 5TH 2031.", "2031-03-05"},
                    Case{AnswerType::date, "2031-03-05 14:30", "2031-03-05 14:30"},
                    Case{AnswerType::date, "2031-03-05T14:30:00Z", "2031-03-05 14:30"},
                    Case{AnswerType::date, "5 March 2031, 14:30", "2031-03-05 14:30"},
                    Case{AnswerType::date, "March 5, 2031 at 2:30 pm", "2031-03-05 14:30"},
                    Case{AnswerType::date, "2031-03-05 00:00", "2031-03-05"},
                    Case{AnswerType::date, "5 March 2031 12:05 am", "2031-03-05 00:05"},
                    Case{AnswerType::date, "29 February 2032", "2032-02-29"},
                    Case{AnswerType::date, "29 February 2031", nullptr},
                    Case{AnswerType::date, "2031-13-05", nullptr},
                    Case{AnswerType::date, "05/13/2031", nullptr},
                    Case{AnswerType::date, "2031-03-05 24:00", nullptr},
                    Case{AnswerType::date, "2031-03-05 14:30:17", nullptr},
                    Case{AnswerType::date, "5 March", nullptr},
                    Case{AnswerType::date, "March 2031", nullptr},
                    Case{AnswerType::date, "2031-03-05 or so", nullptr},
                    Case{AnswerType::date, 20310305, nullptr},
                    Case{AnswerType::date, "", nullptr}));

TEST(Accepts, SetsCountNeitherOrderNorDuplicates) {
  const AnswerField field{"ids", AnswerType::set, {"B-2", "b-1"}};
  const auto set = [](Value::Array items) { return Value(std::move(items)); };
  const Value right = set({"b-1", "B-2 ", "B-1"}), short_one = set({"B-1"}),
              long_one = set({"B-1", "B-2", "B-3"}), nested = set({Value::array()});
  EXPECT_TRUE(accepts(field, &right));
  EXPECT_FALSE(accepts(field, &short_one));
  EXPECT_FALSE(accepts(field, &long_one));
  EXPECT_FALSE(accepts(field, &nested));
  EXPECT_FALSE(accepts(field, nullptr));
}

TEST(Accepts, AnyOfTheAcceptedForms) {
  const AnswerField field{"n", AnswerType::integer, {"25", "30"}};
  const Value a = "30.0", b = 31;
  EXPECT_TRUE(accepts(field, &a));
  EXPECT_FALSE(accepts(field, &b));
  EXPECT_FALSE(normal_accept({"n", AnswerType::integer, {"x"}}).has_value());
}

}  // namespace
}  // namespace seedbed::tasks
