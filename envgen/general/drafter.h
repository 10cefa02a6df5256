// The parts of a draft: what is to be submitted, the verifier, near misses, variants.
#pragma once
#include <string>
#include <vector>

#include "envgen/general/goal.h"

namespace seedbed::envgen {

// Of one goal over one lowered environment; both outlive it. `final_facts` are the facts after the
// goal's operations.
struct Drafter {
  const Lowered& l;
  const Goal& goal;
  const World& w;
  Facts final_facts;
  schemas::Value answer_value(const Answer& a, const Facts& facts) const;
  schemas::AnswerType answer_type(const Answer& a) const;
  schemas::Value submission(const Facts& facts) const;
  schemas::Value submit_schema() const;
  schemas::Verifier verifier() const;
  void add_delta(schemas::Verifier& v) const;
  void add_post(schemas::Verifier& v) const;
  void add_obligations(schemas::Verifier& v) const;
  void add_choice(schemas::Verifier& v) const;
  using Steps = std::vector<schemas::GoldStep>;
  std::vector<schemas::NearMiss> near_misses(const Steps& gold, Rng rng) const;
  std::vector<Steps> variants(const Steps& gold) const;
  // Whether each call of the plan does what it should in the World; the facts that it leaves.
  bool replay(const Steps& steps, Facts& facts) const;
};

inline std::string id_text(const schemas::Value& id) {
  return id.is_int() ? std::to_string(id.as_int()) : id.as_string();
}

}  // namespace seedbed::envgen
