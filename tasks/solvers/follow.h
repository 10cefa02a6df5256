// What follows on a call: words of the prompt that hang on a refusal or tell of more to come, tools
// that prompt or handbook name in full, duties, and what might clear a refusal's way.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tasks/solvers/operation.h"

namespace seedbed::tasks::solvers {

// A tool named in full, with the choices that stand in brackets behind it: "trip_update (action
// cancel)".
struct NamedTool {
  int tool = -1;
  std::vector<std::pair<std::string, std::string>> given;  // argument, word
  std::size_t begin = 0;                                   // within the text
};
// In the order of the text.
std::vector<NamedTool> tools_named(const Catalog& c, std::string_view text);

// "should that be impossible, ...": holds only where what stands before it was refused.
bool hangs_on_refusal(std::string_view clause);
// "There is more; ask me": the user has another request.
bool tells_of_more(std::string_view prompt);
// "put right whatever is behind the refusal": the thing asked for is refused at first.
bool tells_of_obstacle(std::string_view prompt);

// The call of a named tool on records: each reference the first fitting one of `rows`, else one
// that they point to or that points to them. Nothing where an argument stays open.
std::optional<Operation> call_on(const Catalog& c,
                                 const Knowledge& known,
                                 const NamedTool& named,
                                 const std::vector<RowRef>& rows);

// Rules of the handbook by which a call of the tool on the records is to be followed by another.
std::vector<NamedTool> duties_of(const Catalog& c, const Knowledge& known, const Operation& done);

// What to try where an operation was refused with the code, best first, at most `most`: the tools
// that the prompt names, else those that act on what the code's rule speaks of; each on records
// beside those of the operation.
struct WayOut {
  std::vector<int> nouns;  // to be read anew first
  std::vector<NamedTool> tools;
  std::string_view rule;  // of the handbook; "" where none gives the code
};
WayOut way_out(const Catalog& c,
               std::string_view prompt,
               const Operation& refused,
               std::string_view code,
               bool reads_handbook);
std::vector<Operation> clearing_calls(const Catalog& c,
                                      const Knowledge& known,
                                      const WayOut& way,
                                      const Operation& refused,
                                      std::size_t most);

}  // namespace seedbed::tasks::solvers
