// The term language's parser: a Pratt parser that types as it goes, so that a mistake in a pack is
// named where it stands.
#include <cctype>

#include "base/text.h"
#include "envgen/general/term.h"

namespace seedbed::envgen {
namespace {

struct Parser {
  std::string_view text;
  Names& names;
  const std::string& what;
  std::size_t at = 0;
  int depth = 0;
  Step failed;

  void skip() {
    while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at])) != 0) ++at;
  }
  bool eat(std::string_view token) {
    skip();
    if (text.substr(at, token.size()) != token) return false;
    const bool word = std::isalpha(static_cast<unsigned char>(token[0])) != 0;
    const std::size_t end = at + token.size();
    if (word && end < text.size() &&
        (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_'))
      return false;
    at = end;
    return true;
  }
  TermPtr fail(const std::string& found_wanted) {
    if (!failed)
      failed = make_error(Where::pack, "term in " + what, std::string(text),
                          found_wanted + " at column " + std::to_string(at + 1),
                          "see docs/pack-format.md");
    return nullptr;
  }
  std::string identifier() {
    skip();
    const std::size_t begin = at;
    while (at < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_'))
      ++at;
    return std::string(text.substr(begin, at - begin));
  }

  TermPtr expression(int power);
  TermPtr prefix();
  TermPtr name(const std::string& id);
  TermPtr quantifier(Op op);
  bool reach_ends(std::vector<TermPtr>& kids);
  TermPtr path(TermPtr of);
  TermPtr joined(Op op, TermPtr a, TermPtr b);
  TermPtr resolve(const TermPtr& literal, const Domain& domain);
};

constexpr Domain kBoolean{Type::boolean, -1, -1, 0, 1, false};
constexpr Domain kInteger{Type::integer, -1, -1, 0, 0, false};

// A quoted word before it is known which enum it belongs to.
struct WordLiteral : Term {
  std::string text;
};

TermPtr Parser::resolve(const TermPtr& t, const Domain& domain) {
  const auto* literal = t->domain.type == Type::word && t->domain.words < 0
                            ? static_cast<const WordLiteral*>(t.get())
                            : nullptr;
  if (literal != nullptr) {
    if (domain.type != Type::word)
      return fail("found word '" + literal->text + "' where no enum is wanted");
    const int index = names.word_index(domain.words, literal->text);
    if (index < 0) return fail("'" + literal->text + "' is no value of that enum");
    return constant_of(index, domain);
  }
  if (t->op == Op::constant && t->value == kNone) {
    Domain d = domain;
    d.nullable = true;
    return constant_of(kNone, d);
  }
  if (t->op == Op::constant && t->domain.type == Type::integer && domain.type == Type::cents)
    return constant_of(t->value, domain);
  return t;
}

TermPtr Parser::joined(Op op, TermPtr a, TermPtr b) {
  if (!a || !b) return nullptr;
  if (op == Op::both || op == Op::either) {
    if (a->domain.type != Type::boolean || b->domain.type != Type::boolean)
      return fail("and/or want conditions");
    return binary(op, a, b);
  }
  a = resolve(a, b->domain);
  if (!a) return nullptr;
  b = resolve(b, a->domain);
  if (!b) return nullptr;
  const auto number = [](const TermPtr& t) {
    return t->domain.type == Type::integer || t->domain.type == Type::cents;
  };
  if (op >= Op::add) {
    if (a->domain.type == Type::date) {
      if (a->op != Op::now || b->domain.type != Type::integer || b->op != Op::constant ||
          (op != Op::add && op != Op::sub))
        return fail("dates allow only now + N and now - N with a constant N");
      return binary(op, a, b);
    }
    if (!number(a) || !number(b)) return fail("arithmetic wants numbers");
    if ((op == Op::mul || op == Op::div) && b->op != Op::constant)
      return fail("* and / take a constant on the right");
    return binary(op, a, b);
  }
  const bool same = a->domain.type == b->domain.type || (number(a) && number(b));
  if (!same) return fail("the two sides of a comparison differ in type");
  if (a->domain.type == Type::ref && a->domain.target >= 0 && b->domain.target >= 0 &&
      a->domain.target != b->domain.target)
    return fail("the two sides refer to different concepts");
  return binary(op, a, b);
}

TermPtr Parser::path(TermPtr of) {
  while (of && at < text.size() && text[at] == '.') {
    ++at;
    const std::string attribute = identifier();
    if (of->domain.type != Type::ref)
      return fail("'." + attribute + "' of something that is no reference");
    const int index = names.attribute_named(of->domain.target, attribute);
    if (index < 0) return fail("no attribute '" + attribute + "'");
    Domain domain = names.attribute_domain(of->domain.target, index);
    domain.nullable = domain.nullable || of->domain.nullable;
    of = attribute_of(of, of->domain.target, index, domain);
  }
  return of;
}

// ", from, to, start, goal": four references to one concept.
bool Parser::reach_ends(std::vector<TermPtr>& kids) {
  for (int i = 0; i < 4; ++i) {
    if (!eat(",")) return fail("wanted ', from, to, start, goal'"), false;
    const TermPtr end = expression(0);
    if (!end) return false;
    if (end->domain.type != Type::ref ||
        (i > 0 && end->domain.target != kids.back()->domain.target))
      return fail("reach wants four references to one concept"), false;
    kids.push_back(end);
  }
  return true;
}

TermPtr Parser::quantifier(Op op) {
  const std::string variable = identifier();
  if (!eat(":")) return fail("wanted ':' after the variable");
  const std::string concept_name = identifier();
  const int concept_id = names.concept_named(concept_name);
  if (concept_id < 0) return fail("no concept or role '" + concept_name + "'");
  const int slot = names.next_variable++;
  auto bound = std::make_shared<Term>();
  bound->op = Op::variable;
  bound->index = slot;
  bound->domain = {Type::ref, concept_id, -1, 0, 0, false};
  const auto before = names.values;
  names.values[variable] = bound;
  auto t = std::make_shared<Term>();
  t->op = op;
  t->index = slot;
  t->concept_id = concept_id;
  TermPtr condition = eat("|") ? expression(0) : constant_of(1, kBoolean);
  if (!condition) return nullptr;
  t->kids.push_back(condition);
  t->domain = kInteger;
  if (op == Op::reach) {
    t->domain = kBoolean;
    if (!reach_ends(t->kids)) return nullptr;
  } else if (op != Op::count) {
    if (!eat(",")) return fail("wanted ', term'");
    const TermPtr term = expression(0);
    if (!term) return nullptr;
    t->kids.push_back(term);
    if (op == Op::argmin || op == Op::argmax)
      t->domain = {Type::ref, concept_id, -1, 0, 0, true};
    else
      t->domain = term->domain;
    if (op == Op::min || op == Op::max) t->domain.nullable = true;
    if (op == Op::sum) t->domain.nullable = false;
  }
  names.values = before;
  --names.next_variable;  // siblings may use the slot again
  if (!eat(")")) return fail("wanted ')'");
  return t;
}

TermPtr Parser::name(const std::string& id) {
  static const std::pair<const char*, Op> kQuantifiers[] = {
      {"count", Op::count}, {"sum", Op::sum},       {"min", Op::min},
      {"max", Op::max},     {"argmin", Op::argmin}, {"argmax", Op::argmax},
      {"reach", Op::reach}};
  skip();
  if (at < text.size() && text[at] == '(') {
    ++at;
    for (const auto& [word, op] : kQuantifiers)
      if (id == word) return path(quantifier(op));
    const TermPtr argument = expression(0);
    if (!argument) return nullptr;
    if (!eat(")")) return fail("wanted ')'");
    auto derived = names.derived(id, argument, names.next_variable);
    if (!derived.ok()) {
      if (!failed) failed = derived.error();
      return nullptr;
    }
    return path(*derived);
  }
  if (id == "none") return constant_of(kNone, {Type::integer, -1, -1, 0, 0, true});
  if (id == "true") return constant_of(1, kBoolean);
  if (id == "false") return constant_of(0, kBoolean);
  if (id == "now") {
    auto t = std::make_shared<Term>();
    t->op = Op::now;
    t->domain = {Type::date, -1, -1, 0, 0, false};
    return t;
  }
  const auto it = names.values.find(id);
  if (it == names.values.end()) return fail("unknown name '" + id + "'");
  return path(it->second);
}

TermPtr Parser::prefix() {
  skip();
  if (at >= text.size()) return fail("the term ends too early");
  if (eat("not")) {
    const TermPtr inner = expression(3);
    if (!inner) return nullptr;
    auto t = std::make_shared<Term>();
    t->op = Op::negate;
    t->domain = kBoolean;
    t->kids = {inner};
    return t;
  }
  if (eat("(")) {
    const TermPtr inner = expression(0);
    if (inner && !eat(")")) return fail("wanted ')'");
    return path(inner);
  }
  if (text[at] == '\'') {
    const auto end = text.find('\'', at + 1);
    if (end == std::string_view::npos) return fail("a word has no closing quote");
    auto literal = std::make_shared<WordLiteral>();
    literal->op = Op::constant;
    literal->domain = {Type::word, -1, -1, 0, 0, false};
    literal->text = std::string(text.substr(at + 1, end - at - 1));
    at = end + 1;
    return literal;
  }
  if (text[at] == '?') {
    ++at;
    const std::string id = "?" + identifier();
    const auto it = names.values.find(id);
    return it == names.values.end() ? fail("unknown constant '" + id + "'") : it->second;
  }
  if (std::isdigit(static_cast<unsigned char>(text[at])) != 0) {
    std::int64_t v = 0;
    while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0 &&
           v < 1'000'000'000'000)
      v = v * 10 + (text[at++] - '0');
    return constant_of(v, kInteger);
  }
  const std::string id = identifier();
  return id.empty() ? fail("found '" + std::string(1, text[at]) + "'") : name(id);
}

TermPtr Parser::expression(int power) {
  struct Infix {
    const char* token;
    Op op;
    int left;
  };
  // Longer tokens first: "<=" before "<".
  static const Infix kInfix[] = {{"or", Op::either, 1}, {"and", Op::both, 2}, {"!=", Op::ne, 4},
                                 {"<=", Op::le, 4},     {">=", Op::ge, 4},    {"=", Op::eq, 4},
                                 {"<", Op::lt, 4},      {">", Op::gt, 4},     {"+", Op::add, 5},
                                 {"-", Op::sub, 5},     {"*", Op::mul, 6},    {"/", Op::div, 6}};
  if (++depth > 40) return fail("nested too deep");
  TermPtr left = prefix();
  while (left) {
    const std::size_t before = at;
    const Infix* found = nullptr;
    for (const auto& i : kInfix)
      if (eat(i.token)) {
        found = &i;
        break;
      }
    if (found == nullptr || found->left <= power) {
      at = before;
      break;
    }
    left = joined(found->op, left, expression(found->left));
  }
  --depth;
  return left;
}

}  // namespace

Result<TermPtr> parse_term_as(std::string_view text,
                              Names& names,
                              const Domain& domain,
                              const std::string& what) {
  Parser p{text, names, what, 0, 0, std::nullopt};
  TermPtr t = p.expression(0);
  if (t) t = p.resolve(t, domain);
  p.skip();
  if (t && p.at != text.size())
    t = p.fail("found '" + std::string(text.substr(p.at, 12)) + "' after the end");
  if (!t) return *p.failed;
  return t;
}

Result<TermPtr> parse_term(std::string_view text, Names& names, const std::string& what) {
  return parse_term_as(text, names, Domain{Type::boolean, -1, -1, 0, 0, false}, what);
}

}  // namespace seedbed::envgen
