// The forms of a surface as they are put together; inside the generator only.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "envgen/general/surface.h"

namespace seedbed::envgen {

struct Builder {
  const World& world;
  const Skin& skin;
  Surface surface;
  std::set<std::string> taken;
  std::vector<bool> offered;   // by transition
  std::vector<bool> findable;  // by concept: has a tool that finds it by name
  Rng filters_off{0};
  bool drop_filters = false;

  std::string unique(const std::string& verb, const std::string& noun);
  ToolParam ref_param(std::set<std::string>& names,
                      int target,
                      const std::string& hint,
                      int index,
                      bool by_name) const;
  void add_transition(int id);
  void add_reads(int concept_id);
  void add_query(int read);
  void name_value(ToolParam& p, const Param& param, std::set<std::string>& names) const;
  void add_recent(int concept_id);
};

// Passes that rewrite forms already built.
void pass_units(Builder& b, Rng rng);
void pass_defaults(Builder& b, Rng rng);
void pass_bundle(Builder& b, Rng rng);
void pass_batch(Builder& b, Rng rng);
void pass_transient(Builder& b, Rng rng);

}  // namespace seedbed::envgen
