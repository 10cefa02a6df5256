// Normal forms of submitted answers: what may be written in several ways is compared in one. ASCII
// only, no locale.
//
//   integer  25 = 25.0 = "25" = " 25 " = "+25" = "1,250" without its comma; no fraction, no
//   exponent in text text     case, repeated, leading and trailing white space, and trailing full
//   stops do not count date     2031-03-05 | 5 March 2031 | March 5, 2031 | 05/03/2031 (DAY FIRST),
//   each with an optional time 14:30;
//            normal form 2031-03-05 or 2031-03-05 14:30; midnight is the same as no time
//   set      items as text, order and duplicates ignored
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/task.h"
#include "schemas/value.h"

namespace seedbed::tasks {

std::string normal_text(std::string_view text);
std::optional<std::string> normal_integer(std::string_view text);
std::optional<std::string> normal_date(std::string_view text);
// Sorted, each once; empty optional where the value is no array of texts and integers.
std::optional<std::vector<std::string>> normal_set(const schemas::Value& value);
// One value read as the type (not set); empty where it cannot be read so.
std::optional<std::string> normal_form(schemas::AnswerType type, const schemas::Value& value);

// Whether a submitted value (nullptr where absent) is one of the accepted ones. `accept` may be
// written in any form that reads as the type.
bool accepts(const schemas::AnswerField& field, const schemas::Value* submitted);
// The accepted forms, normalised, each once, sorted; empty optional where one of them does not read
// as the type.
std::optional<std::vector<std::string>> normal_accept(const schemas::AnswerField& field);

}  // namespace seedbed::tasks
