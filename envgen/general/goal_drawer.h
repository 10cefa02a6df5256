// Drawing goals, one scheme a kind; inside the generator only. A drawer is used for one goal: its
// draws advance `rng`.
#pragma once
#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "envgen/general/goal.h"
#include "envgen/general/sentence.h"

namespace seedbed::envgen {

using Need = Goal::Need;
using Filters = std::vector<std::pair<int, std::int64_t>>;

struct Drawer {
  const Lowered& l;
  const World& w;
  Speaker say;
  Rng rng;

  // A fact as somebody speaks of it.
  struct Owner {
    std::int64_t key = kNone;
    std::string said, path;
    Reference mention;
    std::optional<Goal::Need> need;  // what must be read to know which it is
  };
  std::optional<Owner> owner_of(int concept_id);
  std::optional<Goal> lookup();
  std::optional<Goal> aggregate();
  std::optional<Goal> achieve();
  std::optional<Goal> multi();
  std::optional<Goal> each();
  std::optional<Goal> conditional();
  std::optional<Goal> refuse();
  std::optional<Goal> ask();
  std::optional<Goal> exception();
  std::optional<Goal> duty();
  std::optional<Goal> restore();
  std::optional<Goal> fallback();
  std::optional<Goal> saga();
  // A goal of the packs of the form; with `hide`, one given value is known to the user alone.
  enum class Form : std::uint8_t { tell, act, each, branch };
  std::optional<Goal> scheme(Form form, bool hide = false);
  std::optional<Goal> bind_scheme(int scheme, bool hide);
  // Two goals in one: asked for together, or one after the other by a user.
  std::optional<Goal> combine(Goal first, Goal second, bool by_turns);

  bool offered(int transition) const { return l.surface.offer(transition) != nullptr; }
  std::vector<int> transitions() {
    std::vector<int> out;
    for (int t = 0; t < static_cast<int>(w.transitions.size()); ++t)
      if (offered(t)) out.push_back(t);
    rng.shuffle(out);
    return out;
  }
  const Attr& attr(int c, int a) const {
    return w.concepts[static_cast<std::size_t>(c)].attrs[static_cast<std::size_t>(a)];
  }
  std::string noun(int c, int a) const {
    return l.skin.concepts[static_cast<std::size_t>(c)].nouns[static_cast<std::size_t>(a)];
  }
  const std::vector<Row>& rows(int c) const {
    return l.facts.tables[static_cast<std::size_t>(c)].rows;
  }
  std::vector<int> attrs_of(int c, const std::function<bool(const Domain&)>& f) {
    std::vector<int> out;
    for (int a = 0; a < static_cast<int>(w.concepts[static_cast<std::size_t>(c)].attrs.size()); ++a)
      if (f(attr(c, a).domain)) out.push_back(a);
    rng.shuffle(out);
    return out;
  }
  std::vector<int> own_concepts() {
    std::vector<int> out;
    for (int c = 0; c < static_cast<int>(w.concepts.size()); ++c)
      if (!w.concepts[static_cast<std::size_t>(c)].named()) out.push_back(c);
    rng.shuffle(out);
    return out;
  }
  Answer id_answer(const std::string& field,
                   int c,
                   std::int64_t key,
                   const std::string& about) const {
    Answer a;
    a.field = field;
    a.about = about;
    a.term = fact_ref(c, key);
    a.concept_id = c;
    return a;
  }
  Answer value_answer(
      const std::string& field, const TermPtr& term, int c, int a, const std::string& about) const {
    Answer out;
    out.field = field;
    out.about = about;
    const Type t = term->domain.type;
    out.term = term;
    if (t == Type::ref) out.concept_id = term->domain.target;
    if (t == Type::text) {
      out.concept_id = c;
      out.attribute = a;
    }
    return out;
  }
  std::optional<Filters> some_filters(int c, std::size_t lo, std::size_t hi);
  std::optional<Goal> event_then_tell();
  TermPtr var(int slot, int c) const {
    auto t = std::make_shared<Term>();
    t->op = Op::variable;
    t->index = slot;
    t->domain = {Type::ref, c, -1, 0, 0, false};
    return t;
  }
  TermPtr filter_term(int c, const Filters& filters, int slot) const {
    Reference r;
    r.concept_id = c;
    r.filters = filters;
    return r.condition(w, slot);
  }
};

}  // namespace seedbed::envgen
