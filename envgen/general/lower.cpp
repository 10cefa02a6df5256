// World, Layout, Surface and Skin become an Environment: tables, views, tools, handbook.
#include <algorithm>
#include <set>

#include "base/hash.h"
#include "envgen/general/surface.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

void name_counters(Lowered& l) {
  for (auto& k : l.layout.counters) {
    std::set<std::string> taken(l.skin.concepts[at(k.parent)].columns.begin(),
                                l.skin.concepts[at(k.parent)].columns.end());
    for (const auto& other : l.layout.counters)
      if (other.parent == k.parent && &other != &k) taken.insert(other.column);
    k.column = identifier(l.skin.concepts[at(k.child)].plural) + "_count";
    for (int i = 2; taken.count(k.column) != 0; ++i)
      k.column = identifier(l.skin.concepts[at(k.child)].plural) + "_count" + std::to_string(i);
  }
}

// Tools that are busy at times count their calls in a table of their own.
void count_calls(const Surface& surface,
                 schemas::Environment& env,
                 std::vector<std::string>& ddl,
                 std::vector<tasks::Inserts>& inserts) {
  tasks::Inserts rows{"INSERT INTO call_counter VALUES(?1, ?2)", {}};
  for (const auto& f : surface.tools)
    if (f.busy_every > 0) rows.rows.push_back({f.name, std::int64_t{f.busy_from}});
  if (rows.rows.empty()) return;
  ddl.emplace_back(
      "CREATE TABLE call_counter(tool TEXT NOT NULL PRIMARY KEY, calls INTEGER NOT NULL) STRICT");
  inserts.push_back(std::move(rows));
  env.bookkeeping.emplace_back("call_counter");
}

}  // namespace

Result<Lowered> lower(std::shared_ptr<const World> world,
                      Facts facts,
                      Skin skin,
                      Layout layout,
                      Surface surface,
                      schemas::Recipe recipe) {
  Lowered l{std::move(world),
            std::move(facts),
            std::move(skin),
            std::move(layout),
            std::move(surface),
            {},
            {}};
  name_counters(l);
  if (l.surface.count() > kMaxTools)
    return Error{Where::pack, "composition: more tools than " + std::to_string(kMaxTools)};
  const SqlPrinter sql = l.printer();
  schemas::Environment& env = l.environment;
  env.family = "general";
  env.title = l.skin.title;
  env.now_minutes = l.world->now * 1440;
  env.bookkeeping = sql.bookkeeping();
  for (int c = 0; c < static_cast<int>(l.world->concepts.size()); ++c)
    env.views.push_back(sql.view(c));
  for (const auto& form : l.surface.tools) {
    if (l.surface.tool(form.name) != &form) continue;  // printed with the first of its bundle
    std::vector<const ToolForm*> forms;
    for (const auto& f : l.surface.tools)
      if (f.name == form.name) forms.push_back(&f);
    env.tools.push_back(print_tool(l, forms));
    if (env.tools.back().program.steps.size() > static_cast<std::size_t>(kMaxSteps))
      return Error{Where::pack, "composition: a tool of too many steps"};
  }
  env.policy.handbook = handbook_of(l, env.policy.reasons);
  recipe.lexicon = l.skin.lexicon;
  recipe.mechanisms = l.world->mechanisms;
  for (const auto& e : l.world->edges)
    if (!e.dead) recipe.interactions.push_back(e.text);
  recipe.layout_passes = l.layout.passes;
  recipe.surface_passes = l.surface.passes;
  recipe.schema_class = sql.schema_class(false);
  recipe.core_schema_class = sql.schema_class(true);
  env.recipe = std::move(recipe);
  std::vector<std::string> ddl = sql.ddl();
  std::vector<tasks::Inserts> inserts = sql.inserts(l.facts);
  count_calls(l.surface, env, ddl, inserts);
  SEEDBED_TRY(l.image, tasks::build_image(ddl, inserts));
  env.image_hash = content_hash(l.image);
  return l;
}

}  // namespace seedbed::envgen
