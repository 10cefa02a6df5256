// Sentences of packs: slots in braces, filled with the skin's words.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "envgen/general/skin.h"

namespace seedbed::envgen {

// What a parameter or given is called in the sentence, and what it is.
using SlotNames = std::vector<std::pair<std::string, Domain>>;
SlotNames slot_names(const std::vector<Param>& params);

// Fills the slots that hang on the skin alone: {concept}, {concept s}, {concept.attribute},
// {concept.attribute s}, {concept.attribute.word}, {parameter.attribute}. A parameter's own slot
// stays, and so does what cannot be resolved.
std::string fill_words(const World& world,
                       const Skin& skin,
                       int mechanism,
                       const SlotNames& slots,
                       const std::string& text);
// The phrases of transitions, goals and reads: the lexicon's own where it has some that name every
// parameter once, else the packs'.
void word_sentences(const World& world, const Lexicon& lexicon, Skin& skin);
// "a" before a vowel's sound becomes "an": slots do not know what fills them.
std::string with_right_articles(const std::string& text);
// The first slot left, or "".
std::string open_slot(const std::string& text);
std::string plural_of(const std::string& noun);

}  // namespace seedbed::envgen
