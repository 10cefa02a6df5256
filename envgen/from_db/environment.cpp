// A cut of a database as World, facts and skin, and the environment that they are lowered to.
#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "envgen/from_db/from_db.h"
#include "envgen/from_db/mechanism.h"
#include "envgen/from_db/words.h"
#include "envgen/general/effects.h"
#include "envgen/general/sentence.h"
#include "envgen/general/slot.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

constexpr std::int64_t kPlainNow = 9500;  // where no date says when the data is of
constexpr std::size_t kMaxGates = 4;

// Owns the mechanisms that it points to.
struct DbWorld : World {
  std::vector<std::unique_ptr<Mechanism>> own;
};

// The id style `number` prints key + 1000 (concept + 1): keys are chosen so that this is the row's
// own.
std::int64_t shift_of(const DbTable& t, int place) {
  return t.key == KeyKind::text ? 0 : 1000 * (place + 1);
}

struct Maker {
  const DbCut& cut;
  Rng rng;
  std::shared_ptr<DbWorld> world;
  Facts facts;
  std::vector<std::vector<std::string>> texts;  // by concept

  [[nodiscard]] int n() const { return static_cast<int>(cut.tables.size()); }
  void set_now();
  void concepts();
  Attr attribute(int place, const DbColumn& column);
  void rows();
  Step operations();
  Step derived();
  Step invariants();
  void gates();
  Step run();
};

// The day after the last date in the cut.
void Maker::set_now() {
  std::int64_t last = kNone;
  for (int p = 0; p < n(); ++p)
    for (const int c : cut.tables[at(p)].columns)
      if (cut.table(p).columns[at(c)].type == Type::date)
        for (const auto r : cut.tables[at(p)].rows)
          last = std::max(last, cut.table(p).rows[r].values[at(c)]);
  world->now = last == kNone ? kPlainNow : last + 1;
}

Attr Maker::attribute(int place, const DbColumn& column) {
  Attr a;
  a.name = a.short_name = column.attribute;
  a.noun = column.noun;
  a.mechanism = place;
  a.domain = {column.type, -1, -1, column.lo, column.hi, column.nullable};
  if (column.type == Type::date) {
    a.domain.lo = -60;
    a.domain.hi = 60;
  }
  const std::string& symbol = cut.table(place).symbol;
  if (column.type == Type::word) {
    a.domain.words = static_cast<int>(world->words.size());
    world->words.push_back({symbol + "." + symbol + "." + column.attribute, word_symbols(column),
                            std::vector<std::int64_t>(column.words.size(), 1)});
  }
  if (column.type == Type::ref) {
    a.domain.target = cut.place_of(column.target);
    if (a.domain.target != place) {
      a.edge = static_cast<int>(world->edges.size());
      const std::string& to = cut.table(a.domain.target).symbol;
      world->edges.push_back({EdgeKind::unify, a.domain.target, place,
                              "reference " + symbol + "." + column.attribute + " = " + to, false});
    }
  }
  return a;
}

void Maker::concepts() {
  for (int p = 0; p < n(); ++p) {
    const DbTable& t = cut.table(p);
    world->mechanisms.push_back(t.symbol);
    world->roles.emplace_back();
    for (int o = 0; o < n(); ++o)
      if (o != p) world->roles.back().emplace_back(cut.table(o).symbol, o);
  }
  for (int p = 0; p < n(); ++p) {
    const DbTable& t = cut.table(p);
    Concept c;
    c.symbol = t.symbol + "." + t.symbol;
    c.mechanism = p;
    c.words = {{t.singular, t.plural}};
    world->attribute_edges.emplace_back();
    for (const int k : cut.tables[at(p)].columns) {
      c.attrs.push_back(attribute(p, t.columns[at(k)]));
      world->attribute_edges.back().push_back(c.attrs.back().edge);
      if (k == t.name_column) c.archetype = t.person ? "Party" : "Item";
    }
    world->concepts.push_back(std::move(c));
  }
}

void Maker::rows() {
  facts.tables.resize(at(n()));
  texts.resize(at(n()));
  for (int p = 0; p < n(); ++p) {
    const DbTable& t = cut.table(p);
    FactTable& table = facts.tables[at(p)];
    for (const auto r : cut.tables[at(p)].rows) {
      Row row;
      row.key = t.rows[r].key - shift_of(t, p);
      for (const int k : cut.tables[at(p)].columns) {
        const DbColumn& c = t.columns[at(k)];
        std::int64_t v = t.rows[r].values[at(k)];
        if (v != kNone && c.type == Type::ref) {
          const int to = cut.place_of(c.target);
          v -= shift_of(cut.table(to), to);
        } else if (v != kNone && c.type == Type::text) {
          texts[at(p)].push_back(t.texts[static_cast<std::size_t>(v)]);
          v = static_cast<std::int64_t>(texts[at(p)].size()) - 1;
        }
        row.values.push_back(v);
      }
      table.rows.push_back(std::move(row));
    }
    table.next = t.rows.back().key + 1 - shift_of(t, p);
  }
}

