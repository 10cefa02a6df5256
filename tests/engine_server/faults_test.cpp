// What clients do wrong, and what it costs them: an answer that says so, and their connection.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/engine_server/kit.h"

namespace seedbed::engine::server::test {
namespace {

using namespace std::string_literals;

struct Wrong {
  const char* why;
  std::string bytes;
  int status;
  const char* code;
};

TEST(ServerFaults, AreAnsweredInOpenAiShapeAndClosed) {
  const auto with = [](const std::string& field, const std::string& body = "") {
    return "POST / HTTP/1.1\r\nHost: x\r\n" + field + "\r\n\r\n" + body;
  };
  const std::vector<Wrong> all = {
      {"no HTTP", "\x16\x03\x01\x02\x03", 400, "bad_request"},
      {"a broken line", "GET /\r\n\r\n", 400, "bad_request"},
      {"a broken header", with("a b"), 400, "bad_request"},
      {"NUL", with("a: \0"s), 400, "bad_request"},
      {"a path of no UTF-8", "GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"},
      {"a key of no UTF-8", with("Authorization: \xfe"), 400, "bad_request"},
      {"a broken length", with("Content-Length: 1e3"), 400, "bad_request"},
      {"a broken chunk", with("Transfer-Encoding: chunked", "zz\r\n"), 400, "bad_request"},
      {"a long body", with("Content-Length: 10001"), 413, "body_too_large"},
      {"long chunks", with("Transfer-Encoding: chunked", "ffff\r\n"), 413, "body_too_large"},
      {"a long line", "GET /" + std::string(5'000, 'a'), 414, "target_too_long"},
      {"many fields", with(std::string(5'000, 'a') + ": b"), 431, "header_too_large"},
      {"another coding", with("Transfer-Encoding: br"), 501, "not_implemented"},
      {"another version", "GET / HTTP/3.0\r\n\r\n", 505, "http_version_not_supported"},
  };
  Running server(echo, {.max_header_bytes = 2'000, .max_body_bytes = 10'000});
  for (const auto& wrong : all) {
    Client client(server->port());
    client.send(wrong.bytes);
    const auto answer = client.read();
    EXPECT_EQ(answer.status, wrong.status) << wrong.why;
    EXPECT_TRUE(answer.whole) << wrong.why;
    EXPECT_EQ(answer.fields.at("connection"), "close") << wrong.why;
    EXPECT_EQ(answer.fields.at("content-type"), "application/json") << wrong.why;
    EXPECT_EQ(answer.body.find(R"({"error":{"message":")"), 0U) << answer.body;
    EXPECT_NE(answer.body.find("\"code\":\""s + wrong.code + "\""), std::string::npos)
        << answer.body;
    EXPECT_NE(answer.body.find("\"param\":null"), std::string::npos) << answer.body;
    EXPECT_TRUE(client.at_end()) << wrong.why;
  }
  EXPECT_EQ(server->stats().refused, static_cast<std::int64_t>(all.size()));
  EXPECT_EQ(server->stats().requests, 0);
  EXPECT_TRUE(soon([&] { return server->stats().connections == 0; }));
}

TEST(ServerFaults, TheAnswerReachesAClientThatGoesOnSending) {
  Running server(echo, {.max_body_bytes = 1'000});
  Client client(server->port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n");
  EXPECT_TRUE(client.send(std::string(8'000'000, 'x')));
  const auto answer = client.read();
  EXPECT_EQ(answer.status, 413);
  EXPECT_TRUE(answer.whole);
  EXPECT_TRUE(client.at_end());
}

TEST(ServerFaults, AFaultAfterGoodRequestsIsAnsweredInItsPlace) {
  Running server(echo);
  Client client(server->port());
  client.send(get("/1") + get("/2") + "nonsense\r\n\r\n" + get("/3"));
  EXPECT_EQ(client.read().body, "GET\n/1\n\n");
  EXPECT_EQ(client.read().body, "GET\n/2\n\n");
  EXPECT_EQ(client.read().status, 400);
  EXPECT_TRUE(client.at_end());
  EXPECT_EQ(server->stats().requests, 2);
}

TEST(ServerFaults, ASlowRequestIsTimedOut) {
  Running server(echo, {.read_ms = 100, .idle_ms = 60'000});
  Client head(server->port()), body(server->port()), chunks(server->port());
  head.send("GET / HT");
  body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
  chunks.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const auto begin = std::chrono::steady_clock::now();
  std::string drops = "TP/1.1\r\nHost: x\r\na: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
  for (const char c : drops) {  // a byte now and then buys no time
    if (!head.send({&c, 1})) break;
    chunks.send("1\r\na\r\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  for (auto* client : {&head, &body, &chunks}) {
    const auto answer = client->read();
    EXPECT_EQ(answer.status, 408);
    EXPECT_NE(answer.body.find("request_timeout"), std::string::npos);
    EXPECT_TRUE(client->at_end());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
  EXPECT_EQ(server->stats().refused, 3);
}

TEST(ServerFaults, IdleConnectionsAreClosedSilently) {
  Running server(echo, {.idle_ms = 60});
  Client fresh(server->port()), used(server->port());
  used.send(get("/"));
  EXPECT_EQ(used.read().status, 200);
  EXPECT_TRUE(fresh.at_end());
  EXPECT_TRUE(used.at_end());
  EXPECT_EQ(used.read().status, 0);
  EXPECT_TRUE(soon([&] { return server->stats().connections == 0; }));
  EXPECT_EQ(server->stats().refused, 0);
}

TEST(ServerFaults, AnAnswerThatTakesItsTimeIsNoIdleness) {
  std::vector<std::thread> threads;
  Running server(
      [&threads](Kept exchange) {
        threads.emplace_back([exchange] {
          std::this_thread::sleep_for(std::chrono::milliseconds(300));
          echo(exchange);
        });
      },
      {.read_ms = 40, .idle_ms = 40, .write_ms = 40});
  Client client(server->port());
  client.send(get("/"));
  EXPECT_EQ(client.read().status, 200);
  for (auto& thread : threads) thread.join();
}

TEST(ServerFaults, TooManyConnectionsAreToldSo) {
  Running server(echo, {.max_connections = 3});
  std::vector<Client> held;
  for (int i = 0; i < 3; ++i) {
    held.emplace_back(server->port());
    held.back().send(get("/"));
    EXPECT_EQ(held.back().read().status, 200);
  }
  for (int i = 0; i < 5; ++i) {
    Client client(server->port());
    client.send(get("/"));
    const auto answer = client.read();
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.fields.at("retry-after"), "1");
    EXPECT_TRUE(client.at_end());
  }
  EXPECT_EQ(server->stats().refused, 5);
  std::vector<Client> refused;  // who stays after a refusal takes nobody's place
  for (int i = 0; i < 10; ++i) refused.emplace_back(server->port());
  for (auto& client : refused) EXPECT_EQ(client.read().status, 503);
  held.pop_back();
  EXPECT_TRUE(soon(
      [&] {
        Client client(server->port());
        client.send(get("/"));
        return client.read().status == 200;
      },
      1'000));
}

// No descriptor is left for a client: it is told so, others go on, and the server recovers.
TEST(ServerFaults, SurvivesHavingNoDescriptorLeft) {
  Running server(echo);
  Client early(server->port());
  early.send(get("/"));
  EXPECT_EQ(early.read().status, 200);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int client_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(client_fd, 0);
  close(client_fd);
  {
    Client late(0);  // its descriptor is made and given back: the next one is free for the test
    rlimit small = before;
    const int next = dup(0);
    close(next);
    small.rlim_cur = static_cast<rlim_t>(next) + 1;  // one more, for this side of the connection
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &small), 0);
    Client refused(server->port());
    EXPECT_TRUE(refused.connected());
    const auto answer = refused.read();
    EXPECT_EQ(answer.status, 503);
    early.send(get("/again"));
    EXPECT_EQ(early.read().status, 200);
    setrlimit(RLIMIT_NOFILE, &before);
  }
  Client client(server->port());
  client.send(get("/"));
  EXPECT_EQ(client.read().status, 200);
}

TEST(ServerFaults, ClientsThatLeaveInTheMiddleOfARequestLeaveNothing) {
  const int before = open_descriptors();
  {
    Running server(echo);
    for (int i = 0; i < 60; ++i) {
      Client client(server->port());
      client.send(post("/", std::string(2'000, 'x')).substr(0, static_cast<std::size_t>(i) * 30));
      if (i % 3 == 0) client.end_sending();
      client.close(i % 2 == 0);
    }
    EXPECT_TRUE(soon([&] { return server->stats().accepted == 60; }));
    EXPECT_TRUE(soon([&] { return server->stats().connections == 0; }));
    EXPECT_EQ(server->stats().requests, 0);
  }
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace seedbed::engine::server::test
