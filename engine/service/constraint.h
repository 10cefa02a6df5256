// Masks for chat answers. A grammar is compiled once for all requests that ask for the same: its
// states are cached inside.
#pragma once
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "engine/grammar/grammar.h"
#include "engine/service/chat_vocabulary.h"

namespace seedbed::engine::service {

class Grammars {
 public:
  explicit Grammars(const ChatVocabulary& vocabulary) : vocabulary_(vocabulary) {}
  // Error{usage}: what a schema asks for that no mask can hold; of functions that are not strict
  // that is no error, they take any object then.
  Result<std::shared_ptr<const grammar::Grammar>> get(const grammar::ChatFormat& format);

 private:
  using Item = std::pair<std::string, std::shared_ptr<const grammar::Grammar>>;
  const ChatVocabulary& vocabulary_;
  std::mutex mutex_;
  std::list<Item> items_;  // the last used first
};

}  // namespace seedbed::engine::service