Step Maker::operations() {
  for (int p = 0; p < n(); ++p) {
    world->own.push_back(std::make_unique<Mechanism>(
        mechanism_of(cut, p, world->now, rng.fork("mechanism " + cut.table(p).symbol))));
    world->packs.push_back(world->own.back().get());
  }
  for (int p = 0; p < n(); ++p)
    for (const auto& pack : world->packs[at(p)]->transitions) {
      SEEDBED_TRY(Transition t, build_transition(*world, p, pack));
      world->transitions.push_back(std::move(t));
    }
  return std::nullopt;
}

Step Maker::derived() {
  for (int p = 0; p < n(); ++p)
    for (const auto& pack : world->packs[at(p)]->derived) {
      Names names = names_for(*world, p);
      Derived d;
      d.symbol = world->mechanisms[at(p)] + "." + pack.name;
      d.noun = pack.noun;
      d.mechanism = p;
      d.over = names.concept_named(pack.over);
      auto x = std::make_shared<Term>();
      x->op = Op::variable;
      x->index = 0;
      x->domain = {Type::ref, d.over, -1, 0, 0, false};
      names.next_variable = 1;
      SEEDBED_TRY(d.term, names.derived(pack.name, x, 1));
      d.domain = d.term->domain;
      world->derived.push_back(std::move(d));
    }
  return std::nullopt;
}

// Unique columns stay unique, references lead to rows.
Step Maker::invariants() {
  const auto add = [&](int p, const std::string& broken) -> Step {
    Names names = names_for(*world, p);
    SEEDBED_TRY(const TermPtr term,
                parse_term("count(x: " + cut.table(p).symbol + " | " + broken + ") = 0", names,
                           "invariant of " + cut.table(p).symbol));
    world->invariants.push_back(term);
    return std::nullopt;
  };
  for (int p = 0; p < n(); ++p) {
    const DbTable& t = cut.table(p);
    const auto& used = cut.tables[at(p)].columns;
    for (const auto& u : t.uniques) {
      std::string same, given;
      for (const int c : u) {
        if (std::find(used.begin(), used.end(), c) == used.end() ||
            t.columns[at(c)].type == Type::text)
          break;
        const std::string& a = t.columns[at(c)].attribute;
        same += " and o." + a + " = x." + a;
        given += "x." + a + " != none and ";
      }
      if (static_cast<std::size_t>(std::count(same.begin(), same.end(), '=')) != u.size()) continue;
      if (auto e = add(p, given + "count(o: " + t.symbol + " | o != x" + same + ") > 0")) return e;
    }
    for (const int c : used) {
      const DbColumn& x = t.columns[at(c)];
      if (x.type != Type::ref) continue;
      const std::string path = "x." + x.attribute;
      if (auto e =
              add(p, path + " != none and count(o: " + cut.table(cut.place_of(x.target)).symbol +
                         " | o = " + path + ") = 0"))
        return e;
    }
  }
  return std::nullopt;
}

// Gates of one table at operations on another, at which some rows stop and some do not.
void Maker::gates() {
  struct Place {
    int mechanism, over, transition;
    const PackGate* gate;
  };
  std::vector<Place> places;
  for (int p = 0; p < n(); ++p)
    for (const auto& g : world->packs[at(p)]->gates) {
      const int over = names_for(*world, p).concept_named(g.over);
      for (int t = 0; t < static_cast<int>(world->transitions.size()); ++t) {
        const Transition& x = world->transitions[at(t)];
        if (x.mechanism != p && x.subject && x.subject->domain.target == over &&
            !x.subject->domain.nullable && x.symbol.find(".remove") == std::string::npos)
          places.push_back({p, over, t, &g});
      }
    }
  Rng draw = rng.fork("gates");
  draw.shuffle(places);
  std::set<int> guarded;
  for (const auto& place : places) {
    if (guarded.size() >= kMaxGates || !guarded.insert(place.transition).second) continue;
    const int edge = static_cast<int>(world->edges.size());
    world->edges.push_back({EdgeKind::guard, place.mechanism,
                            world->transitions[at(place.transition)].mechanism,
                            "guard " + world->transitions[at(place.transition)].symbol + ": " +
                                world->mechanisms[at(place.mechanism)] + "." + place.gate->name,
                            false});
    world->pending_gates.push_back(
        {place.mechanism, edge, place.over, place.gate, {place.transition}});
  }
}

