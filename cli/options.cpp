#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <memory>

#include "base/text.h"

namespace seedbed::cli {
namespace {

template <class T>
bool parse_all(const std::string& text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

std::string short_number(double x) {
  std::string text = std::to_string(x);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

Options::Options(std::string command, std::string about, std::string example)
    : command_(std::move(command)), about_(std::move(about)), example_(std::move(example)) {}

void Options::add(Item item) {
  const bool is_flag = item.name.starts_with("-");
  (is_flag ? flags_ : operands_).push_back(std::move(item));
}

void Options::flag(const std::string& name, bool& out, const std::string& about) {
  Item item{.name = name, .value = {}, .about = about};
  item.accept = [&out](const Options& /*self*/, const std::vector<std::string>& /*words*/) -> Step {
    out = true;
    return std::nullopt;
  };
  add(std::move(item));
}

void Options::text(const std::string& name,
                   std::string& out,
                   const std::string& value,
                   const std::string& about) {
  Item item{.name = name, .value = value, .about = about, .fallback = out};
  item.accept = [name, value, &out](const Options& self,
                                    const std::vector<std::string>& words) -> Step {
    if (words.back().empty()) return self.wrong(name, "''", value + " that is not empty");
    out = words.back();
    return std::nullopt;
  };
  add(std::move(item));
}

void Options::texts(const std::string& name,
                    std::vector<std::string>& out,
                    const std::string& value,
                    const std::string& about) {
  Item item{.name = name, .value = value, .about = about + " (may be given again)", .many = true};
  item.accept = [&out](const Options& /*self*/, const std::vector<std::string>& words) -> Step {
    out = words;
    return std::nullopt;
  };
  add(std::move(item));
}

void Options::integer(const std::string& name,
                      std::int64_t& out,
                      std::int64_t lo,
                      std::int64_t hi,
                      const std::string& about) {
  Item item{.name = name, .value = "N", .about = about, .fallback = std::to_string(out)};
  item.accept = [name, lo, hi, &out](const Options& self,
                                     const std::vector<std::string>& words) -> Step {
    std::int64_t x = 0;
    if (!parse_all(words.back(), x) || x < lo || x > hi)
      return self.wrong(name, "'" + words.back() + "'",
                        "an integer from " + std::to_string(lo) + " to " + std::to_string(hi));
    out = x;
    return std::nullopt;
  };
  add(std::move(item));
}

void Options::number(
    const std::string& name, double& out, double lo, double hi, const std::string& about) {
  Item item{.name = name, .value = "X", .about = about, .fallback = short_number(out)};
  item.accept = [name, lo, hi, &out](const Options& self,
                                     const std::vector<std::string>& words) -> Step {
    double x = 0;
    if (!parse_all(words.back(), x) || !(x >= lo && x <= hi))
      return self.wrong(name, "'" + words.back() + "'",
                        "a number from " + short_number(lo) + " to " + short_number(hi));
    out = x;
    return std::nullopt;
  };
  add(std::move(item));
}

void Options::choice(const std::string& name,
                     std::string& out,
                     const std::vector<std::string>& allowed,
                     const std::string& about) {
  Item item{.name = name, .value = join(allowed, "|"), .about = about, .fallback = out};
  item.accept = [name, allowed, &out](const Options& self,
                                      const std::vector<std::string>& words) -> Step {
    const auto& word = words.back();
    if (std::find(allowed.begin(), allowed.end(), word) == allowed.end()) {
      const auto near = nearest(word, allowed);
      return self.wrong(
          name, "'" + word + "'",
          "one of " + join(allowed, ", ") + (near.empty() ? "" : " (nearest: '" + near + "')"));
    }
    out = word;
    return std::nullopt;
  };
  add(std::move(item));
}

void Options::operand(const std::string& name, std::string& out, const std::string& about) {
  Item item{.name = name, .value = name, .about = about, .at_least = 1};
  item.accept = [&out](const Options& /*self*/, const std::vector<std::string>& words) -> Step {
    out = words.back();
    return std::nullopt;
  };
  add(std::move(item));
}

void Options::operands(const std::string& name,
                       std::vector<std::string>& out,
                       std::size_t at_least,
                       const std::string& about) {
  Item item{.name = name, .value = name, .about = about, .many = true, .at_least = at_least};
  item.accept = [&out](const Options& /*self*/, const std::vector<std::string>& words) -> Step {
    out = words;
    return std::nullopt;
  };
  add(std::move(item));
}

bool Options::given(const std::string& name) const {
  return std::any_of(flags_.begin(), flags_.end(),
                     [&](const Item& item) { return item.name == name && item.seen; });
}

Error Options::unknown(const std::string& word) const {
  const auto name = word.substr(0, word.find('='));
  std::vector<std::string> known = {"--help"};
  for (const auto& item : flags_) known.push_back(item.name);
  const auto near = nearest(name, known);
  return make_error(
      Where::usage, "seedbed " + command_, name, "unknown flag; flags here are " + join(known, " "),
      near.empty() ? "see `seedbed " + command_ + " --help`" : "did you mean '" + near + "'?");
}

Error Options::wrong(const std::string& name,
                     const std::string& found,
                     const std::string& wanted) const {
  return make_error(Where::usage, "seedbed " + command_, name,
                    "found " + found + ", wanted " + wanted,
                    "see `seedbed " + command_ + " --help`");
}

// A flag without its value would take the next word, whatever it is.
Step Options::values_follow(const std::vector<std::string>& words) const {
  const auto flag_of = [this](const std::string& word) {
    return std::find_if(
        flags_.begin(), flags_.end(),
        [name = word.substr(0, word.find('='))](const Item& f) { return f.name == name; });
  };
  for (std::size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    const auto flag = flag_of(words[i]);
    if (flag == flags_.end() || flag->value.empty()) continue;
    if (words[i].ends_with('=') && words[i].size() == flag->name.size() + 1)
      return wrong(words[i], "nothing after '='", flag->value);
    if (words[i] != flag->name || ++i == words.size()) continue;
    if (flag_of(words[i]) != flags_.end())
      return wrong(flag->name, "the flag '" + words[i] + "'", flag->value);
  }
  return std::nullopt;
}

Step Options::parse(const std::vector<std::string>& words) {
  for (const auto& word : words) {
    if (word == "--") break;
    if (word == "--help" || word == "-h") {
      wants_help_ = true;
      return std::nullopt;
    }
  }
  if (auto error = values_follow(words)) return error;
  std::vector<std::string> loose;
  try {
    CLI::App app;
    app.set_help_flag();
    app.allow_extras();
    for (auto& item : flags_) {
      if (item.value.empty()) {
        app.add_flag_callback(item.name, [&item] { item.seen = true; });
      } else {
        auto* option = app.add_option(item.name, item.words)->expected(1)->allow_extra_args(false);
        option->multi_option_policy(item.many ? CLI::MultiOptionPolicy::TakeAll
                                              : CLI::MultiOptionPolicy::Throw);
      }
    }
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    app.parse(std::move(reversed));
    loose = app.remaining();
  } catch (const CLI::Error& e) {
    return make_error(Where::usage, "seedbed " + command_, "", e.what(),
                      "see `seedbed " + command_ + " --help`");
  }
  for (auto& item : flags_) {
    if (!item.value.empty()) item.seen = !item.words.empty();
    if (!item.seen) continue;
    if (auto error = item.accept(*this, item.words)) return error;
  }
  std::erase(loose, "--");
  for (const auto& word : loose)
    if (word.size() > 1 && word[0] == '-') return unknown(word);
  for (auto& item : operands_) {
    const std::size_t take = item.many ? loose.size() : std::min<std::size_t>(1, loose.size());
    item.words.assign(loose.begin(), loose.begin() + static_cast<std::ptrdiff_t>(take));
    loose.erase(loose.begin(), loose.begin() + static_cast<std::ptrdiff_t>(take));
    if (item.words.size() < item.at_least)
      return make_error(Where::usage, "seedbed " + command_, item.name,
                        "found " + std::to_string(item.words.size()) + ", wanted " +
                            (item.many ? "at least " : "") + std::to_string(item.at_least) + " (" +
                            item.about + ")",
                        "for instance: " + example_);
    if (item.words.empty()) continue;
    if (auto error = item.accept(*this, item.words)) return error;
  }
  if (!loose.empty())
    return make_error(Where::usage, "seedbed " + command_, loose[0], "one operand too many",
                      "see `seedbed " + command_ + " --help`");
  for (const auto& name : required_)
    if (!given(name))
      return make_error(Where::usage, "seedbed " + command_, name,
                        "absent, and this command needs it", "for instance: " + example_);
  return std::nullopt;
}

std::string Options::help() const {
  std::string out = "seedbed " + command_ + ": " + about_ + "\n\nusage: seedbed " + command_;
  for (const auto& item : operands_) out += " " + item.name + (item.many ? "..." : "");
  if (!flags_.empty()) out += " [flags]";
  out += "\n\n";
  std::size_t width = 0;
  const auto left = [](const Item& item) {
    return item.name.starts_with("-") && !item.value.empty() ? item.name + " " + item.value
                                                             : item.name;
  };
  for (const auto* list : {&operands_, &flags_})
    for (const auto& item : *list)
      if (left(item).size() <= 34) width = std::max(width, left(item).size());
  for (const auto* list : {&operands_, &flags_})
    for (const auto& item : *list) {
      const auto name = left(item);
      out += "  " + name +
             (name.size() > width ? "\n  " + std::string(width, ' ')
                                  : std::string(width - name.size(), ' '));
      out += "  " + item.about;
      if (!item.fallback.empty()) out += " [" + item.fallback + "]";
      out += "\n";
    }
  out += "\nexample: " + example_ + "\n";
  return out;
}

}  // namespace seedbed::cli
