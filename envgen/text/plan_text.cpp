// The content plan as text, and back. What is printed is what the prompt is made of: operations
// with their references as descriptions, never as keys, so that reading the plan resolves every
// description anew.
#include <algorithm>
#include <array>
#include <charconv>

#include "envgen/text/text.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

constexpr std::array<const char*, 26> kOps = {
    "constant", "now",  "param",  "variable", "attribute", "load", "reach", "count", "sum",
    "min",      "max",  "argmin", "argmax",   "eq",        "ne",   "lt",    "le",    "gt",
    "ge",       "both", "either", "negate",   "add",       "sub",  "mul",   "div"};
constexpr std::size_t kMostBytes = 1U << 16;
constexpr int kMostDepth = 48;

// ---- printing ----
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}
std::string number(std::int64_t v) {
  return v == kNone ? "none" : std::to_string(v);
}

void print(const Term& t, std::string& out) {
  out += std::string(" (") + kOps[static_cast<std::size_t>(t.op)];
  for (const std::int64_t n :
       {static_cast<std::int64_t>(t.domain.type), static_cast<std::int64_t>(t.domain.target),
        static_cast<std::int64_t>(t.domain.words), static_cast<std::int64_t>(t.concept_id),
        static_cast<std::int64_t>(t.index), t.value})
    out += " " + number(n);
  for (const auto& kid : t.kids) {
    if (kid)
      print(*kid, out);
    else
      out += " none";
  }
  out += ")";
}

std::string filters_text(const std::vector<std::pair<int, std::int64_t>>& filters) {
  std::string out;
  for (const auto& [a, v] : filters) out += " (is " + std::to_string(a) + " " + number(v) + ")";
  return out;
}

std::string reference_text(const Lowered& l, const Reference& r) {
  std::string out = " (the " + std::to_string(r.concept_id);
  if (r.by_name) return out + " (name " + quoted(Speaker{l}.name(r.concept_id, r.key)) + "))";
  out += filters_text(r.filters);
  if (r.extreme >= 0)
    out += std::string(r.lowest ? " (lowest " : " (highest ") + std::to_string(r.extreme) + ")";
  return out + ")";
}

std::string operation_text(const Lowered& l, const char* head, const Operation& o) {
  std::string out = std::string("\n(") + head + " " + std::to_string(o.turn) + " " +
                    std::to_string(o.duty) + " " + l.world->transitions[at(o.transition)].symbol;
  for (std::size_t i = 0; i < o.args.size(); ++i)
    out += i < o.refs.size() && o.refs[i].concept_id >= 0 ? reference_text(l, o.refs[i])
                                                          : " " + number(o.args[i]);
  return out + ")";
}

// ---- reading ----
struct Node {
  std::string atom;
  std::vector<Node> kids;  // of a list; its atom is empty
};

struct Reader {
  std::string_view text;
  std::size_t i = 0;

  void space() {
    while (i < text.size() && (text[i] == ' ' || text[i] == '\n')) ++i;
  }
  bool read(Node& out, int depth) {
    space();
    if (i >= text.size() || depth > kMostDepth) return false;
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) ++i;
        out.atom.push_back(text[i]);
      }
      return i++ < text.size();
    }
    if (text[i] != '(') {
      while (i < text.size() && std::string_view(" \n()\"").find(text[i]) == std::string_view::npos)
        out.atom.push_back(text[i++]);
      return !out.atom.empty();
    }
    for (++i;;) {
      space();
      if (i >= text.size()) return false;
      if (text[i] == ')') {
        ++i;
        return true;
      }
      out.kids.emplace_back();
      if (!read(out.kids.back(), depth + 1)) return false;
    }
  }
};

struct Recover {
  const Lowered& l;
  bool ok = true;

