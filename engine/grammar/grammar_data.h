#pragma once
#include <memory>

#include "engine/grammar/automaton.h"
#include "engine/grammar/grammar.h"
#include "engine/grammar/walk.h"

namespace seedbed::engine::grammar {

struct Grammar::Data {
  std::shared_ptr<const Vocabulary> vocabulary;
  Program program;
  PieceCache cache;
};

}  // namespace seedbed::engine::grammar
