// What kind of clause a request is, and what kind a frame takes.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "envgen/text/text.h"

namespace seedbed::envgen {
namespace {

// With what imperatives of packs begin. A word that is missing here costs variety, never grammar.
constexpr const char* kVerbs =
    "abandon abort accept accession accredit add admit advance agree alert allocate allot allow "
    "announce answer appoint approve arrange ask assign attach award badge ban bank bar beckon "
    "begin "
    "bestow bill bleep block blow book box break brief bring bump calculate call cancel card carry "
    "certify chalk challenge change charge chase check choose claim clamp claw clean clear click "
    "close "
    "collect commit compare complain complete condemn confer confirm contest contract convert "
    "count "
    "cover credit crew cross cut debit decide declare decline deduct defer delete deliver deny "
    "deploy "
    "derive despatch detain determine diagnose dip disallow discard discharge dismiss dispatch "
    "dispute "
    "divert dock downgrade draw drop earmark end enlarge enrol enter entrust escalate establish "
    "exchange exclude excuse expect extend fail fetch file fill find finish firm fit fix float fly "
    "follow forgive forward free freeze fund get give glaze go grant green-tag greenlight "
    "guarantee "
    "hand hang have hem hire hold ice identify include indent inspect install instruct invite "
    "invoice "
    "issue judge keep kill kit knock lay leave lend let level levy lift list load lock lodge log "
    "look "
    "lower make mark match measure merge minute mobilise move name negotiate nominate note notify "
    "nudge "
    "object off-hire offer open option order page pass pause pay phone pick pin pitch place plan "
    "plate "
    "post postpone pour present print prod produce prolong promote propose publish pull push put "
    "quarantine query queue quote radio raise re-chalk re-charge re-name re-sign re-snag read "
    "reassign "
    "rebook recall receive reckon reconcile record recut redeem reduce refer refund refuse "
    "register "
    "reimburse reinstate reject release remind remove renew rent reopen replace replant report "
    "requote "
    "reroute reschedule reseat reserve resolve restack restore resume retag retire retract return "
    "reverse revert revise revoke ring ring-fence roll roster rule run save scan schedule score "
    "scratch "
    "seat see select sell send serve set settle shelve shift ship show shut side sift sign slot "
    "sound "
    "spend spike split spread square stamp stand start state step stop store strike submit suspend "
    "swap "
    "switch table tag take tally tap task tear tell terminate test text thank thaw throw tick "
    "tighten "
    "top total trace transfer treat trim tune turn unblock unclip undo unfreeze unload unlock "
    "update "
    "upgrade uphold use vacate verify vire void waive wake walk wave weigh whisper widen wind "
    "withdraw "
    "work write";

constexpr std::size_t kShort = 130;  // characters that a question can hold

}  // namespace

bool is_request_verb(std::string_view word) {
  static const std::set<std::string, std::less<>> kSet = [] {
    const auto words = split(kVerbs, ' ');
    return std::set<std::string, std::less<>>(words.begin(), words.end());
  }();
  return kSet.find(word) != kSet.end();
}

Clause clause_of(std::string_view request) {
  const auto space = request.find(' ');
  if (!is_request_verb(request.substr(0, space))) return Clause::any;
  const bool simple = request.size() <= kShort &&
                      request.find_first_of(":;?") == std::string_view::npos &&
                      request.find(". ") == std::string_view::npos &&
                      request.find(", then ") == std::string_view::npos;
  return simple ? Clause::short_verb : Clause::verb;
}

Wants wants(std::string_view frame) {
  const auto slot = frame.find("{}");
  if (slot == std::string_view::npos) return Wants::short_verb;
  const auto after = frame.substr(slot + 2);
  if (!after.empty()) return Wants::short_verb;
  const auto before = frame.substr(0, slot);
  static constexpr const char* kStops[] = {": ", ". ", "? ", "! ", "; ", "- "};
  const bool open = before.empty() ||
                    std::any_of(std::begin(kStops), std::end(kStops), [&](std::string_view stop) {
                      return before.size() >= 2 && before.substr(before.size() - 2) == stop;
                    });
  if (open) return Wants::clause;
  // "so, of all ...": after a short word and a comma any clause follows.
  constexpr std::size_t kShortHead = 12;
  const bool comma =
      before.size() >= 2 && before.size() <= kShortHead && before.substr(before.size() - 2) == ", ";
  return comma ? Wants::clause : Wants::verb;
}

}  // namespace seedbed::envgen