  std::int64_t number(const Node& n) {
    if (n.atom == "none") return kNone;
    std::int64_t v = 0;
    const char* end = n.atom.data() + n.atom.size();
    const auto [stop, error] = std::from_chars(n.atom.data(), end, v);
    ok = ok && error == std::errc() && stop == end && !n.atom.empty();
    return v;
  }
  int index(const Node& n, std::size_t below) {  // -1 is allowed: none
    const std::int64_t v = number(n);
    ok = ok && v >= -1 && v < static_cast<std::int64_t>(below);
    return ok ? static_cast<int>(v) : -1;
  }
  bool list(const Node& n, std::size_t least) {
    ok = ok && n.kids.size() >= least;
    return ok;
  }
  const std::string& head(const Node& n) const {
    static const std::string kNothing;
    return n.kids.empty() ? kNothing : n.kids[0].atom;
  }
  std::size_t concepts() const { return l.world->concepts.size(); }
  std::size_t attributes(int c) const { return c < 0 ? 0 : l.world->concepts[at(c)].attrs.size(); }

  TermPtr term(const Node& n) {
    if (n.atom == "none" || !list(n, 7)) return nullptr;
    auto t = std::make_shared<Term>();
    const auto* op = std::find(kOps.begin(), kOps.end(), head(n));
    const int type = index(n.kids[1], 7);
    t->domain.target = index(n.kids[2], concepts());
    t->domain.words = index(n.kids[3], l.world->words.size());
    t->concept_id = index(n.kids[4], concepts());
    t->index = index(n.kids[5], 1U << 20);
    t->value = number(n.kids[6]);
    ok = ok && op != kOps.end() && type >= 0;
    if (!ok) return nullptr;
    t->op = static_cast<Op>(op - kOps.begin());
    t->domain.type = static_cast<Type>(type);
    for (std::size_t i = 7; i < n.kids.size() && ok; ++i) t->kids.push_back(term(n.kids[i]));
    return t;
  }
  std::vector<std::pair<int, std::int64_t>> filters(const Node& n, int c, std::size_t from) {
    std::vector<std::pair<int, std::int64_t>> out;
    for (std::size_t i = from; i < n.kids.size() && ok; ++i)
      if (head(n.kids[i]) == "is" && list(n.kids[i], 3))
        out.emplace_back(index(n.kids[i].kids[1], attributes(c)), number(n.kids[i].kids[2]));
    return out;
  }
  // The one fact that fits; an error where there is none or there are several.
  Reference reference(const Node& n) {
    Reference r;
    if (!list(n, 3) || head(n) != "the") {
      ok = false;
      return r;
    }
    r.concept_id = index(n.kids[1], concepts());
    ok = ok && r.concept_id >= 0;
    if (!ok) return r;
    r.filters = filters(n, r.concept_id, 2);
    for (std::size_t i = 2; i < n.kids.size() && ok; ++i) {
      const std::string& what = head(n.kids[i]);
      if (what == "name" && list(n.kids[i], 2)) {
        r.by_name = true;
        r.key = l.renderer().key_of_name(r.concept_id, l.facts, n.kids[i].kids[1].atom);
      } else if ((what == "lowest" || what == "highest") && list(n.kids[i], 2)) {
        r.extreme = index(n.kids[i].kids[1], attributes(r.concept_id));
        r.lowest = what == "lowest";
      }
    }
    if (!r.by_name && ok) r.key = only_fit(r);
    ok = ok && r.key != kNone;
    return r;
  }
  std::int64_t only_fit(const Reference& r) const {
    const FactTable& table = l.facts.tables[at(r.concept_id)];
    std::int64_t best = kNone, key = kNone;
    int count = 0;
    for (const auto k : rows_where(*l.world, l.facts, r.concept_id, r.filters)) {
      const std::int64_t v = r.extreme < 0 ? 0 : table.find(k)->values[at(r.extreme)];
      if (v == kNone) continue;
      if (count == 0 || (r.lowest ? v < best : v > best)) {
        best = v;
        key = k;
        count = 1;
      } else if (v == best) {
        ++count;
      }
    }
    return count == 1 ? key : kNone;
  }
  Operation operation(const Node& n, std::size_t from) {  // turn, duty, symbol, arguments
    Operation o;
    if (!list(n, from + 3)) return o;
    o.turn = index(n.kids[from], 1U << 10);
    o.duty = index(n.kids[from + 1], l.world->duties.size());
    const auto& all = l.world->transitions;
    const auto found = std::find_if(all.begin(), all.end(), [&](const Transition& t) {
      return t.symbol == n.kids[from + 2].atom;
    });
    ok = ok && found != all.end();
    if (!ok) return o;
    o.transition = static_cast<int>(found - all.begin());
    for (std::size_t i = from + 3; i < n.kids.size() && ok; ++i) {
      o.refs.push_back(n.kids[i].kids.empty() ? Reference{} : reference(n.kids[i]));
      o.args.push_back(n.kids[i].kids.empty() ? number(n.kids[i]) : o.refs.back().key);
    }
    return o;
  }
  void line(const Node& n, Goal& g);
};

