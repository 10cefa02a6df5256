// The knobs by which tasks are meant to differ, and which combinations of their values occur. The
// domain is a table and the excluded pairs follow from rules that say why: neither looks at data.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tasks/diversity/facts.h"

namespace seedbed::tasks::diversity {

struct KnobValue {
  std::string name;                // "3-4", "refuse", "on"
  std::int64_t low = 0, high = 0;  // of a number, both included
};
struct KnobDomain {
  std::string name;
  std::vector<KnobValue> values;
  bool of_environment = false;
};
// Passes of generators come from whoever knows them, so that this module need not.
std::vector<KnobDomain> knob_table(const std::vector<std::string>& layout_passes,
                                   const std::vector<std::string>& surface_passes);

struct KnobPair {
  std::size_t knob_a = 0, value_a = 0, knob_b = 0, value_b = 0;
  std::string why;  // of an excluded pair
};

struct Coverage {
  std::vector<KnobDomain> domain;
  std::vector<std::vector<std::int64_t>> occupancy;  // tasks by knob and value
  std::vector<std::string> outside;                  // "kind: x 12": values that the table lacks
  std::int64_t pairs = 0, pairs_covered = 0;         // excluded ones left out
  std::int64_t triples = 0, triples_covered = 0;     // those with an excluded pair left out
  std::vector<KnobPair> missing, excluded;
  std::vector<KnobPair> contradicted;  // excluded pairs that do occur: a rule is wrong
  // Tasks by two values, numbered through all knobs: row * values + column.
  std::vector<std::int64_t> pair_counts;
  std::size_t values = 0;
};

Coverage coverage_of(const std::vector<KnobDomain>& domain,
                     const std::vector<EnvironmentFacts>& environments);

}  // namespace seedbed::tasks::diversity
