// A plan as the plain teacher says it: what is to be done, from its end, each time by words of the
// request, the tool that they name, and what the request gives to it; then the order of the calls.
#pragma once
#include <string>
#include <string_view>

#include "agent/teacher_reason.h"

namespace seedbed::agent {

// The tool of a step, or the reserved one.
std::string name_of(const schemas::GoldStep& step);
bool is_page(const schemas::GoldStep& step);  // it leads on through a list

// The words of a sentence of the request, from the first to the last that the tool's name has in
// any form: the shortest stretch that has most of them. Where the tool does something and the
// stretch lacks a word of its name, the words that begin the wish come before: they say what is to
// be done. "" where none is said.
std::string phrase_of(std::string_view tool, std::string_view request);

// At the first step: of the whole task. Where the request has a second best or a condition, what is
// to be done is not known yet: then of what is read for the first wish, and of the rest where that
// was seen. "" at others.
// "Plan: submit_result; take back each running crate loan: take_back_crate_loan; crate loan:
// list_crate_loans, running for state.
// Order: list_crate_loans, take_back_crate_loan, submit_result. "
std::string plan(const Outlook& outlook, const Facts& facts);

}  // namespace seedbed::agent
