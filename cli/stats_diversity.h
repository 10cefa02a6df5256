// The diversity report of a store for people: text on the terminal, one page of HTML.
#pragma once
#include <string>

#include "cli/commands.h"
#include "cli/output.h"
#include "tasks/diversity/report.h"

namespace seedbed::cli {

// Reads all of the store on every core; says how far it is on stderr.
Result<tasks::diversity::Report> measure_diversity(Context& context, const std::string& path);
void print_report(Output& out, const tasks::diversity::Report& report);
std::string diversity_html(const tasks::diversity::Report& report);  // one self-contained page

}  // namespace seedbed::cli
