// The element that is being read: its call, the arguments' text as it grows, what broke it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/parse.h"
#include "engine/chat/tags.h"

namespace seedbed::engine::chat {

class CallBuilder {
 public:
  // `begin`: offset of the element. `lone_parameter`: no call stands around it.
  void start(std::size_t begin, bool lone_parameter);
  // Named: the arguments begin, into `arguments`.
  void name_call(std::string& arguments);
  void begin_parameter(const Attributes& attributes, std::string& arguments);
  void add_value(std::string_view bytes, std::string& arguments) const;
  // `value`: all bytes of it.
  void end_parameter(std::string_view value, std::string& arguments);
  void end_call(std::string& arguments) const;
  void broken(std::string_view why);  // the first reason stays

  [[nodiscard]] std::size_t begin() const { return begin_; }
  [[nodiscard]] bool named() const { return named_; }
  [[nodiscard]] bool lone_parameter() const { return lone_parameter_; }
  [[nodiscard]] const std::string& why() const { return why_; }
  [[nodiscard]] const std::string& parameter() const { return parameter_; }
  [[nodiscard]] schemas::Value take_value() { return std::move(value_); }

 private:
  std::size_t begin_ = 0;
  bool named_ = false, lone_parameter_ = false;
  std::string why_;
  schemas::Value value_;
  std::string parameter_;   // empty: unreadable, its value is kept in the element alone
  bool is_string_ = false;  // the open parameter is quoted
};

}  // namespace seedbed::engine::chat
