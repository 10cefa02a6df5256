#include <algorithm>
#include <set>

#include "base/text.h"
#include "envgen/general/surface_build.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

std::string styled(int naming, const std::string& verb, const std::string& noun) {
  if (naming == 1) return noun + "_" + verb;
  const std::string snake = verb + "_" + noun;
  if (naming == 0) return snake;
  std::string camel;
  bool up = false;
  for (const char c : snake) {
    if (c == '_') {
      up = true;
      continue;
    }
    camel.push_back(up && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
    up = false;
  }
  return camel;
}

}  // namespace

std::string Builder::unique(const std::string& verb, const std::string& noun) {
  const std::string wanted = styled(surface.naming, verb, noun);
  std::string name = wanted;
  for (int i = 2; !taken.insert(name).second; ++i) name = wanted + "_" + std::to_string(i);
  return name;
}

ToolParam Builder::ref_param(std::set<std::string>& names,
                             int target,
                             const std::string& hint,
                             int index,
                             bool by_name) const {
  const std::string noun = identifier(skin.concepts[at(target)].singular);
  ToolParam p;
  p.domain = {Type::ref, target, -1, 0, 0, false};
  p.by_name = by_name;
  p.by_part = by_name && surface.by_part[at(target)];
  p.index = index;
  p.name = noun + (by_name ? "_name" : "_id");
  if (names.count(p.name) != 0) p.name = identifier(hint) + "_" + p.name;
  for (int i = 2; !names.insert(p.name).second; ++i)
    p.name = noun + std::to_string(i) + (by_name ? "_name" : "_id");
  return p;
}

void Builder::name_value(ToolParam& p, const Param& param, std::set<std::string>& names) const {
  static const char* kByType[] = {"flag", "ref", "kind", "number", "amount_cents", "date", "text"};
  p.domain = param.domain;
  p.name = param.name.size() > 2 ? identifier(param.name)
                                 : kByType[static_cast<std::size_t>(p.domain.type)];
  if (p.domain.type == Type::cents && p.name.find("cents") == std::string::npos) p.name += "_cents";
  for (int k = 2; !names.insert(p.name).second; ++k) p.name += std::to_string(k);
}

void Builder::add_transition(int id) {
  const Transition& t = world.transitions[at(id)];
  ToolForm form;
  form.kind = ToolForm::Kind::transition;
  form.transition = id;
  std::set<std::string> names;
  for (std::size_t i = 0; i < t.params.size(); ++i) {
    const Domain& d = t.params[i].domain;
    if (d.type == Type::ref) {
      form.params.push_back(ref_param(names, d.target, t.params[i].name, static_cast<int>(i),
                                      surface.by_name[at(d.target)]));
      if (form.result_param < 0 && !world.concepts[at(d.target)].named())
        form.result_param = static_cast<int>(i);
    } else {
      ToolParam p;
      p.index = static_cast<int>(i);
      name_value(p, t.params[i], names);
      form.params.push_back(p);
    }
  }
  for (const auto& e : t.effects)
    if (e.kind == Effect::Kind::make && !form.makes && form.result_param < 0) {
      form.makes = true;
      form.concept_id = e.concept_id;
    }
  if (!form.makes) {
    if (form.result_param < 0)
      for (std::size_t i = 0; i < t.params.size() && form.result_param < 0; ++i)
        if (t.params[i].domain.type == Type::ref) form.result_param = static_cast<int>(i);
    if (form.result_param >= 0) form.concept_id = t.params[at(form.result_param)].domain.target;
  }
  const auto& attrs = world.concepts[at(form.concept_id)].attrs;
  for (int a = 0; a < static_cast<int>(attrs.size()); ++a) form.shown.push_back(a);
  form.name = unique(skin.verbs[at(id)], slug(skin.concepts[at(form.concept_id)].singular));
  surface.tools.push_back(std::move(form));
}

