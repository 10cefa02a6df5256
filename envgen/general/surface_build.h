// The forms of a surface as they are put together; inside the generator only.
#pragma once
#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "envgen/general/surface.h"

namespace seedbed::envgen {

struct Builder {
  const World& world;
  const Skin& skin;
  Surface surface;
  std::set<std::string> taken;
  std::vector<bool> offered;    // by transition
  std::vector<bool> findable;   // by concept: has a tool that finds it by name
  std::vector<bool> listable;   // by concept: has a tool that lists it
  std::vector<bool> derivable;  // by concept: derived terms that no find shows have a tool
  Rng filters_off{0};
  bool drop_filters = false;

  [[nodiscard]] bool has(std::string_view pass) const {
    return std::find(surface.passes.begin(), surface.passes.end(), pass) != surface.passes.end();
  }
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

// Every offered transition and what reads the concepts, anew.
void build_tools(Builder& b);
inline constexpr std::size_t kMaxQueries = 5;
// Tools as many as the world wishes: what each concept needs, then what there is room for. In the
// place of the passes' usual order.
void make_few_tools(Builder& b, const Rng& rng);
// Passes that rewrite forms already built: all that apply.
void rewrite_forms(Builder& b, const Rng& rng, bool bundles);
void pass_units(Builder& b, Rng rng);
void pass_defaults(Builder& b, Rng rng);
void pass_bundle(Builder& b, Rng rng);
void pass_batch(Builder& b, Rng rng);
void pass_transient(Builder& b, Rng rng);

}  // namespace seedbed::envgen
