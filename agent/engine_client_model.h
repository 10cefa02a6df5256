// One model for all episodes of a run: engine, tokenizer, and how replies are sampled.
#pragma once
#include <cstdint>
#include <memory>
#include <utility>

#include "agent/engine_options.h"
#include "base/result.h"
#include "engine/engine.h"
#include "engine/service/chat_vocabulary.h"
#include "engine/service/constraint.h"

namespace seedbed::agent {

class EngineModel {
 public:
  // Error{usage}: parameters out of their bounds, a cache that holds no window; Error{model}: the
  // model or its tokenizer cannot be read, or the tokenizer is of another vocabulary.
  static Result<std::unique_ptr<EngineModel>> open(const EngineOptions& options);

  [[nodiscard]] engine::Engine& engine() const { return *engine_; }
  [[nodiscard]] const EngineOptions& options() const { return options_; }
  [[nodiscard]] const engine::service::ChatVocabulary& vocabulary() const { return vocabulary_; }
  [[nodiscard]] engine::service::Grammars& grammars() const { return grammars_; }
  [[nodiscard]] std::int64_t window() const { return window_; }  // tokens an episode may have

 private:
  EngineModel(EngineOptions options, engine::service::ChatVocabulary vocabulary)
      : options_(std::move(options)), vocabulary_(std::move(vocabulary)) {}

  EngineOptions options_;
  engine::service::ChatVocabulary vocabulary_;
  mutable engine::service::Grammars grammars_{vocabulary_};  // locks itself
  std::unique_ptr<engine::Engine> engine_;
  std::int64_t window_ = 0;
};

}  // namespace seedbed::agent
