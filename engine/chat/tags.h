// The tags of a completion, told apart at a '<' with as few bytes as decide it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/parse.h"

namespace seedbed::engine::chat {

enum class Tag : std::uint8_t {
  none,     // no tag begins here
  partial,  // the text so far begins one
  eos,
  end_think,
  open_calls,
  open_invoke,     // end: after the word, where the attributes begin
  open_parameter,  // the same
  close_calls,
  close_invoke,
  close_parameter,
  stray  // a DSML tag that the format does not have; end: after the marker
};
struct TagAt {
  Tag tag = Tag::none;
  std::size_t end = 0;
};

class TagReader {
 public:
  explicit TagReader(const ParseOptions& options) : options_(options) {}
  // Bytes [begin, ...) are a special token. In rising order.
  void note_special(std::size_t begin) { specials_.push_back(begin); }
  [[nodiscard]] bool wants_specials() const {
    return options_.eos_is_token || options_.end_think_is_token || options_.dsml_is_token;
  }
  // What begins at text[at] == '<'.
  [[nodiscard]] TagAt read(std::string_view text, std::size_t at) const;

 private:
  [[nodiscard]] bool is_special(std::size_t at) const;

  ParseOptions options_;
  std::vector<std::size_t> specials_;
};

// Does text[at..] begin with enough of a DSML tag to be no ordinary text?
bool begins_dsml(std::string_view text, std::size_t at);

inline bool is_tag_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
std::size_t skip_tag_space(std::string_view text, std::size_t at);

// Finds the end of a tag's attributes, over as many calls as the bytes take to come.
struct HeaderScan {
  enum class State : std::uint8_t { more, closed, broken };
  std::size_t begin = 0, at = 0;
  char quote = 0;

  explicit HeaderScan(std::size_t from = 0) : begin(from), at(from) {}
  // closed: `at` is one past the '>'; broken: `at` is where reading goes on.
  State run(std::string_view text);
};

struct Attributes {
  enum class Bool : std::uint8_t { absent, yes, no, other };
  bool readable = false;
  std::string name;  // empty: absent
  Bool is_string = Bool::absent;
};
// Of the text between the word and the '>'. Unknown attributes are passed over.
Attributes read_attributes(std::string_view header);

}  // namespace seedbed::engine::chat
