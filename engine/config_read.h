// Reads members of one JSON object with bounds. The first refusal is kept and later ones are
// dropped, so that a parser reads as a list of fields and looks at the error once.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/config.h"
#include "schemas/value.h"

namespace seedbed::engine {

class ConfigReader {
 public:
  // `json` must outlive the reader. `prefix` stands before keys in messages ("rope_scaling.").
  ConfigReader(const schemas::Value& json, std::string_view where, std::string_view prefix = "");

  // Each of these takes the key as known; null counts as absent. Without a fallback it is required.
  int integer(const char* key, int lo, int hi, std::optional<int> fallback = std::nullopt);
  double number(const char* key,
                double lo,
                double hi,
                std::optional<double> fallback = std::nullopt);
  bool boolean(const char* key, bool fallback);
  std::string text(const char* key, std::string_view fallback);
  // The member, or nullptr where it is absent or null.
  const schemas::Value* any(const char* key);
  [[nodiscard]] bool has(const char* key) const;

  // Present or absent, its value changes nothing that is computed here.
  void ignore(const char* key) { known_.emplace_back(key); }
  // Keeps an error: what stands at `key` and what was wanted.
  void refuse(std::string_view key, std::string found_and_wanted, std::string_view todo);

  [[nodiscard]] bool failed() const { return error_.has_value(); }
  // The first refusal; failing that, a member that no call named, with the nearest known key.
  Step finish();

 private:
  const schemas::Value& json_;
  std::string where_, prefix_;
  std::vector<std::string> known_;
  std::optional<Error> error_;
};

// rope_parameters, or the older rope_scaling with rope_theta beside it. Needs
// max_position_embeddings.
void read_rope(ConfigReader& in, std::string_view where, ModelConfig& config);
// Absent: not quantised.
void read_quantization(ConfigReader& in, std::string_view where, ModelConfig& config);

}  // namespace seedbed::engine
