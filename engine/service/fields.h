// The members of a request, read with their types and bounds. null counts as absent, as clients
// send it. The first wrong one is kept as the refusal; members that nobody asks for are nobody's
// business: OpenAI-compatible clients send more than a server knows.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/service/fault.h"
#include "schemas/value.h"

namespace seedbed::engine::service {

class Fields {
 public:
  // `object` must outlive this. `prefix` stands before the names in messages: "sampling_params.".
  explicit Fields(const schemas::Value& object, std::string prefix = "")
      : object_(object), prefix_(std::move(prefix)) {}

  // Each leaves `out` as it is where the member is absent. True: it was there, and right.
  bool number(std::string_view key, double& out, double low, double high);
  bool integer(std::string_view key, std::int64_t& out, std::int64_t low, std::int64_t high);
  bool boolean(std::string_view key, bool& out);
  bool text(std::string_view key, std::string& out, std::size_t most_bytes = 1U << 20);
  // One string or a list of strings.
  bool texts(std::string_view key, std::vector<std::string>& out, std::size_t most);
  // Token ids below `vocab`.
  bool ids(std::string_view key, std::vector<std::int32_t>& out, int vocab, std::size_t most);
  const schemas::Value* object(std::string_view key);
  const schemas::Value* array(std::string_view key);
  // The member where it is there and not null.
  [[nodiscard]] const schemas::Value* find(std::string_view key) const;

  void refuse(std::string_view key, std::string_view found_and_wanted);
  void refuse(Fault fault);
  [[nodiscard]] bool ok() const { return !refusal_; }
  [[nodiscard]] const Refusal& refusal() const { return refusal_; }

 private:
  void wrong_kind(std::string_view key, const schemas::Value& found, std::string_view wanted);

  const schemas::Value& object_;
  std::string prefix_;
  Refusal refusal_;
};

}  // namespace seedbed::engine::service
