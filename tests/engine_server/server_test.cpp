// Requests and answers over real sockets.
#include <sys/socket.h>

#include "tests/engine_server/kit.h"

namespace seedbed::engine::server::test {
namespace {

TEST(Server, AnswersOnAConnectionThatStays) {
  Running server(echo);
  Client client(server->port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send(post("/p%20q?x=1", "body" + std::to_string(i))));
    const auto answer = client.read();
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.whole);
    EXPECT_EQ(answer.body, "POST\n/p q\nx=1\nbody" + std::to_string(i));
    EXPECT_EQ(answer.fields.at("content-type"), "text/plain");
    EXPECT_EQ(answer.fields.count("connection"), 0U);
    EXPECT_NE(answer.fields.at("date").find("GMT"), std::string::npos);
  }
  EXPECT_EQ(server->stats().requests, 3);
  EXPECT_EQ(server->stats().accepted, 1);
  EXPECT_EQ(server->stats().connections, 1);
}

TEST(Server, ClosesWhereTheClientAsksForIt) {
  Running server(echo);
  Client client(server->port());
  client.send(get("/", "Connection: close\r\n"));
  const auto answer = client.read();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.fields.at("connection"), "close");
  EXPECT_TRUE(client.at_end());
  client.close();
  EXPECT_TRUE(soon([&] { return server->stats().connections == 0; }));
}

TEST(Server, SpeaksToHttp10) {
  Running server(echo);
  Client client(server->port());
  client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  auto answer = client.read();
  EXPECT_EQ(answer.body, "GET\n/a\n\n");
  EXPECT_EQ(answer.fields.at("connection"), "keep-alive");
  client.send("GET /b HTTP/1.0\r\n\r\n");
  answer = client.read();
  EXPECT_EQ(answer.body, "GET\n/b\n\n");
  EXPECT_TRUE(client.at_end());
}

TEST(Server, AnswersRequestsSentAheadInTheirOrder) {
  Running server(echo);
  Client client(server->port());
  std::string all;
  for (int i = 0; i < 500; ++i) all += post("/" + std::to_string(i), std::string(100, 'x'));
  std::thread sender([&] { client.send(all); });
  for (int i = 0; i < 500; ++i) {
    const auto answer = client.read();
    ASSERT_EQ(answer.body, "POST\n/" + std::to_string(i) + "\n\n" + std::string(100, 'x'));
  }
  sender.join();
}

TEST(Server, AnswersLateRequestsSentAheadInTheirOrder) {
  std::vector<std::thread> threads;
  Running server([&threads](Kept exchange) {
    threads.emplace_back([exchange] {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      echo(exchange);
    });
  });
  Client client(server->port());
  std::string all;
  for (int i = 0; i < 40; ++i) all += post("/" + std::to_string(i), std::string(20'000, 'x'));
  std::thread sender([&] { client.send(all); });  // more than is read ahead
  for (int i = 0; i < 40; ++i) {
    const auto answer = client.read();
    const auto begin = "POST\n/" + std::to_string(i) + "\n";
    ASSERT_EQ(answer.body.substr(0, begin.size()), begin);
  }
  sender.join();
  EXPECT_EQ(server->stats().requests, 40);
  for (auto& thread : threads) thread.join();
}

TEST(Server, ReadsARequestCutAtEveryByte) {
  Running server(echo);
  Client client(server->port());
  const std::string bytes =
      "POST /a?b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    client.send(bytes.substr(0, at));
    if (at % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
    client.send(bytes.substr(at));
    ASSERT_EQ(client.read().body, "POST\n/a\nb\nabc") << at;
  }
  for (const char c : bytes) client.send({&c, 1});
  EXPECT_EQ(client.read().body, "POST\n/a\nb\nabc");
}

TEST(Server, HandsOnTheHeaderFieldsThatAreAskedFor) {
  Running server([](const Kept& x) {
    x->reply(text(x->authorization + "," + x->content_type + "," + x->accept + "," + x->session));
  });
  Client client(server->port());
  client.send(get(
      "/", "authorization: Bearer k\r\nContent-type: a/b\r\nACCEPT: c/d\r\nX-Session-ID: s\r\n"));
  EXPECT_EQ(client.read().body, "Bearer k,a/b,c/d,s");
  client.send(get("/", "X-Other: \xff\xfe\r\n"));  // what nobody reads may be any text
  EXPECT_EQ(client.read().body, ",,,");
}

TEST(Server, HeadIsGetWithoutABody) {
  Running server(echo);
  Client client(server->port());
  client.send("HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n");
  auto answer = client.read(true);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.fields.at("content-length"), std::to_string(std::string("HEAD\n/x\n\n").size()));
  client.send(get("/y"));
  EXPECT_EQ(client.read().body, "GET\n/y\n\n");
}

TEST(Server, AsksForABodyThatIsHeldBack) {
  Running server(echo);
  Client client(server->port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(client.read().status, 100);
  client.send("abc");
  EXPECT_EQ(client.read().body, "POST\n/\n\nabc");
  client.send(
      "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n");
  EXPECT_EQ(client.read().status, 413);  // the body is not asked for
}

TEST(Server, SendsRepliesOfAllKinds) {
  Running server([](const Kept& x) {
    HttpReply reply{.status = 429, .content_type = "", .body = "", .headers = {}};
    if (x->path == "/none") reply.status = 204;
    if (x->path == "/long") reply = text(std::string(20U << 20, 'y'));
    reply.headers = {{"Retry-After", "7"}, {"X-Bad", "a\r\nInjected: b"}};
    x->reply(reply);
    x->reply(text("a second reply is dropped"));
    x->begin_stream("text/event-stream");
    x->send("dropped too");
    x->end_stream();
  });
  Client client(server->port());
  client.send(get("/"));
  auto answer = client.read();
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.fields.at("retry-after"), "7");
  EXPECT_EQ(answer.fields.at("x-bad"), "a  Injected: b");
  EXPECT_EQ(answer.fields.count("content-type"), 0U);
  client.send(get("/none"));
  answer = client.read(true);
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.fields.count("content-length"), 0U);
  client.send(get("/long"));  // longer than max_unsent_bytes, which bounds streams
  answer = client.read();
  EXPECT_TRUE(answer.whole);
  EXPECT_TRUE(answer.body == std::string(20U << 20, 'y'));
}

