// Reading pack files: one object at a time, every key known, with the pointer in each message.
// Inside the pack readers only.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "envgen/general/pack.h"
#include "schemas/reflect.h"

namespace seedbed::envgen {

using schemas::Value;

inline constexpr const char* kComment = "//";  // a key that people may write anywhere

// Walks one object: each expected key through a handler, unknown keys refused with the nearest
// known one.
class Reader {
 public:
  Reader(const Value& value, std::string where, std::string pointer)
      : value_(value), where_(std::move(where)), pointer_(std::move(pointer)) {
    if (!value_.is_object()) failed_ = schemas::wrong_kind(where_, pointer_, value_, "object");
  }
  const Value* get(const char* key, bool required = false) {
    known_.emplace_back(key);
    if (failed_) return nullptr;
    const Value* v = value_.find(key);
    if (v == nullptr && required) failed_ = schemas::missing_key(where_, pointer_, key);
    return v;
  }
  template <class T>
  void read(const char* key, T& out, bool required = false) {
    const Value* v = get(key, required);
    if (v != nullptr && !failed_)
      failed_ = schemas::from_value(*v, out, where_, pointer_ + "/" + key);
  }
  void texts(const char* key, Texts& out, bool required = false) {
    each(
        key,
        [&](const std::string& name, const Value& v, const std::string& p) -> Step {
          std::string text;
          if (auto e = schemas::from_value(v, text, where_, p)) return e;
          out.emplace_back(name, text);
          return std::nullopt;
        },
        required);
  }
  void each(const char* key,
            const std::function<Step(const std::string&, const Value&, const std::string&)>& f,
            bool required = false) {
    const Value* v = get(key, required);
    if (v == nullptr || failed_) return;
    const std::string p = pointer_ + "/" + key;
    if (!v->is_object()) {
      failed_ = schemas::wrong_kind(where_, p, *v, "object");
      return;
    }
    for (const auto& [name, member] : v->members())
      if (!failed_ && name != kComment) failed_ = f(name, member, p + "/" + name);
  }
  void fail(Error e) {
    if (!failed_) failed_ = std::move(e);
  }
  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] const std::string& pointer() const { return pointer_; }
  Step done() {
    if (failed_) return failed_;
    for (const auto& [key, ignored] : value_.members()) {
      bool found = key == kComment;
      for (const auto& k : known_) found = found || k == key;
      if (!found) return schemas::unknown_key(where_, pointer_, key, known_);
    }
    return std::nullopt;
  }

 private:
  const Value& value_;
  std::string where_, pointer_;
  std::vector<std::string> known_;
  Step failed_;
};

}  // namespace seedbed::envgen
