// first-match: the tool that shares most words with the prompt, the first values that fit.
#include <algorithm>

#include "tasks/solvers/session.h"

namespace seedbed::tasks::solvers {
namespace {

using schemas::ToolCall;
using schemas::Value;
using Kind = SeenParam::Kind;
using Form = SeenTool::Form;

class FirstMatch {
 public:
  FirstMatch(const Sight& sight, const Ways& ways)
      : sight_(sight), session_(sight, ways), c_(sight.catalog) {
    for (auto& token : tokens_of(sight.prompt)) stems_.push_back(std::move(token.stem));
    names_ = name_candidates(sight.prompt);
  }

  Result<Ending> run() {
    const bool changes = required_fields(sight_.submit_schema).empty();
    const int tool = best([&](const SeenTool& t) { return (t.form == Form::act) == changes; });
    if (tool >= 0) {
      if (auto e = use(c_.tools[static_cast<std::size_t>(tool)])) return *std::move(e);
    }
    return Ending{Ending::Kind::submit, submission()};
  }

 private:
  template <class F>
  int best(F&& wanted) const {
    int out = -1, most = 0;
    for (std::size_t t = 0; t < c_.tools.size(); ++t) {
      if (!wanted(c_.tools[t])) continue;
      int score = 0;
      for (const auto& stem : c_.tools[t].stems)
        if (std::find(stems_.begin(), stems_.end(), stem) != stems_.end()) score += c_.weight(stem);
      if (score > most) most = score, out = static_cast<int>(t);
    }
    return out;
  }

  // A record of the kind: by the first name that finds one, else the first of its list.
  Result<const Row*> record(int noun) {
    const auto& kind = c_.nouns[static_cast<std::size_t>(noun)];
    auto& rows = session_.known.rows[static_cast<std::size_t>(noun)];
    const auto fresh = [&]() -> const Row* {
      for (const auto& m : session_.mentions())
        if (m.what.noun == noun && !used(m.what)) return used_.push_back(m.what), &rows[m.what.row];
      return nullptr;
    };
    if (kind.find >= 0)
      for (const auto& name : names_) {
        const auto& find = c_.tools[static_cast<std::size_t>(kind.find)];
        Value args = Value::object();
        args.set(find.param(Kind::name)->name, name);
        SEEDBED_TRY(const auto results, session_.call({{find.name, std::move(args)}}));
        if (const Row* row = fresh()) return row;
      }
    if (kind.list >= 0) {
      const auto& list = c_.tools[static_cast<std::size_t>(kind.list)];
      SEEDBED_TRY(const auto results, session_.call({{list.name, filters(list)}}));
      if (const Row* row = fresh()) return row;
    }
    return rows.empty() ? nullptr : &rows.front();
  }

  bool used(const RowRef& what) const {
    return std::find(used_.begin(), used_.end(), what) != used_.end();
  }

  // Arguments of a list that the prompt gives: words, and records seen already.
  Value filters(const SeenTool& list) {
    Value args = Value::object();
    for (const auto& p : list.params) {
      if (p.kind == Kind::choice)
        for (const auto& word : p.choices)
          if (find_phrase(sight_.prompt, word) != std::string_view::npos) args.set(p.name, word);
      if (p.kind != Kind::ref && p.kind != Kind::ref_name) continue;
      for (const auto& m : session_.mentions())
        if (m.what.noun == p.noun) {
          const Row& row = session_.known.rows[static_cast<std::size_t>(p.noun)][m.what.row];
          args.set(p.name, p.kind == Kind::ref ? row.value : Value(row.name()));
        }
    }
    return args;
  }

  Step use(const SeenTool& tool) {
    Value args = tool.form == Form::list ? filters(tool) : Value::object();
    // What has a name first: other records may be listed by it.
    for (const bool named : {true, false})
      for (const auto& p : tool.params) {
        if (!p.required || args.find(p.name) != nullptr) continue;
        if (p.kind == Kind::ref || p.kind == Kind::ref_name) {
          if ((c_.nouns[static_cast<std::size_t>(p.noun)].find >= 0) != named) continue;
          SEEDBED_TRY(const Row* row, record(p.noun));
          if (row != nullptr) args.set(p.name, argument_of(p, *row));
        } else if (!named) {
          plain(p, args);
        }
      }
    noun_ = tool.noun;
    SEEDBED_TRY(const auto results, session_.call({{tool.name, std::move(args)}}));
    return std::nullopt;
  }

  void plain(const SeenParam& p, Value& args) const {
    if (p.kind == Kind::choice) {
      for (const auto& word : p.choices)
        if (find_phrase(sight_.prompt, word) != std::string_view::npos) {
          args.set(p.name, word);
          return;
        }
      if (!p.choices.empty()) args.set(p.name, p.choices.front());
      return;
    }
    for (const auto& token : tokens_of(sight_.prompt)) {
      const auto n = number_of(token.text);
      if (p.kind == Kind::number && n) {
        args.set(p.name, *n);
        return;
      }
      if (p.kind == Kind::date && day_of(token.text)) {
        args.set(p.name, token.text);
        return;
      }
    }
    if (p.kind == Kind::text || p.kind == Kind::name)
      args.set(p.name, names_.empty() ? "unknown" : names_.front());
  }

  // The first record seen of the kind that the tool showed; every field its first value that fits.
  Value submission() const {
    Value out = Value::object();
    const Value* properties = sight_.submit_schema.find("properties");
    const std::vector<Row> none;
    const auto& rows = noun_ < 0 ? none : session_.known.rows[static_cast<std::size_t>(noun_)];
    for (const auto& name : required_fields(sight_.submit_schema)) {
      const Value* field = properties == nullptr ? nullptr : properties->find(name);
      if (field == nullptr) continue;
      const std::string type = field->text("type");
      Value found = type == "integer" ? Value(0)
                    : type == "array" ? Value::array()
                                      : Value("unknown");
      if (type == "array") {
        for (const auto& row : rows) found.push(row.value);
      } else if (!rows.empty()) {
        auto about = stems_of_name(name);
        for (auto& token : tokens_of(field->text("description")))
          about.push_back(std::move(token.stem));
        const bool id = std::find(about.begin(), about.end(), "id") != about.end();
        const std::string* column = column_like(c_, rows, about, false);
        const Value* v = id                  ? &rows.front().value
                         : column == nullptr ? nullptr
                                             : rows.front().column(*column);
        if (v != nullptr && (v->is_int() == (type == "integer"))) found = *v;
      }
      out.set(name, std::move(found));
    }
    return out;
  }

  const Sight& sight_;
  Session session_;
  const Catalog& c_;
  std::vector<std::string> stems_, names_;
  std::vector<RowRef> used_;
  int noun_ = -1;
};

}  // namespace

Result<Ending> solve_by_first_match(const Sight& sight, const Ways& ways) {
  return FirstMatch(sight, ways).run();
}

}  // namespace seedbed::tasks::solvers