TEST(Server, AHandlerThatDropsOrThrowsCostsOneAnswer) {
  Running server([](const Kept& x) {
    if (x->path == "/throw") throw std::runtime_error("a fault of the handler's");
    if (x->path == "/echo") echo(x);
  });
  Client client(server->port());
  for (const char* path : {"/drop", "/throw"}) {
    client.send(get(path));
    const auto answer = client.read();
    EXPECT_EQ(answer.status, 500) << path;
    EXPECT_NE(answer.body.find("\"server_error\""), std::string::npos);
  }
  client.send(get("/echo"));
  EXPECT_EQ(client.read().status, 200);
}

TEST(Server, AnswersFromOtherThreads) {
  std::vector<std::thread> threads;
  Running server([&threads](Kept exchange) {
    threads.emplace_back([exchange = std::move(exchange)] { echo(exchange); });
  });
  std::vector<Client> clients;
  for (int i = 0; i < 50; ++i) clients.emplace_back(server->port());
  for (int i = 0; i < 50; ++i)
    clients[static_cast<std::size_t>(i)].send(get("/" + std::to_string(i)));
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(clients[static_cast<std::size_t>(i)].read().body,
              "GET\n/" + std::to_string(i) + "\n\n");
  server->stop();
  server.join();
  for (auto& thread : threads) thread.join();
}

bool has_v6() {
  Running server(echo, {.host = "localhost"});
  return Client(server->port(), 0, "::1").connected();
}

TEST(Server, ListensWhereItIsTold) {
  for (const char* host : {"127.0.0.1", "0.0.0.0", "localhost"}) {
    Running server(echo, {.host = host});
    Client client(server->port());
    client.send(get("/v4"));
    EXPECT_EQ(client.read().body, "GET\n/v4\n\n") << host;
  }
  if (!has_v6()) return;  // a machine without IPv6 shows the half of it
  for (const char* host : {"::1", "[::1]", "::", "localhost"}) {
    Running server(echo, {.host = host});
    Client client(server->port(), 0, "::1");
    client.send(get("/v6"));
    EXPECT_EQ(client.read().body, "GET\n/v6\n\n") << host;
  }
}

TEST(Server, SaysWhyItCannotListen) {
  Running taken(echo);
  const auto why = [](const ServerOptions& options) {
    const auto server = Server::open(options, echo);
    return server.ok() ? "" : server.error().message;
  };
  EXPECT_NE(why({.port = taken->port()}).find("already in use"), std::string::npos);
  EXPECT_NE(why({.host = "no.such.host.invalid"}).find("no such host"), std::string::npos);
  EXPECT_NE(why({.host = "192.0.2.1"}).find("Cannot assign"), std::string::npos);
  EXPECT_NE(why({.host = ""}), "");
  EXPECT_NE(why({.port = 65'536}), "");
  EXPECT_NE(why({.port = -1}), "");
}

TEST(Server, TakesThePortOfOneThatEnded) {
  int port = 0;
  {
    Running server(echo);
    port = server->port();
    Client client(port);
    client.send(get("/"));
    EXPECT_EQ(client.read().status, 200);
  }
  const auto again = Server::open({.port = port}, echo);
  ASSERT_TRUE(again.ok()) << again.error().message;
}

}  // namespace
}  // namespace seedbed::engine::server::test