void Builder::add_reads(int c) {
  const Concept& concept_ = world.concepts[at(c)];
  const std::string one = slug(skin.concepts[at(c)].singular),
                    many = slug(skin.concepts[at(c)].plural);
  std::vector<int> all, few, derived;
  for (int a = 0; a < static_cast<int>(concept_.attrs.size()); ++a) all.push_back(a);
  for (std::size_t d = 0; d < world.derived.size(); ++d)
    if (world.derived[d].over == c) derived.push_back(static_cast<int>(d));
  for (const int a : all)
    if (few.size() < 2 &&
        (concept_.attrs[at(a)].domain.type == Type::ref || concept_.attrs[at(a)].name == "name"))
      few.push_back(a);
  if (few.empty()) few.push_back(0);
  const auto put = [&](ToolForm::Kind kind, const std::string& verb, const std::string& noun,
                       std::vector<int> shown, std::vector<int> shows) {
    ToolForm f;
    f.kind = kind;
    f.concept_id = c;
    f.name = unique(verb, noun);
    f.shown = std::move(shown);
    f.derived = std::move(shows);
    std::set<std::string> columns(skin.concepts[at(c)].columns.begin(),
                                  skin.concepts[at(c)].columns.end());
    columns.insert("id");
    for (const int d : f.derived) {
      std::string column = identifier(world.derived[at(d)].noun);
      for (int i = 2; !columns.insert(column).second; ++i)
        column = identifier(world.derived[at(d)].noun) + std::to_string(i);
      f.derived_columns.push_back(column);
    }
    return f;
  };
  if (findable[at(c)]) {
    ToolForm find = put(ToolForm::Kind::find, "find", one, all, derived);
    ToolParam name;
    name.name = "name";
    name.domain = {Type::text, -1, -1, 0, 0, false};
    name.by_part = surface.by_part[at(c)];
    find.params.push_back(name);
    surface.tools.push_back(find);
  }
  const bool projected = surface.projected[at(c)];
  ToolForm list;
  if (listable[at(c)]) list = put(ToolForm::Kind::list, "list", many, projected ? few : all, {});
  std::set<std::string> names{"offset"};
  for (const int a : all) {
    const Domain& d = concept_.attrs[at(a)].domain;
    if (d.type == Type::ref) {
      list.params.push_back(ref_param(names, d.target, concept_.attrs[at(a)].noun, a, false));
    } else if (d.type == Type::word && list.params.size() < 4) {
      ToolParam p;
      p.name = skin.concepts[at(c)].columns[at(a)];
      p.domain = d;
      p.index = a;
      if (names.insert(p.name).second) list.params.push_back(p);
    }
  }
  if (drop_filters) {
    Rng off = filters_off.fork(concept_.symbol);
    std::erase_if(list.params, [&](const ToolParam&) { return off.chance(1, 2); });
  }
  list.page_size = surface.page_size;
  if (listable[at(c)]) surface.tools.push_back(list);
  if (projected || (!derived.empty() && !findable[at(c)] && derivable[at(c)])) {
    ToolForm get = put(ToolForm::Kind::get, "get", one, all, derived);
    std::set<std::string> own;
    get.params.push_back(ref_param(own, c, one, -1, false));
    surface.tools.push_back(get);
  }
}

void Builder::add_query(int r) {
  const NamedRead& read = world.reads[at(r)];
  ToolForm f;
  f.kind = ToolForm::Kind::query;
  f.read = r;
  f.concept_id = read.over;
  std::set<std::string> names;
  for (std::size_t i = 0; i < read.params.size(); ++i) {
    const Param& param = read.params[i];
    if (param.domain.type == Type::ref) {
      f.params.push_back(
          ref_param(names, param.domain.target, param.name, static_cast<int>(i), false));
      continue;
    }
    ToolParam p;
    p.index = static_cast<int>(i);
    name_value(p, param, names);
    f.params.push_back(std::move(p));
  }
  for (const auto& list : surface.tools)
    if (list.kind == ToolForm::Kind::list && list.concept_id == f.concept_id) f.shown = list.shown;
  if (!listable[at(f.concept_id)])
    for (std::size_t a = 0; a < world.concepts[at(f.concept_id)].attrs.size(); ++a)
      f.shown.push_back(static_cast<int>(a));
  const std::string own = slug(read.symbol.substr(read.symbol.find('.') + 1));
  f.name = unique(own, slug(skin.concepts[at(f.concept_id)].plural));
  surface.tools.push_back(std::move(f));
}

void Builder::add_recent(int c) {
  ToolForm f;
  f.kind = ToolForm::Kind::recent;
  f.concept_id = c;
  f.name = unique("latest", slug(skin.concepts[at(c)].plural));
  f.shown = {0};
  surface.tools.push_back(f);
}

const ToolForm* Surface::tool(std::string_view name) const {
  for (const auto& t : tools)
    if (t.name == name) return &t;
  return nullptr;
}

const ToolForm* Surface::form_of(const schemas::ToolCall& call) const {
  const schemas::Value* action = call.args.find("action");
  for (const auto& t : tools)
    if (t.name == call.tool && (t.action.empty() || (action != nullptr && action->is_string() &&
                                                     action->as_string() == t.action)))
      return &t;
  return nullptr;
}

std::size_t Surface::count() const {
  std::set<std::string> names;
  for (const auto& t : tools) names.insert(t.name);
  return names.size();
}

const ToolForm* Surface::offer(int transition) const {
  for (const auto& t : tools)
    if (t.kind == ToolForm::Kind::transition && t.transition == transition) return &t;
  return nullptr;
}

std::string Surface::said(int transition) const {
  const ToolForm* form = offer(transition);
  if (form == nullptr) return "";
  return form->name + (form->action.empty() ? "" : " (action " + form->action + ")");
}

std::string Surface::label(int transition) const {
  const ToolForm* form = offer(transition);
  if (form == nullptr) return "";
  const auto words = [](const std::string& name) {
    std::string out = "\"";
    for (const char c : name) {
      if (c >= 'A' && c <= 'Z') out += ' ';
      out.push_back(c == '_' ? ' ' : c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c);
    }
    return out + "\"";
  };
  return form->action.empty() ? words(form->name)
                              : words(form->action) + " of " + words(form->name);
}

std::string error_code(const Surface& surface, const std::string& code) {
  if (!surface.upper_codes) return code;
  std::string out;
  for (const char c : code)
    out.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  return "E_" + out;
}

}  // namespace seedbed::envgen