void Recover::line(const Node& n, Goal& g) {
  const std::string& what = head(n);
  if (what == "goal" && list(n, 3)) {
    g.kind = n.kids[1].atom;
    g.expression = n.kids[2].atom;
  } else if (what == "do") {
    g.operations.push_back(operation(n, 1));
  } else if (what == "else") {
    g.other.push_back(operation(n, 1));
  } else if (what == "blocked" && list(n, 2)) {
    Goal::Blocked b;
    b.after = static_cast<std::size_t>(std::max<std::int64_t>(0, number(n.kids[1])));
    b.operation = operation(n, 2);
    g.blocked.push_back(std::move(b));
  } else if (what == "when" && list(n, 3)) {
    g.condition = Condition{term(n.kids[2]), number(n.kids[1]) == 1, ""};
  } else if (what == "tell" && list(n, 6)) {
    Answer a;
    a.field = n.kids[1].atom;
    a.concept_id = index(n.kids[2], concepts());
    a.attribute = index(n.kids[3], kMaxAttributes);
    (n.kids[4].atom == "set" ? a.condition : a.term) = term(n.kids[5]);
    g.answers.push_back(std::move(a));
  } else if (what == "choose" && list(n, 12)) {
    Choice c;
    c.concept_id = index(n.kids[1], concepts());
    c.count = index(n.kids[2], 16);
    c.number = index(n.kids[3], attributes(c.concept_id));
    c.limit = number(n.kids[4]);
    c.optimum = number(n.kids[5]) == 1;
    c.differ = index(n.kids[6], attributes(c.concept_id));
    c.each = index(n.kids[7], attributes(c.concept_id));
    c.least = number(n.kids[8]) == 1;
    c.bound = number(n.kids[9]);
    c.some = index(n.kids[10], attributes(c.concept_id));
    c.some_value = number(n.kids[11]);
    c.filters = filters(n, c.concept_id, 12);
    g.choice = c;
  } else if (what == "refuse" && list(n, 4)) {
    Refusal r;
    r.code = n.kids[1].atom;
    r.rule = index(n.kids[2], l.world->rules.size());
    r.gate = index(n.kids[3], l.world->edges.size());
    for (std::size_t i = 4; i < n.kids.size() && list(n.kids[i], 2); ++i)
      r.evidence.emplace_back(index(n.kids[i].kids[0], concepts()), number(n.kids[i].kids[1]));
    g.refusal = r;
  } else if (what == "hide" && list(n, 3)) {
    g.hidden_param = index(n.kids[1], 64);
    g.hidden_value = n.kids[2].atom;
  } else if (what == "mention" && list(n, 3)) {
    g.mentions.push_back(reference(n.kids[2]));
    g.mentions.back().turn = index(n.kids[1], 1U << 10);
  } else if (what == "turn" && list(n, 2)) {
    Goal::Turn t;
    t.begin = static_cast<std::size_t>(std::max<std::int64_t>(0, number(n.kids[1])));
    g.turns.push_back(std::move(t));
  } else {
    ok = false;
  }
}

}  // namespace

