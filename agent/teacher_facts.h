// What the teacher may speak of: the user's words and the records in the results so far.
#pragma once
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/trajectory.h"

namespace seedbed::agent {

inline constexpr std::size_t kMostShown = 48;  // bytes of a value that a reason says

// A scalar as it is read; "" for null and for what is no scalar.
std::string value_text(const schemas::Value& value);
std::string key_of(const schemas::Value& record);          // its first member's value
bool is_date(std::string_view text);                       // 2031-03-05, whatever follows
std::vector<std::string> words_of(std::string_view name);  // of an identifier, in small letters

struct SeenCall {
  std::string tool;
  schemas::Value args, result;
  std::vector<const schemas::Value*> items;  // its records, into `result`
  std::string error;                         // code, where it failed
};

// A record that holds a value, and under which name.
struct Place {
  std::size_t call = 0;
  const schemas::Value* item = nullptr;
  std::string field;
};

// How a record was picked out of the records beside it.
struct Pick {
  bool only = false;                                       // it stands alone
  std::vector<std::pair<std::string, std::string>> match;  // fields that the task names, and values
  std::string by;                                          // the least or greatest in this field
  bool least = false;
  std::vector<std::string> among;  // values of the others there
  std::string limit;               // or: the user's date or number that the value of `by` is
  int side = 0;                    // below (-1) or above (1)
};

class Facts {
 public:
  void clear();
  // Reads what is new.
  void read(const std::vector<schemas::Turn>& turns);

  [[nodiscard]] const std::deque<SeenCall>& calls() const { return calls_; }
  [[nodiscard]] const std::string& request() const { return request_; }
  // Whether the user wrote it, as words of its own.
  [[nodiscard]] bool user_says(std::string_view text) const;
  // The same, or one of the user's dates and numbers.
  [[nodiscard]] bool user_gives(const std::string& text) const;
  // Names of two words at least that the request has.
  [[nodiscard]] std::vector<std::string> names() const;
  // The user's dates and numbers.
  [[nodiscard]] std::vector<std::string> user_limits() const;
  // A word of the user's for the least or the greatest of something.
  [[nodiscard]] bool user_ranks(bool least) const;
  // Said by the user, or given to a tool before, or the key of a record that was read alone: what
  // the work is about.
  [[nodiscard]] bool told(const std::string& value) const;
  // The record of this key, where the user says its name: what it is called under, in capitals.
  [[nodiscard]] std::optional<Place> named(const std::string& key) const;
  // How much of an identifier the user wrote: 0 to 100.
  [[nodiscard]] int user_names(std::string_view identifier) const;
  // The record that holds the value: one of the owners (keys of records) rather than another, in
  // the preferred calls rather than elsewhere, as its key rather than under another name, under a
  // name that the user speaks of, late rather than early.
  [[nodiscard]] std::optional<Place> find(const std::string& value,
                                          const std::vector<std::size_t>& preferred,
                                          const std::vector<std::string>& owners = {}) const;
  [[nodiscard]] Pick pick(const Place& place) const;
  // Records of the call and of the other pages of the same list.
  [[nodiscard]] std::vector<const schemas::Value*> beside(std::size_t call) const;

 private:
  void pick_extreme(const Place& place, std::vector<const schemas::Value*> rest, Pick& out) const;
  void pick_limit(const Place& place, Pick& out) const;

  std::deque<SeenCall> calls_;
  std::string request_;            // the user's first text
  std::vector<std::string> user_;  // all of them, in small letters
  std::size_t turns_ = 0;          // read
};

}  // namespace seedbed::agent
