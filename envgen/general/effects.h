// From a pack's text to transitions of a world.
#pragma once
#include <string>
#include <vector>

#include "envgen/general/world.h"

namespace seedbed::envgen {

Result<Transition> build_transition(World& world, int mechanism, const PackTransition& pack);
// Split at separators that stand in no bracket.
std::vector<std::string> split_top(const std::string& text, char separator);
const PackTransition& pack_transition(const World& world, const Transition& t);
// The arguments that the emitter's event gives to the reaction, matched by type; empty where they
// do not fit. With `lenient`, an argument that does not parse (it uses an attribute left out)
// counts as absent.
Result<std::vector<TermPtr>> match_event(World& world, int transition, int reaction, bool lenient);

}  // namespace seedbed::envgen