std::string plan_text(const Lowered& l, const Goal& g) {
  std::string out = "(goal " + quoted(g.kind) + " " + quoted(g.expression) + ")";
  for (const auto& o : g.operations) out += operation_text(l, "do", o);
  for (const auto& o : g.other) out += operation_text(l, "else", o);
  for (const auto& b : g.blocked)
    out += operation_text(l, ("blocked " + std::to_string(b.after)).c_str(), b.operation);
  if (g.condition) {
    out += std::string("\n(when ") + (g.condition->holds ? "1" : "0");
    print(*g.condition->term, out);
    out += ")";
  }
  for (const auto& a : g.answers) {
    out += "\n(tell " + quoted(a.field) + " " + std::to_string(a.concept_id) + " " +
           std::to_string(a.attribute) + (a.term ? " value" : " set");
    print(a.term ? *a.term : *a.condition, out);
    out += ")";
  }
  if (g.choice) {
    const Choice& c = *g.choice;
    out += "\n(choose " + std::to_string(c.concept_id) + " " + std::to_string(c.count) + " " +
           std::to_string(c.number) + " " + number(c.limit) + (c.optimum ? " 1 " : " 0 ") +
           std::to_string(c.differ) + " " + std::to_string(c.each) + (c.least ? " 1 " : " 0 ") +
           number(c.bound) + " " + std::to_string(c.some) + " " + number(c.some_value) +
           filters_text(c.filters) + ")";
  }
  if (g.refusal) {
    out += "\n(refuse " + quoted(g.refusal->code) + " " + std::to_string(g.refusal->rule) + " " +
           std::to_string(g.refusal->gate);
    for (const auto& [c, key] : g.refusal->evidence)
      out += " (" + std::to_string(c) + " " + number(key) + ")";
    out += ")";
  }
  if (g.hidden_param >= 0)
    out += "\n(hide " + std::to_string(g.hidden_param) + " " + quoted(g.hidden_value) + ")";
  for (const auto& r : g.mentions)
    if (r.concept_id >= 0)
      out += "\n(mention " + std::to_string(r.turn) + reference_text(l, r) + ")";
  for (const auto& t : g.turns) out += "\n(turn " + std::to_string(t.begin) + ")";
  return out;
}

Result<Goal> parse_plan(const Lowered& l, std::string_view text) {
  const auto bad = [&](std::size_t where, const char* wanted) {
    return make_error(Where::pack, "content plan", "byte " + std::to_string(where), wanted,
                      "print it with plan_text");
  };
  if (text.size() > kMostBytes) return bad(kMostBytes, "found more bytes than a plan may have");
  Reader reader{text};
  Recover recover{l};
  Goal g;
  for (reader.space(); reader.i < text.size(); reader.space()) {
    const std::size_t start = reader.i;
    Node node;
    if (!reader.read(node, 0)) return bad(reader.i, "found no end of a list, wanted one");
    recover.line(node, g);
    if (!recover.ok)
      return bad(start, "found a line that no plan has, or a description that fits no single fact");
  }
  return g;
}

bool recovers(const Lowered& l, const Goal& goal) {
  const std::string text = plan_text(l, goal);
  const auto read = parse_plan(l, text);
  if (!read.ok() || plan_text(l, *read) != text) return false;
  const auto same = [](const std::vector<Operation>& a, const std::vector<Operation>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const Operation& x, const Operation& y) {
                        return x.transition == y.transition && x.args == y.args;
                      });
  };
  return same(read->operations, goal.operations) && same(read->other, goal.other) &&
         std::equal(read->blocked.begin(), read->blocked.end(), goal.blocked.begin(),
                    goal.blocked.end(), [](const auto& x, const auto& y) {
                      return x.after == y.after && x.operation.args == y.operation.args;
                    });
}

}  // namespace seedbed::envgen
