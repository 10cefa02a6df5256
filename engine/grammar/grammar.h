// Constrained decoding: which tokens may come next, so that what is sampled always is a text of a
// given form. A grammar is compiled once and shared; a Matcher follows one sequence through it.
//
//   (1) A token is allowed exactly where its bytes can be continued to a text of the grammar.
//   (2) The end-of-sequence token is allowed exactly where the text is complete.
//   (3) Where `tokens_left` is enough for the shortest completion at the start, the text is
//       complete within it: masks narrow down to ways that still reach the end in time. A byte
//       costs at most one token (byte-level vocabularies hold every byte). Where it is not
//       enough, masks do not narrow: the text will be cut.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/value.h"

namespace seedbed::engine::grammar {

// The tokens of a vocabulary by id, as bytes. Special tokens stand for themselves: their bytes
// never count as text.
struct TokenTable {
  std::vector<std::string> bytes;     // [vocab]; empty: never allowed
  std::vector<std::uint8_t> special;  // [vocab]
  std::vector<std::int32_t> end_ids;  // end of sequence
  std::int32_t end_think = -1;        // the token of </think>, -1: it is text
  std::int32_t dsml = -1;             // the token of the DSML marker, -1: it is text
};

class Vocabulary {
 public:
  static std::shared_ptr<const Vocabulary> make(TokenTable table);
  ~Vocabulary();
  [[nodiscard]] int size() const;

 private:
  friend class Matcher;
  friend class Grammar;
  struct Data;
  explicit Vocabulary(std::unique_ptr<const Data> data);
  std::unique_ptr<const Data> data_;
};

struct Function {
  std::string name;
  schemas::Value parameters;  // a JSON Schema of type object; null: no parameters
  bool strict = true;         // false: the arguments may be any JSON
};

// auto_: text, then calls or none; none: no call; required: at least one; named: that one.
enum class ToolChoice : std::uint8_t { auto_, none, required, named };

// A reply in DeepSeek-V3.2's form: [reasoning </think>] then text and/or one block of calls, then
// the end.
struct ChatFormat {
  bool reasoning = false;  // the prompt opened <think>: free text until </think> comes first
  ToolChoice choice = ToolChoice::auto_;
  std::vector<Function> functions;
  std::string named;     // choice == named
  bool parallel = true;  // more than one call in the block; named: always one
  // Instead of free text: one JSON document, or a block of calls alone.
  bool json = false;
  schemas::Value schema;  // json: null for any object
};

// What a schema asks for that no mask can hold (not, if/then, unevaluated*, patterns out of the
// subset, ...) is refused, never ignored: Error{usage} with the JSON pointer. Annotations are
// ignored, and so is `format` but for date and date-time, which the validator asserts.
//
// A grammar's texts are valid, but not every valid text is one of a grammar: members come in the
// order of the schema, those that it does not list only where additionalProperties or
// patternProperties says so or where it lists none, and see README.md.
class Grammar {
 public:
  static Result<std::shared_ptr<const Grammar>> json_object(std::shared_ptr<const Vocabulary> v);
  // Any JSON Schema 2020-12 value: the text is one JSON document of it, without free white space.
  static Result<std::shared_ptr<const Grammar>> json_schema(std::shared_ptr<const Vocabulary> v,
                                                            const schemas::Value& schema);
  static Result<std::shared_ptr<const Grammar>> chat(std::shared_ptr<const Vocabulary> v,
                                                     const ChatFormat& format);
  ~Grammar();
  // Tokens (bytes) of the shortest text, the end included.
  [[nodiscard]] std::int64_t shortest() const;

 private:
  friend class Matcher;
  friend struct GrammarProbe;  // of the tests
  struct Data;
  explicit Grammar(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;  // masks of states are cached inside, under a lock
};

// Not for two threads at once.
class Matcher {
 public:
  explicit Matcher(std::shared_ptr<const Grammar> grammar);
  ~Matcher();
  // Bits [ceil(vocab/32)] of what may come next, with so many tokens left (the next one and the end
  // included). Valid until the next call of either function.
  const std::uint32_t* mask(std::int64_t tokens_left);
  // The token that was sampled. False: the grammar does not allow it; nothing changed.
  bool accept(std::int32_t id);
  [[nodiscard]] bool finished() const;  // an end token was accepted

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace seedbed::engine::grammar
