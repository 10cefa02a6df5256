// Bytes to requests, without a socket.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/server/request_head.h"
#include "engine/server/request_parser.h"

namespace seedbed::engine::server {
namespace {

using State = RequestParser::State;

std::string request(const std::string& line, const std::string& fields = "Host: x\r\n") {
  return line + "\r\n" + fields + "\r\n";
}

struct Outcome {
  State state = State::idle;
  int status = 0;
  std::vector<std::string> requests;
};

// Reads until nothing more comes out; pieces of `step` bytes.
Outcome read(const std::string& bytes,
             std::size_t step,
             std::size_t max_header = 1'024,
             std::size_t max_body = 4'096) {
  RequestParser parser(max_header, max_body);
  Outcome out;
  const auto take_all = [&] {
    while ((out.state = parser.parse()) == State::ready) {
      const auto r = parser.take();
      out.requests.push_back(r.method + "|" + r.path + "|" + r.query + "|" + r.body + "|" +
                             r.authorization + "|" + r.content_type + "|" + r.accept + "|" +
                             r.session + (r.keep_alive ? "|keep" : "|close"));
    }
  };
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    parser.feed(std::string_view(bytes).substr(at, step));
    take_all();
    if (out.state == State::broken) {
      out.status = parser.fault().status;
      EXPECT_FALSE(parser.fault().message.empty());
      break;
    }
  }
  return out;
}

// The same for every way of cutting the bytes.
Outcome read_cut(const std::string& bytes) {
  const auto whole = read(bytes, bytes.size());
  for (const std::size_t step : {1, 2, 3, 7, 64}) {
    const auto cut = read(bytes, step);
    EXPECT_EQ(cut.status, whole.status) << step << ": " << bytes;
    EXPECT_EQ(cut.requests, whole.requests) << step << ": " << bytes;
    EXPECT_EQ(static_cast<int>(cut.state), static_cast<int>(whole.state)) << step << ": " << bytes;
  }
  return whole;
}

TEST(RequestParser, ReadsWhatTheServiceNeeds) {
  const auto out = read_cut(
      "POST /v1/chat%20x?a=b%20c HTTP/1.1\r\nhost: x\r\nAUTHORIZATION:  Bearer k \r\n"
      "content-type: application/json\r\nAccept: a/b\r\naccept: c/d\r\nx-session-id: s\r\n"
      "Content-Length: 5\r\n\r\nhello");
  ASSERT_EQ(out.requests.size(), 1U);
  EXPECT_EQ(out.requests[0],
            "POST|/v1/chat x|a=b%20c|hello|Bearer k|application/json|a/b, c/d|s|keep");
  EXPECT_EQ(out.state, State::idle);
}

TEST(RequestParser, ReadsRequestsSentAhead) {
  const auto out = read_cut("\r\n" + request("GET /a HTTP/1.1") +
                            request("PUT /b HTTP/1.1", "Host: x\r\nContent-Length: 2\r\n") + "xy" +
                            "\r\n" + request("GET /c HTTP/1.0", "") + "GET /d");
  EXPECT_EQ(out.requests, (std::vector<std::string>{"GET|/a|||||||keep", "PUT|/b||xy|||||keep",
                                                    "GET|/c|||||||close"}));
  EXPECT_EQ(out.state, State::partial);
}

TEST(RequestParser, ReadsChunks) {
  const auto out =
      read_cut(request("POST / HTTP/1.1", "Host: x\r\nTransfer-Encoding: Chunked\r\n") +
               "5\r\nhello\r\n0006;a=b;c=\"d\"\r\n world\r\n1 \r\n!\r\n0;e\r\n"
               "Authorization: smuggled\r\nX-Sum: 1\r\n\r\n" +
               request("GET /next HTTP/1.1"));
  EXPECT_EQ(out.requests,
            (std::vector<std::string>{"POST|/||hello world!|||||keep", "GET|/next|||||||keep"}));
}

TEST(RequestParser, KeepsAliveAsAsked) {
  const auto last = [](const std::string& line, const std::string& fields) {
    const auto out = read_cut(request(line, fields));
    return out.requests.empty() ? "" : out.requests[0].substr(out.requests[0].rfind('|'));
  };
  EXPECT_EQ(last("GET / HTTP/1.1", "Host: x\r\n"), "|keep");
  EXPECT_EQ(last("GET / HTTP/1.1", "Host: x\r\nConnection: TE, Close\r\n"), "|close");
  EXPECT_EQ(last("GET / HTTP/1.0", ""), "|close");
  EXPECT_EQ(last("GET / HTTP/1.0", "Connection: keep-alive\r\n"), "|keep");
}

TEST(RequestParser, TargetsComeInTheirForms) {
  const auto path = [](const std::string& line) {
    const auto out = read_cut(request(line));
    return out.requests.empty() ? std::to_string(out.status) : out.requests[0];
  };
  EXPECT_EQ(path("GET http://x:80/a/b?q HTTP/1.1"), "GET|/a/b|q||||||keep");
  EXPECT_EQ(path("GET HTTPS://x?q HTTP/1.1"), "GET|/|q||||||keep");
  EXPECT_EQ(path("OPTIONS * HTTP/1.1"), "OPTIONS|*|||||||keep");
  EXPECT_EQ(path("GET /%e6%BC%a2/\xe6\xbc\xa2 HTTP/1.1"), "GET|/漢/漢|||||||keep");
  EXPECT_EQ(path("GET * HTTP/1.1"), "400");
  EXPECT_EQ(path("CONNECT x:80 HTTP/1.1"), "400");
  EXPECT_EQ(path("GET /%zz HTTP/1.1"), "400");
  EXPECT_EQ(path("GET /%4 HTTP/1.1"), "400");
  EXPECT_EQ(path("GET /%00 HTTP/1.1"), "400");
  EXPECT_EQ(path("GET /%0d%0aX HTTP/1.1"), "400");
  EXPECT_EQ(path("GET /%ff HTTP/1.1"), "400");
  EXPECT_EQ(path("GET /\xff HTTP/1.1"), "400");
  EXPECT_EQ(path("GET /?\xc3 HTTP/1.1"), "400");
}

struct Broken {
  const char* why;
  std::string bytes;
  int status;
};

TEST(RequestParser, EveryFaultHasItsStatusWhereverBytesAreCut) {
  using namespace std::string_literals;
  const auto with = [](const std::string& field, const std::string& body = "") {
    return request("POST / HTTP/1.1", "Host: x\r\n" + field + "\r\n") + body;
  };
  const std::string chunked = "Transfer-Encoding: chunked";
  const std::vector<Broken> all = {
      {"no HTTP at all", "\x16\x03\x01\x02", 400},
      {"a line without end of line", "hello\n", 0},
      {"one word", "hello\r\nx", 400},
      {"no version", "GET /\r\nx", 400},
      {"spaces", "GET  / HTTP/1.1\r\nx", 400},
      {"a bare line feed", "GET / HTTP/1.1\nHost: x\n\n", 400},
      {"another version", "GET / HTTP/2.0\r\nx", 505},
      {"another version", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"a version of letters", "GET / HTTP/x.y\r\nx", 400},
      {"NUL in the request line", "GET /\0 HTTP/1.1\r\nx"s, 400},
      {"NUL in a name", with("a\0b: c"s), 400},
      {"NUL in a value", with("a: b\0c"s), 400},
      {"a name without colon", with("abc"), 400},
      {"a space before the colon", with("abc : d"), 400},
      {"a line that is folded", with("a: b\r\n c"), 400},
      {"no host", request("GET / HTTP/1.1", ""), 400},
      {"two hosts", request("GET / HTTP/1.1", "Host: x\r\nHost: x\r\n"), 400},
      {"two keys", with("Authorization: a\r\nAuthorization: b"), 400},
      {"a key of no UTF-8", with("Authorization: \xff"), 400},
      {"a type of no UTF-8", with("Content-Type: \xc3("), 400},
      {"a list of no UTF-8", with("Accept: \xff"), 400},
      {"no number", with("Content-Length: 5x", "hello"), 400},
      {"a negative number", with("Content-Length: -5", "hello"), 400},
      {"no digits", with("Content-Length: ", "hello"), 400},
      {"a number of 21 digits", with("Content-Length: 184467440737095516160"), 400},
      {"two lengths", with("Content-Length: 5\r\nContent-Length: 6", "hello!"), 400},
      {"length and chunks", with("Content-Length: 5\r\n" + chunked, "hello"), 400},
      {"chunks and length", with(chunked + "\r\nContent-Length: 5", "hello"), 400},
      {"chunks twice", with(chunked + "\r\n" + chunked), 400},
      {"chunks of HTTP/1.0", request("POST / HTTP/1.0", chunked + "\r\n"), 400},
      {"another coding", with("Transfer-Encoding: gzip"), 501},
      {"another coding first", with("Transfer-Encoding: gzip, chunked"), 501},
      {"an unknown expectation", with("Expect: a-miracle"), 417},
      {"a chunk without size", with(chunked, "\r\n"), 400},
      {"a size of no digits", with(chunked, "x\r\n"), 400},
      {"a size with a sign", with(chunked, "-1\r\n"), 400},
      {"a size of 17 digits", with(chunked, "00000000000000001\r\n"), 400},
      {"a size and a word", with(chunked, "1 x\r\n"), 400},
      {"a size with a bare line feed", with(chunked, "1\na\r\n"), 400},
      {"a NUL after the size", with(chunked, "1;\0\r\n"s), 400},
      {"a chunk longer than its size", with(chunked, "1\r\nab\r\n"), 400},
      {"an endless line of a chunk", with(chunked, "1;" + std::string(2'000, 'a')), 400},
      {"a trailer without colon", with(chunked, "0\r\nabc\r\n\r\n"), 400},
      {"endless trailers", with(chunked, "0\r\n" + std::string(2'000, 'a')), 400},
      {"a body that is too long", with("Content-Length: 4097"), 413},
      {"the longest length", with("Content-Length: 18446744073709551615"), 413},
      {"a chunk that is too long", with(chunked, "1001\r\n"), 413},
      {"the longest chunk", with(chunked, "ffffffffffffffff\r\n"), 413},
      {"chunks that are too long", with(chunked, "1\r\na\r\n1000\r\n"), 413},
      {"an endless request line", "GET /" + std::string(2'000, 'a'), 414},
      {"a request line that is too long", request("GET /" + std::string(2'000, 'a') + " HTTP/1.1"),
       414},
      {"an endless header field", "GET / HTTP/1.1\r\na: " + std::string(2'000, 'b'), 431},
      {"too many header fields",
       request("GET / HTTP/1.1",
               [] {
                 std::string fields = "Host: x\r\n";
                 for (int i = 0; i < 200; ++i) fields += "f: 1\r\n";
                 return fields;
               }()),
       431},
  };
  for (const auto& broken : all) {
    const auto out = read_cut(broken.bytes);
    EXPECT_EQ(out.status, broken.status) << broken.why;
    EXPECT_TRUE(out.requests.empty()) << broken.why;
  }
}

TEST(RequestParser, LimitsAreExact) {
  const auto fields = [](std::size_t size) {
    return "Host: " + std::string(size - 8, 'x') + "\r\n";
  };
  const std::string line = "GET / HTTP/1.1";
  const auto rest = 1'024 - line.size() - 4;
  EXPECT_EQ(read_cut(request(line, fields(rest))).requests.size(), 1U);
  EXPECT_EQ(read_cut(request(line, fields(rest + 1))).status, 431);
  const auto body = [](std::size_t size) {
    return request("POST / HTTP/1.1",
                   "Host: x\r\nContent-Length: " + std::to_string(size) + "\r\n") +
           std::string(size, 'x');
  };
  EXPECT_EQ(read_cut(body(4'096)).requests.size(), 1U);
  EXPECT_EQ(read_cut(body(4'097)).status, 413);
}

TEST(RequestParser, AFaultIsFinal) {
  RequestParser parser(1'024, 1'024);
  parser.feed("nonsense\r\n\r\n");
  EXPECT_EQ(parser.parse(), State::broken);
  parser.feed(request("GET / HTTP/1.1"));
  EXPECT_EQ(parser.parse(), State::broken);
  EXPECT_EQ(parser.buffered(), 0U);
}

TEST(RequestParser, AsksForABodyThatIsHeldBack) {
  const auto head =
      request("POST / HTTP/1.1", "Host: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n");
  RequestParser parser(1'024, 1'024);
  parser.feed(head.substr(0, 20));
  EXPECT_EQ(parser.parse(), State::partial);
  EXPECT_FALSE(parser.wants_continue());
  parser.feed(head.substr(20));
  EXPECT_EQ(parser.parse(), State::partial);
  EXPECT_TRUE(parser.wants_continue());
  EXPECT_FALSE(parser.wants_continue());
  parser.feed("xy");
  EXPECT_EQ(parser.parse(), State::ready);
  EXPECT_EQ(parser.take().body, "xy");
}

TEST(PercentDecoded, TakesWhatIsWellFormed) {
  EXPECT_EQ(percent_decoded("/a%2Fb+c"), "/a/b+c");
  EXPECT_EQ(percent_decoded(""), "");
  EXPECT_EQ(percent_decoded("%"), std::nullopt);
  EXPECT_EQ(percent_decoded("%2"), std::nullopt);
  EXPECT_EQ(percent_decoded("%7f"), std::nullopt);
}

}  // namespace
}  // namespace seedbed::engine::server
