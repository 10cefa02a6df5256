// Wrong calls that change nothing, made before a right one: what a model does that has not read the
// tool, or does not look at what it was told.
#pragma once
#include <optional>
#include <string>

#include "agent/client.h"
#include "agent/teacher_facts.h"
#include "base/rng.h"

namespace seedbed::agent {

enum class MistakeKind : std::uint8_t {
  argument_name,   // not one of the tool's
  argument_value,  // of another type, or none of the choices
  missing,         // a required argument is left out
  tool_name,       // nearly right
  unknown_id,      // of tools that only read
  extra,           // an argument of another tool's besides
  other_finder,    // a name is sought among records of another kind
  needless         // a list of records that nothing is done with
};
struct Mistake {
  MistakeKind kind = MistakeKind::needless;
  ReplyCall call;
  // What was right: the argument's or tool's name or value; and what stands in its place.
  std::string right, wrong, argument;
};

// A tool instead of the right one, which a plan may have already. finder: one that finds by a name,
// with the name that `right` finds or one of the request; or else one that is no tool, but nearly
// `right`. Nothing where there is none.
std::optional<Mistake> make_wrong_tool(
    const View& view, const ReplyCall& right, const Facts& facts, bool finder, Rng& rng);

// Before `right`, of a kind drawn from those that can be. Nothing where no
// mistake is sure to change nothing: calls that write are refused by their schema, others only
// read.
std::optional<Mistake> make_mistake(const View& view,
                                    const ReplyCall& right,
                                    const Facts& facts,
                                    Rng& rng);

}  // namespace seedbed::agent
