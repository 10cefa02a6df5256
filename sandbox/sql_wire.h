// The wire between the parent and the SQL host: one stream socket, one request at a time, one reply
// to each.
//
//   frame    u32 little-endian length, then that many bytes (at most kFrameMax)
//   request  a frame of JSON: {"id", "op", ...}; after `load` a second frame holds the image's raw
//   bytes
//              load {tools, now_minutes, image_hash} · call {tool, args, wall_ms} · play {plans,
//              wall_ms} reset · changes · digest · ping
//   reply    a frame: u32 id, u8 status, u8 end, u16 zero, then the body:
//              call     the result's JSON text          changes  schemas::encode_changes
//              digest   32 hex digits                   ping     JSON: what the host counted
//              play     see PlayWriter                  refused  why, in words
//
// The body is passed through as it is: the parent checks that it is JSON and does not build values
// of it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/call.h"

namespace seedbed::sandbox::wire {

inline constexpr std::size_t kFrameMax = 64U << 20;
inline constexpr std::size_t kOutMax = 256U << 10;  // result text of one call
inline constexpr std::size_t kOutSlack = 4096;  // what closing a cut result, or an error, may add
inline constexpr std::size_t kReplyHead = 8;
inline constexpr std::size_t kMaxPlans = 20'000;
inline constexpr std::size_t kMaxPlanCalls = 1'000;
inline constexpr int kMaxDepth = 96;  // of a request's JSON
inline constexpr int kHostDescriptor = 3;

enum class Status : std::uint8_t { done, refused };

struct ReplyHead {
  std::uint32_t id = 0;
  Status status = Status::done;
  schemas::End end = schemas::End::ok;
};

void put_u32(std::string& out, std::uint32_t x);
void set_u32(std::string& out, std::size_t at, std::uint32_t x);
std::uint32_t get_u32(std::string_view bytes, std::size_t at);  // needs at + 4 <= size

// Begins a reply frame in `out` (length still zero); finish_frame sets the length.
void begin_reply(std::string& out, std::uint32_t id, Status status, schemas::End end);
void finish_frame(std::string& out);
// Refuses unknown status, end and padding: they come from the jail.
Result<ReplyHead> read_reply_head(std::string_view payload);

// A play's reply: each call that was run once (a node of the trie), then each plan as a list of
// nodes.
//   u32 nodes { u8 end, u32 size, out, u32 size, changes (size 0: none) }   u32 plans { u32 calls {
//   u32 node } }
struct PlayNode {
  schemas::End end = schemas::End::ok;
  std::string out;
  std::vector<schemas::RowChange> changes;
};
struct PlayBody {
  std::vector<PlayNode> nodes;
  std::vector<std::vector<std::uint32_t>> plans;
};
void put_play_node(std::string& out,
                   schemas::End end,
                   std::string_view text,
                   std::string_view changes);
void put_play_plan(std::string& out, const std::vector<std::uint32_t>& nodes);
Result<PlayBody> read_play_body(std::string_view body);

// Whether `text` is one JSON text of valid UTF-8, nesting at most kMaxDepth. Builds nothing.
bool is_json(std::string_view text);

}  // namespace seedbed::sandbox::wire