Step Maker::run() {
  set_now();
  concepts();
  rows();
  if (auto e = operations()) return e;
  if (auto e = derived()) return e;
  if (auto e = invariants()) return e;
  gates();
  if (auto e = add_schemes(*world, true)) return e;
  return add_rules_and_gates(*world, facts, rng.fork("rules"));
}

std::string unique_name(std::set<std::string>& taken, const std::string& wanted) {
  std::string name = wanted;
  for (int i = 2; !taken.insert(lower_ascii(name)).second; ++i)
    name = wanted + "_" + std::to_string(i);
  return name;
}

Skin skin_of(const DbCut& cut, const World& world, std::vector<std::vector<std::string>> texts) {
  Skin skin;
  skin.lexicon = kDatabaseLexicon;
  const std::size_t all = cut.model->tables.size() + cut.model->left_out.size();
  skin.title = "the desk that keeps the database " + cut.model->name + " (" +
               std::to_string(cut.tables.size()) + " of its " + std::to_string(all) + " tables)";
  std::set<std::string> tables{"key_counter"};
  for (int p = 0; p < static_cast<int>(cut.tables.size()); ++p) {
    const DbTable& t = cut.table(p);
    ConceptSkin s;
    s.singular = t.singular;
    s.plural = t.plural;
    s.table = unique_name(tables, sql_name_of(t.name));
    s.view = unique_name(tables, "v_" + s.table);
    s.names = std::move(texts[at(p)]);
    if (s.names.empty()) s.names.emplace_back("-");  // no text attribute, so nothing prints it
    s.prefix = slug(t.symbol);
    s.ids = t.key_texts;
    std::set<std::string> columns{"id",     "deleted_on", "record_id", "seq",
                                  "series", "item",       "field",     "value"};
    for (const int c : cut.tables[at(p)].columns) {
      const DbColumn& x = t.columns[at(c)];
      s.nouns.push_back(x.noun);
      s.columns.push_back(c == t.name_column ? "name" : unique_name(columns, sql_name_of(x.name)));
      if (c == t.name_column) columns.insert("name");
      if (x.type == Type::word) skin.words.push_back(x.words);
    }
    skin.concepts.push_back(std::move(s));
  }
  for (const auto& t : world.transitions)
    skin.verbs.push_back(slug(t.symbol.substr(t.symbol.find('.') + 1)));
  Lexicon none;
  word_sentences(world, none, skin);
  return skin;
}

}  // namespace

Result<std::shared_ptr<const Lowered>> make_database_environment(const DbModel& model,
                                                                 const schemas::GenRequest& request,
                                                                 std::int64_t slot,
                                                                 std::int64_t attempt,
                                                                 Rng rng) {
  const DbCut cut = draw_cut(model, rng.fork("cut"), {});
  if (cut.tables.empty())
    return Error{Where::pack, "database: a draw of tables keyed by others that are not drawn"};
  for (const auto& t : cut.tables)
    if (t.columns.empty() || t.rows.size() < 3)
      return Error{Where::pack, "database: a table of the draw has too few rows or columns"};
  Maker maker{cut, rng.fork("world"), std::make_shared<DbWorld>(), {}, {}};
  if (auto e = maker.run()) return *std::move(e);
  Skin skin = skin_of(cut, *maker.world, std::move(maker.texts));
  Layout layout = plain_layout(*maker.world);
  for (int p = 0; p < static_cast<int>(cut.tables.size()); ++p)
    if (cut.table(p).key != KeyKind::text) layout.ids[at(p)] = IdStyle::number;
  const PassChoice passes = draw_passes(rng.fork("passes"));
  Surface surface = make_surface(*maker.world, skin, passes.surface, rng.fork("surface"));
  schemas::Recipe recipe;
  recipe.generator = request.generator;
  recipe.seed = request.seed;
  recipe.slot = slot;
  recipe.attempt = attempt;
  recipe.split = "train";  // nothing is held out of one database
  SEEDBED_TRY(Lowered lowered, lower(maker.world, std::move(maker.facts), std::move(skin),
                                     std::move(layout), std::move(surface), recipe));
  if (lowered.environment.tools.size() < kMinTools)
    return make_error(Where::pack, "database", model.name,
                      std::to_string(lowered.environment.tools.size()) +
                          " tools can be made, wanted at least " + std::to_string(kMinTools),
                      "give a database with more tables or columns");
  return std::shared_ptr<const Lowered>(std::make_shared<Lowered>(std::move(lowered)));
}

}  // namespace seedbed::envgen
