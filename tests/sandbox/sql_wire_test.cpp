// The wire: what a hostile host may say to the parent, and what a broken parent may say to the
// host.
#include "sandbox/sql_wire.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/clock.h"
#include "base/rng.h"
#include "tests/sandbox/sql_testing.h"

namespace seedbed::sandbox {
namespace {

using schemas::End;

// ---- a client whose host is a script ----

struct FakeHost {
  FakeHost() {
    int pair[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    theirs = pair[1];
    client = std::make_unique<SqlHostClient>(
        HostProcess{pair[0], [this] { killed = true; }, [] { return std::string("told to"); },
                    std::shared_ptr<void>(nullptr, [fd = pair[0]](void*) { close(fd); })});
  }
  ~FakeHost() {
    if (theirs >= 0) close(theirs);
  }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;
  // What the host will have said by the time that the client reads: the reply may be written before
  // the request.
  void say(const std::string& bytes) const {
    EXPECT_EQ(write(theirs, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void hang_up() { shutdown(theirs, SHUT_WR); }

  int theirs = -1;
  bool killed = false;
  std::unique_ptr<SqlHostClient> client;
};

std::string reply(
    std::uint32_t id, const std::string& body, int status = 0, int end = 0, int pad = 0) {
  std::string out;
  wire::put_u32(out, static_cast<std::uint32_t>(wire::kReplyHead + body.size()));
  wire::put_u32(out, id);
  out += static_cast<char>(status);
  out += static_cast<char>(end);
  out += static_cast<char>(pad);
  out += '\0';
  return out + body;
}

const schemas::ToolCall kCall{"t", schemas::Value::object()};

TEST(SqlClient, AWellFormedReplyIsPassedThroughAsItIs) {
  FakeHost host;
  host.say(reply(1, R"({"b":1, "a":[null,true,-1.5e3,"\u00e9\n"]})", 0, 1));
  const auto r = host.client->call(kCall, 100);
  ASSERT_TRUE(r.ok()) << r.error().message;
  EXPECT_EQ(r->end, End::tool_error);
  EXPECT_EQ(r->out, R"({"b":1, "a":[null,true,-1.5e3,"\u00e9\n"]})");
}

TEST(SqlClient, HostileRepliesAreRefusedAndTheHostIsKilled) {
  std::string huge;
  wire::put_u32(huge, 0xffffffff);
  std::string over;
  wire::put_u32(over,
                static_cast<std::uint32_t>(wire::kOutMax + wire::kOutSlack + wire::kReplyHead + 1));
  std::string tiny;
  wire::put_u32(tiny, 3);
  const std::pair<std::string, std::string> rows[] = {
      {huge + std::string(20, 'x'), "bytes, allowed are"},
      {over + std::string(20, 'x'), "bytes, allowed are"},
      {tiny + std::string(20, 'x'), "bytes, allowed are"},
      {reply(2, "{}"), "a reply to request 2, expected 1"},
      {reply(1, "{}", 2), "unknown status"},
      {reply(1, "{}", 0, 7), "unknown end"},
      {reply(1, "{}", 0, 0, 1), "padding"},
      {reply(1, "{"), "no JSON text"},
      {reply(1, ""), "no JSON text"},
      {reply(1, "{} {}"), "no JSON text"},
      {reply(1, "{\"a\":01}"), "no JSON text"},
      {reply(1, "\"\xff\""), "no JSON text"},
      {reply(1, std::string(5000, '[')), "no JSON text"},
      {reply(1, "{}") + "x", "bytes after its reply"},
      {reply(1, "because", 1), "call refused: because"},
  };
  for (const auto& [bytes, why] : rows) {
    FakeHost host;
    host.say(bytes);
    const auto r = host.client->call(kCall, 100);
    ASSERT_FALSE(r.ok()) << why;
    EXPECT_EQ(r.error().where, Where::sandbox);
    EXPECT_NE(r.error().message.find(why), std::string::npos) << r.error().message;
    EXPECT_NE(r.error().message.find("told to"), std::string::npos) << r.error().message;
    EXPECT_TRUE(host.killed);
    EXPECT_FALSE(host.client->reset() == std::nullopt);  // of no use any more
    EXPECT_FALSE(host.client->call(kCall, 100).ok());
  }
}

TEST(SqlClient, SilenceEndsAtTheDeadlineAndAClosedSocketAtOnce) {
  {
    FakeHost host;
    const auto start = monotonic_us();
    const auto r = host.client->call(kCall, 50);
    ASSERT_FALSE(r.ok());
    EXPECT_NE(r.error().message.find("before the deadline"), std::string::npos)
        << r.error().message;
    EXPECT_GE(monotonic_us() - start, 500'000);
    EXPECT_LT(monotonic_us() - start, 1'500'000);
  }
  {
    FakeHost host;  // half a reply, then nothing
    host.say(reply(1, "{}").substr(0, 9));
    const auto r = host.client->call(kCall, 50);
    ASSERT_FALSE(r.ok());
    EXPECT_NE(r.error().message.find("before the deadline"), std::string::npos);
  }
  {
    FakeHost host;
    host.say(reply(1, "{}").substr(0, 9));
    host.hang_up();
    const auto start = monotonic_us();
    const auto r = host.client->call(kCall, 5000);
    ASSERT_FALSE(r.ok());
    EXPECT_NE(r.error().message.find("before its reply was whole"), std::string::npos);
    EXPECT_LT(monotonic_us() - start, 1'000'000);
  }
}

TEST(SqlClient, RandomRepliesNeverDoMoreThanFail) {
  Rng rng(17);
  for (int i = 0; i < 3000; ++i) {
    FakeHost host;
    std::string body(static_cast<std::size_t>(rng.below(60)), '\0');
    for (auto& c : body) c = static_cast<char>(rng.below(rng.chance(1, 2) ? 4 : 256));
    host.say(reply(1, body));
    host.hang_up();
    switch (rng.below(5)) {
      case 0:
        (void)host.client->call(kCall, 1);
        break;
      case 1: {
        const auto played = host.client->play({{kCall}, {}}, 1);
        EXPECT_TRUE(!played.ok() || played->size() == 2U);
        break;
      }
      case 2:
        (void)host.client->changes();
        break;
      case 3:
        EXPECT_FALSE(host.client->digest().ok());
        break;
      default:
        (void)host.client->stats();
        break;
    }
  }
}

TEST(SqlClient, APlayBodyThatLiesIsRefused) {
  const auto node = [](int end, const std::string& out) {
    std::string n;
    wire::put_play_node(n, static_cast<End>(end), out, "");
    return n;
  };
  const auto u32 = [](std::uint32_t x) {
    std::string n;
    wire::put_u32(n, x);
    return n;
  };
  const std::string good = u32(1) + node(0, "{}") + u32(1) + u32(1) + u32(0);
  ASSERT_TRUE(wire::read_play_body(good).ok());
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(wire::read_play_body(good.substr(0, size)).ok()) << size;
  EXPECT_FALSE(wire::read_play_body(good + "x").ok());
  EXPECT_FALSE(wire::read_play_body(u32(1) + node(9, "{}") + u32(0)).ok());
  EXPECT_FALSE(wire::read_play_body(u32(1) + node(0, "{") + u32(0)).ok());
  EXPECT_FALSE(wire::read_play_body(u32(1) + node(0, "{}") + u32(1) + u32(1) + u32(1)).ok());
  EXPECT_FALSE(wire::read_play_body(u32(0xffffffff)).ok());
  EXPECT_FALSE(wire::read_play_body(u32(0) + u32(0xffffffff)).ok());
  FakeHost host;  // well formed, but of another number of plans
  host.say(reply(1, good));
  EXPECT_FALSE(host.client->play({{kCall}, {kCall}}, 100).ok());
}

TEST(SqlWire, IsJsonAgreesWithTheParser) {
  Rng rng(23);
  const std::string seeds[] = {
      R"({"items":[{"a":1,"b":null},{"a":-2.5e-3,"b":"x\n\u00e9"}],"next_offset":null})",
      "[1,2,[3,{}],true,false]", "\"\xc3\xa9\"", "-0.5E+7", "  {} "};
  int valid = 0;
  for (int i = 0; i < 40'000; ++i) {
    std::string s = seeds[rng.below(5)];
    for (auto edits = rng.below(3); edits > 0 && !s.empty(); --edits) {
      const auto at = static_cast<std::size_t>(rng.below(s.size()));
      static constexpr std::string_view kBytes = "{}[]\",:0123456789.eE+-\\unrtf \n\x01\xc3";
      if (rng.chance(1, 3))
        s.erase(at, 1);
      else
        s.insert(at, 1, kBytes[static_cast<std::size_t>(rng.below(kBytes.size()))]);
    }
    const bool parses = schemas::parse_json(s).ok();
    valid += parses ? 1 : 0;
    if (parses) {
      EXPECT_TRUE(wire::is_json(s)) << s;
    } else if (wire::is_json(s)) {  // the parser also refuses what is no matter of syntax
      const auto why = schemas::parse_json(s).error().message;
      EXPECT_TRUE(why.find("duplicate") != std::string::npos ||
                  why.find("twice") != std::string::npos ||
                  why.find("surrogate") != std::string::npos ||
                  why.find("range") != std::string::npos || why.find("finite") != std::string::npos)
          << s << " " << why;
    }
  }
  EXPECT_GT(valid, 10'000);
}

// ---- a host whose client is a script ----

class SqlHostWire : public SqlHostTest {
 protected:
  void say(const std::string& bytes) const {
    std::size_t put = 0;
    while (put < bytes.size()) {
      const ssize_t n =
          ::send(host_->descriptor(), bytes.data() + put, bytes.size() - put, MSG_NOSIGNAL);
      if (n <= 0) return;
      put += static_cast<std::size_t>(n);
    }
  }
  static std::string framed(const std::string& payload) {
    std::string out;
    wire::put_u32(out, static_cast<std::uint32_t>(payload.size()));
    return out + payload;
  }
  // The next reply's payload; "" where the host ended.
  std::string hear() const {
    const auto take = [&](std::size_t size) {
      std::string out;
      while (out.size() < size) {
        pollfd p{host_->descriptor(), POLLIN, 0};
        if (poll(&p, 1, 10'000) != 1) {
          ADD_FAILURE() << "no word from the host";
          return std::string();
        }
        std::string some(size - out.size(), '\0');
        const ssize_t n = recv(host_->descriptor(), some.data(), some.size(), 0);
        if (n <= 0) return std::string();
        out.append(some, 0, static_cast<std::size_t>(n));
      }
      return out;
    };
    const auto head = take(4);
    return head.empty() ? "" : take(wire::get_u32(head, 0));
  }
};

TEST_F(SqlHostWire, RequestsThatMakeNoSenseAreRefusedAndTheHostGoesOn) {
  for (const char* text :
       {"", "{", "[]", "null", "{}", R"({"id":1})", R"({"id":"x","op":5})",
        R"({"id":1,"op":"nonsense"})", R"({"id":1,"op":"call"})",
        R"({"id":1,"op":"play","plans":5})", R"({"id":1,"op":"reset"})",
        R"({"id":1,"op":"digest"})", "\xff\xfe", R"({"id":1,"op":"call","op":"call"})"}) {
    say(framed(text));
    const auto got = hear();
    ASSERT_GE(got.size(), wire::kReplyHead) << text;
    EXPECT_EQ(got[4], 1) << text;
  }
  load("CREATE TABLE t(k INTEGER PRIMARY KEY)", {{"t", "", "", {}, "SELECT 7 AS x"}});
  EXPECT_EQ(out("t"), R"({"x":7})");
}

TEST_F(SqlHostWire, RequestsToALoadedHostThatMakeNoSenseAreAnswered) {
  load("CREATE TABLE t(k INTEGER PRIMARY KEY)", {{"t", "", "", {}, "SELECT 7 AS x"}});
  for (const char* text :
       {R"({"id":1,"op":"call"})", R"({"id":1,"op":"call","tool":7,"args":7})",
        R"({"id":1,"op":"call","tool":"t","args":null,"wall_ms":-5})", R"({"id":1,"op":"play"})",
        R"({"id":1,"op":"play","plans":[7]})", R"({"id":1,"op":"play","plans":[[7]]})",
        R"({"id":1,"op":"play","plans":[[{"tool":[]}]]})",
        R"({"id":1,"op":"call","tool":"t","wall_ms":99999999999999})"}) {
    say(framed(text));
    EXPECT_GE(hear().size(), wire::kReplyHead) << text;
  }
  EXPECT_EQ(digest(), env_.image_hash);
}

TEST_F(SqlHostWire, AFrameOverItsBoundEndsTheHostWithoutReadingIt) {
  std::string head;
  wire::put_u32(head, static_cast<std::uint32_t>(wire::kFrameMax + 1));
  say(head);
  EXPECT_EQ(hear(), "");
}

TEST_F(SqlHostWire, RandomBytesNeverHangTheHost) {
  Rng rng(29);
  for (int i = 0; i < 60; ++i) {
    auto opened = open_unjailed_sql_host_for_tests();
    ASSERT_TRUE(opened.ok());
    host_ = *std::move(opened);
    std::string bytes;
    for (int frames = 0; frames < 5; ++frames) {
      std::string payload =
          rng.chance(1, 2) ? R"({"id":1,"op":"load","tools":[],"now_minutes":0,"image_hash":""})"
                           : R"({"id":1,"op":"play","plans":[[{"tool":"t","args":{}}]]})";
      for (auto edits = rng.below(4); edits > 0; --edits)
        payload[static_cast<std::size_t>(rng.below(payload.size()))] =
            static_cast<char>(rng.below(256));
      bytes += framed(payload);
    }
    if (rng.chance(1, 2)) bytes.resize(static_cast<std::size_t>(rng.below(bytes.size())));
    say(bytes);
    shutdown(host_->descriptor(), SHUT_WR);
    int heard = 0;
    while (!hear().empty()) ASSERT_LT(++heard, 10);  // replies, then the end: never silence
  }
}

TEST_F(SqlHostWire, SendAndReceiveAreOneCallInFlight) {
  load("CREATE TABLE t(k INTEGER PRIMARY KEY)", {{"t",
                                                  R"({"k":{"type":"integer"}})",
                                                  "",
                                                  {run("INSERT INTO t VALUES(:k)")},
                                                  "SELECT count(*) AS n FROM t"}});
  ASSERT_FALSE(host_->send({"t", json(R"({"k":1})")}, 5000).has_value());
  EXPECT_TRUE(host_->send({"t", json(R"({"k":2})")}, 5000).has_value());  // one at a time
  EXPECT_FALSE(host_->digest().ok());
  pollfd p{host_->descriptor(), POLLIN, 0};
  ASSERT_EQ(poll(&p, 1, 5000), 1);
  const auto r = host_->receive(1000);
  ASSERT_TRUE(r.ok()) << r.error().message;
  EXPECT_EQ(r->out, R"({"n":1})");
  EXPECT_FALSE(host_->receive(10).ok());  // nothing in flight; the host stays usable
  EXPECT_EQ(out("t", R"({"k":2})"), R"({"n":2})");
  EXPECT_EQ(changes().size(), 2U);
}

TEST_F(SqlHostWire, ADeadHostIsNamedWithItsCause) {
  load("CREATE TABLE t(k INTEGER PRIMARY KEY)", {{"t", "", "", {}, "SELECT 7 AS x"}});
  std::string head;
  wire::put_u32(head, 0xffffffff);
  say(head);
  const auto r = host_->call({"t", schemas::Value::object()}, 1000);
  ASSERT_FALSE(r.ok());
  EXPECT_NE(r.error().message.find("exited 2"), std::string::npos) << r.error().message;
}

TEST_F(SqlHostWire, LoadReplacesWhatWasLoadedAndARefusedLoadLeavesNothing) {
  load("CREATE TABLE t(k INTEGER PRIMARY KEY)", {{"t", "", "", {}, "SELECT 7 AS x"}});
  load("CREATE TABLE u(k INTEGER PRIMARY KEY)", {{"u", "", "", {}, "SELECT 8 AS x"}});
  EXPECT_EQ(out("u"), R"({"x":8})");
  EXPECT_EQ(call("t").end, End::tool_error);
  EXPECT_NE(refusal("CREATE TABLE t(k INTEGER PRIMARY KEY)", {{"t", "", "", {}, "PRAGMA x"}}),
            "loaded");
  const auto r = host_->call({"u", schemas::Value::object()}, 1000);
  ASSERT_FALSE(r.ok());
  EXPECT_NE(r.error().message.find("nothing is loaded"), std::string::npos) << r.error().message;
}

}  // namespace
}  // namespace seedbed::sandbox
