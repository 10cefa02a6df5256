// From JSON to packs: every key known, every kind checked, with the pointer in the message.
#include <map>
#include <set>

#include "base/text.h"
#include "envgen/general/pack_reader.h"

namespace seedbed::envgen {
namespace {

Step read_attr(const std::string& name,
               const Value& v,
               const std::string& where,
               const std::string& pointer,
               PackAttr& out) {
  Reader r(v, where, pointer);
  out.name = name;
  r.read("type", out.type, true);
  r.read("noun", out.noun);
  r.read("with", out.with);
  r.read("null", out.nullable);
  r.read("optional", out.optional);
  if (out.noun.empty()) out.noun = replace_all(name, "_", " ");
  return r.done();
}

bool read_range(const std::string& text, int& lo, int& hi) {
  const auto dots = text.find("..");
  if (dots == std::string::npos) return false;
  lo = std::atoi(text.substr(0, dots).c_str());
  hi = std::atoi(text.substr(dots + 2).c_str());
  return lo >= 0 && hi >= lo && hi <= 200;
}

Step read_rows(const Value& v,
               const std::string& where,
               const std::string& pointer,
               PackConcept& out) {
  Reader r(v, where, pointer);
  std::string count;
  r.read("count", count);
  r.read("where", out.where);
  if (!count.empty() && !read_range(count, out.count_lo, out.count_hi))
    r.fail(schemas::wrong_kind(where, pointer + "/count", Value(count),
                               "LO..HI with 0 <= LO <= HI <= 200"));
  r.each("weights", [&](const std::string& attr, const Value& w, const std::string& p) -> Step {
    if (!w.is_object()) return schemas::wrong_kind(where, p, w, "object");
    std::vector<std::pair<std::string, std::int64_t>> weights;
    for (const auto& [word, n] : w.members()) {
      if (!n.is_int() || n.as_int() < 0)
        return schemas::wrong_kind(where, p + "/" + word, n, "weight >= 0");
      weights.emplace_back(word, n.as_int());
    }
    out.weights.emplace_back(attr, std::move(weights));
    return std::nullopt;
  });
  return r.done();
}

Step read_concept(const std::string& name,
                  const Value& v,
                  const std::string& where,
                  const std::string& pointer,
                  PackConcept& out) {
  Reader r(v, where, pointer);
  out.name = name;
  std::vector<std::vector<std::string>> words;
  r.read("words", words, true);
  for (const auto& w : words) {
    if (w.size() != 2)
      r.fail(schemas::wrong_kind(where, pointer + "/words", Value(join(w, ", ")),
                                 "[singular, plural]"));
    else
      out.words.emplace_back(w[0], w[1]);
  }
  if (words.empty()) r.fail(schemas::missing_key(where, pointer + "/words", "0"));
  r.read("id", out.id_prefix);
  r.each(
      "attrs",
      [&](const std::string& attr, const Value& a, const std::string& p) -> Step {
        out.attrs.emplace_back();
        return read_attr(attr, a, where, p, out.attrs.back());
      },
      true);
  if (const Value* rows = r.get("rows"); rows != nullptr)
    if (auto e = read_rows(*rows, where, pointer + "/rows", out)) r.fail(*e);
  return r.done();
}

Step read_guards(Reader& r, std::vector<PackGuard>& out) {
  std::vector<std::vector<std::string>> guards;
  r.read("guards", guards);
  for (const auto& g : guards) {
    if (g.size() != 2)
      return schemas::wrong_kind(r.where(), r.pointer() + "/guards", Value(join(g, ", ")),
                                 "[term, code]");
    out.push_back({g[0], g[1]});
  }
  return std::nullopt;
}

Step read_transition(const std::string& name,
                     const Value& v,
                     const std::string& where,
                     const std::string& pointer,
                     bool reaction,
                     PackTransition& out) {
  Reader r(v, where, pointer);
  out.name = name;
  r.texts("params", out.params, true);
  r.texts("let", out.lets);
  if (auto e = read_guards(r, out.guards)) r.fail(*e);
  r.read("effects", out.effects, true);
  if (reaction) {
    std::string say;
    r.read("say", say, true);
    out.say = {say};
    return r.done();
  }
  r.read("say", out.say, true);
  r.read("subject", out.subject);
  r.read("undo", out.undo);
  if (const Value* emits = r.get("emits"); emits != nullptr) {
    Reader e(*emits, where, pointer + "/emits");
    e.read("event", out.event, true);
    e.texts("args", out.event_args, true);
    if (auto failed = e.done()) r.fail(*failed);
  }
  return r.done();
}

Step read_gate(const std::string& name,
               const Value& v,
               const std::string& where,
               const std::string& pointer,
               bool load,
               PackGate& out) {
  Reader r(v, where, pointer);
  out.name = name;
  r.read("over", out.over, true);
  r.read("term", out.term, true);
  r.read("say", out.say, true);
  if (!load) {
    r.read("code", out.code, true);
    r.texts("params", out.params);
  }
  return r.done();
}

Step read_rule(const std::string& name,
               const Value& v,
               const std::string& where,
               const std::string& pointer,
               PackRule& out) {
  Reader r(v, where, pointer);
  out.name = name;
  r.read("on", out.on, true);
  r.read("never_if", out.never_if, true);
  r.read("code", out.code, true);
  r.texts("params", out.params);
  r.read("evidence", out.evidence, true);
  r.read("say", out.say, true);
  r.read("unless", out.unless);
  r.read("unless_say", out.unless_say);
  if (out.unless.empty() != out.unless_say.empty())
    r.fail(schemas::missing_key(where, pointer, out.unless.empty() ? "unless" : "unless_say"));
  return r.done();
}

Step read_duty(const std::string& name,
               const Value& v,
               const std::string& where,
               const std::string& pointer,
               PackDuty& out) {
  Reader r(v, where, pointer);
  out.name = name;
  r.read("on", out.on, true);
  r.read("if", out.condition, true);
  r.read("then", out.then, true);
  r.texts("params", out.params);
  r.read("say", out.say, true);
  return r.done();
}

// One duty an operation, and none on what a duty has done: so a duty is done when its second
// operation is.
Step check_duties(const Mechanism& m, const std::string& where) {
  for (std::size_t i = 0; i < m.duties.size(); ++i)
    for (std::size_t j = 0; j < m.duties.size(); ++j) {
      const std::string then = m.duties[i].then.substr(0, m.duties[i].then.find('('));
      const bool twice = i < j && m.duties[i].on == m.duties[j].on;
      if (!twice && then != m.duties[j].on) continue;
      return make_error(Where::pack, where, "/duties/" + m.duties[j].name,
                        "found " + std::string(twice ? "a second duty" : "a duty") + " on " +
                            m.duties[j].on + (twice ? "" : ", which a duty has done") +
                            ", wanted one duty an operation and none on what a duty has done",
                        "make one duty of them, or a reaction");
    }
  return std::nullopt;
}

Step read_query(const std::string& name,
                const Value& v,
                const std::string& where,
                const std::string& pointer,
                PackRead& out) {
  Reader r(v, where, pointer);
  out.name = name;
  r.read("over", out.over, true);
  r.texts("params", out.params);
  r.read("where", out.where, true);
  r.read("say", out.say, true);
  return r.done();
}

Step read_goal(const std::string& name,
               const Value& v,
               const std::string& where,
               const std::string& pointer,
               PackGoal& out) {
  Reader r(v, where, pointer);
  out.name = name;
  r.texts("given", out.given);
  r.texts("find", out.find);
  r.read("if", out.condition);
  r.read("each", out.each);
  r.read("when", out.when);
  r.read("do", out.operations);
  r.read("else", out.otherwise);
  r.each("tell", [&](const std::string& field, const Value& t, const std::string& p) -> Step {
    std::vector<std::string> pair;
    if (auto e = schemas::from_value(t, pair, where, p)) return e;
    if (pair.size() != 2) return schemas::wrong_kind(where, p, t, "[term, what it is]");
    out.tell.push_back({field, pair[0], pair[1]});
    return std::nullopt;
  });
  r.read("say", out.say, true);
  if (auto e = r.done()) return e;
  if (out.operations.empty() && out.tell.empty()) return schemas::missing_key(where, pointer, "do");
  if (out.when.empty() != out.otherwise.empty())
    return schemas::missing_key(where, pointer, out.when.empty() ? "when" : "else");
  if (!out.each.empty() && (!out.when.empty() || out.operations.empty()))
    return schemas::missing_key(where, pointer, "do");
  if (out.say.empty()) return schemas::missing_key(where, pointer, "say");
  return std::nullopt;
}

// References that must be there may not form a cycle: no first row could be made.
Step check_cycles(const Mechanism& m, const std::string& where) {
  std::map<std::string, std::vector<std::string>> refs;
  const auto add = [&](const std::string& of, const std::vector<PackAttr>& attrs) {
    for (const auto& a : attrs)
      if (a.type.rfind("ref ", 0) == 0 && !a.nullable) refs[of].push_back(a.type.substr(4));
  };
  for (const auto& c : m.concepts) add(c.name, c.attrs);
  for (const auto& [role, attrs] : m.adds) add(role, attrs);
  std::map<std::string, int> state;
  std::string cycle;
  const std::function<bool(const std::string&)> visit = [&](const std::string& c) {
    if (state[c] == 2) return false;
    if (state[c] == 1) {
      cycle = c;
      return true;
    }
    state[c] = 1;
    for (const auto& next : refs[c])
      if (visit(next)) {
        cycle = c + " -> " + cycle;
        return true;
      }
    state[c] = 2;
    return false;
  };
  for (const auto& [c, ignored] : std::map<std::string, std::vector<std::string>>(refs))
    if (visit(c))
      return make_error(Where::pack, "mechanism", where,
                        "cyclic role: required references " + cycle +
                            ", wanted an order in which rows can be made",
                        "mark one of the references \"null\": true");
  return std::nullopt;
}

}  // namespace

Result<Mechanism> read_mechanism(const Value& json, const std::string& where) {
  Mechanism m;
  Reader r(json, where, "");
  r.read("mechanism", m.name, true);
  r.read("about", m.about, true);
  r.read("heldout", m.heldout);
  r.texts("roles", m.roles, true);
  for (const auto& [role, archetype] : m.roles) {
    bool known = false;
    for (const char* a : kArchetypes) known = known || archetype == a;
    if (!known)
      r.fail(schemas::wrong_word(where, "/roles/" + role, archetype,
                                 {"Party", "Item", "Place", "Slot", "Case"}));
  }
  r.each(
      "concepts",
      [&](const std::string& n, const Value& v, const std::string& p) {
        m.concepts.emplace_back();
        return read_concept(n, v, where, p, m.concepts.back());
      },
      true);
  r.each("adds", [&](const std::string& role, const Value& v, const std::string& p) -> Step {
    m.adds.emplace_back(role, std::vector<PackAttr>{});
    if (!v.is_object()) return schemas::wrong_kind(where, p, v, "object");
    for (const auto& [attr, a] : v.members()) {
      m.adds.back().second.emplace_back();
      if (auto e = read_attr(attr, a, where, p + "/" + attr, m.adds.back().second.back())) return e;
    }
    return std::nullopt;
  });
  r.each("derived", [&](const std::string& n, const Value& v, const std::string& p) -> Step {
    Reader d(v, where, p);
    PackDerived x;
    x.name = n;
    d.read("over", x.over, true);
    d.read("term", x.term, true);
    d.read("noun", x.noun);
    d.read("shared", x.shared);
    m.derived.push_back(x);
    return d.done();
  });
  r.texts("invariants", m.invariants);
  r.each("loads", [&](const std::string& n, const Value& v, const std::string& p) {
    m.loads.emplace_back();
    return read_gate(n, v, where, p, true, m.loads.back());
  });
  r.each("gates", [&](const std::string& n, const Value& v, const std::string& p) {
    m.gates.emplace_back();
    return read_gate(n, v, where, p, false, m.gates.back());
  });
  r.each(
      "transitions",
      [&](const std::string& n, const Value& v, const std::string& p) {
        m.transitions.emplace_back();
        return read_transition(n, v, where, p, false, m.transitions.back());
      },
      true);
  r.each("reactions", [&](const std::string& n, const Value& v, const std::string& p) {
    m.reactions.emplace_back();
    return read_transition(n, v, where, p, true, m.reactions.back());
  });
  r.each("rules", [&](const std::string& n, const Value& v, const std::string& p) {
    m.rules.emplace_back();
    return read_rule(n, v, where, p, m.rules.back());
  });
  r.each("duties", [&](const std::string& n, const Value& v, const std::string& p) {
    m.duties.emplace_back();
    return read_duty(n, v, where, p, m.duties.back());
  });
  r.each("reads", [&](const std::string& n, const Value& v, const std::string& p) {
    m.reads.emplace_back();
    return read_query(n, v, where, p, m.reads.back());
  });
  r.each("goals", [&](const std::string& n, const Value& v, const std::string& p) {
    m.goals.emplace_back();
    return read_goal(n, v, where, p, m.goals.back());
  });
  if (auto e = r.done()) return *e;
  if (auto e = check_cycles(m, where)) return *e;
  if (auto e = check_duties(m, where)) return *e;
  return m;
}

}  // namespace seedbed::envgen
