// The flags and operands of one command: declared once, they give parsing, help and messages. CLI11
// does the splitting; the values are checked here, so that every refusal has the four parts and
// names the nearest flag.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace seedbed::cli {

class Options {
 public:
  Options(std::string command, std::string about, std::string example);

  // Each binds a variable whose present value is the default. Bound variables must outlive parse().
  void flag(const std::string& name, bool& out, const std::string& about);
  void text(const std::string& name,
            std::string& out,
            const std::string& value,
            const std::string& about);
  void texts(const std::string& name,
             std::vector<std::string>& out,
             const std::string& value,
             const std::string& about);
  void integer(const std::string& name,
               std::int64_t& out,
               std::int64_t lo,
               std::int64_t hi,
               const std::string& about);
  void number(const std::string& name, double& out, double lo, double hi, const std::string& about);
  void choice(const std::string& name,
              std::string& out,
              const std::vector<std::string>& allowed,
              const std::string& about);
  // Operands in the order of their declaration; the last may take many.
  void operand(const std::string& name, std::string& out, const std::string& about);
  void operands(const std::string& name,
                std::vector<std::string>& out,
                std::size_t at_least,
                const std::string& about);
  // `name` must have been given.
  void require(const std::string& name) { required_.push_back(name); }

  [[nodiscard]] bool given(const std::string& name) const;
  [[nodiscard]] bool wants_help() const {
    return wants_help_;
  }  // after parse(): print help() and end
  Step parse(const std::vector<std::string>& words);
  [[nodiscard]] std::string help() const;

 private:
  using Accept = std::function<Step(const Options&,
                                    const std::vector<std::string>&)>;  // the words given for it
  struct Item {
    std::string name;   // "--seed", or "STORE" for an operand
    std::string value;  // "N"; empty for a flag without value
    std::string about;
    std::string fallback = {};  // default as shown in help
    bool many = false;
    std::size_t at_least = 0;
    Accept accept = {};
    std::vector<std::string> words = {};
    bool seen = false;
  };
  void add(Item item);
  [[nodiscard]] Step values_follow(const std::vector<std::string>& words) const;
  [[nodiscard]] Error unknown(const std::string& word) const;
  [[nodiscard]] Error wrong(const std::string& name,
                            const std::string& found,
                            const std::string& wanted) const;

  std::string command_, about_, example_;
  std::vector<Item> flags_, operands_;
  std::vector<std::string> required_;
  bool wants_help_ = false;
};

}  // namespace seedbed::cli
