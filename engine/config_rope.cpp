// YaRN (arXiv 2309.00071) as DeepSeek-V3 uses it: stretched frequencies, and a correction that
// lives in the softmax scale alone.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/config_read.h"
#include "engine/shown.h"

namespace seedbed::engine {
namespace {

double yarn_mscale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

// What transformers multiplies cos and sin with. This engine never does, so it has to be 1.
double rotary_scaling(const RopeConfig& rope, bool mscales_given) {
  if (mscales_given && rope.mscale != 0 && rope.mscale_all_dim != 0)
    return yarn_mscale(rope.factor, rope.mscale) / yarn_mscale(rope.factor, rope.mscale_all_dim);
  return yarn_mscale(rope.factor, 1.0);
}

void read_yarn(ConfigReader& in, int max_positions, RopeConfig& rope) {
  rope.factor = in.number("factor", 1.0, 1e6);
  rope.original_positions =
      in.integer("original_max_position_embeddings", 1, 1 << 30, max_positions);
  rope.beta_fast = in.number("beta_fast", 1e-3, 1e6, 32.0);
  rope.beta_slow = in.number("beta_slow", 1e-3, 1e6, 1.0);
  rope.truncate = in.boolean("truncate", true);
  const bool given = in.has("mscale") && in.has("mscale_all_dim");
  rope.mscale_all_dim = in.number("mscale_all_dim", 0, 100, 0.0);
  rope.mscale = in.number("mscale", 0, 100, rope.mscale_all_dim);
  const double scaling =
      in.number("attention_factor", 0, 1e6, in.failed() ? 1.0 : rotary_scaling(rope, given));
  if (rope.beta_fast < rope.beta_slow)
    in.refuse("beta_fast", "is below beta_slow, wanted at least that", "exchange the two");
  if (std::abs(scaling - 1.0) > 1e-12)
    in.refuse("mscale",
              "with mscale_all_dim it scales cos and sin by " +
                  schemas::dump(schemas::Value(scaling)) + ", wanted 1 (both equal and not 0)",
              "this engine computes no other; give both, equal, or attention_factor 1.0");
}

}  // namespace

void read_rope(ConfigReader& in, std::string_view where, ModelConfig& config) {
  const auto* newer = in.any("rope_parameters");
  const auto* older = in.any("rope_scaling");
  const double theta = in.number("rope_theta", 1.0001, 1e12, 10'000.0);
  if (newer != nullptr && older != nullptr)
    in.refuse("rope_scaling", "stands beside rope_parameters, wanted one of the two",
              "remove rope_scaling");
  config.rope = {};
  config.rope.theta = theta;
  config.rope.mscale_all_dim = 0;
  config.rope.mscale = 0;
  config.rope.original_positions = config.max_position_embeddings;
  if (newer == nullptr && older == nullptr) return;
  if (in.failed()) return;

  const char* key = newer != nullptr ? "rope_parameters" : "rope_scaling";
  ConfigReader rope(newer != nullptr ? *newer : *older, where, std::string(key) + ".");
  if (!rope.failed()) {
    const auto type = rope.text("rope_type", rope.text("type", "default"));
    // Its own theta, else the one beside it (transformers' order).
    config.rope.theta = rope.number("rope_theta", 1.0001, 1e12, theta);
    if (rope.number("partial_rotary_factor", 0, 1, 1.0) != 1.0)
      rope.refuse("partial_rotary_factor", "is not 1", "qk_rope_head_dim says what is rotated");
    if (type == "yarn")
      read_yarn(rope, config.max_position_embeddings, config.rope);
    else if (type != "default")
      rope.refuse("rope_type", "found " + shown_name(type) + ", wanted default or yarn",
                  "this engine computes no other");
  }
  if (auto error = rope.finish()) in.refuse(key, error->message, "");
}

double ModelConfig::softmax_scale() const {
  const double correction = yarn_mscale(rope.factor, rope.mscale_all_dim);
  return 1.0 / std::sqrt(static_cast<double>(qk_head_dim())) * correction * correction;
}

std::vector<double> ModelConfig::inverse_frequencies() const {
  const int dim = qk_rope_head_dim;
  // The dimension whose wave turns `turns` times over the original positions.
  const auto dimension_of = [&](double turns) {
    return dim * std::log(rope.original_positions / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(rope.theta));
  };
  double low = dimension_of(rope.beta_fast);
  double high = dimension_of(rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1.0);
  if (low == high) high += 0.001;

  std::vector<double> out(static_cast<std::size_t>(dim / 2));
  for (int i = 0; i < dim / 2; ++i) {
    const double plain = 1.0 / std::pow(rope.theta, 2.0 * i / dim);
    const double ramp = std::clamp((i - low) / (high - low), 0.0, 1.0);
    out[static_cast<std::size_t>(i)] =
        rope.factor == 1.0 ? plain : plain / rope.factor * ramp + plain * (1 - ramp);
  }
  return out;
}

}  // namespace seedbed::engine
