// The yardstick of gateway_bench: cpp-httplib with a handler that does nothing but answer each POST
// with the same bytes.
//
//   bare_http_handler BYTES
//
// Says {"url": …} on stderr and serves until it is killed.

#include <httplib.h>

#include <iostream>
#include <limits>
#include <string>

#include "absl/strings/numbers.h"

int main(int argc, char** argv) {
  int bytes = 0;
  if (argc != 2 || !absl::SimpleAtoi(argv[1], &bytes) || bytes < 0) {
    std::cerr << "usage: " << argv[0] << " BYTES" << std::endl;
    return 2;
  }
  constexpr int kThreads = 128;  // one for each connection, or the rest would wait for the first
  const std::string body(static_cast<size_t>(bytes), 'x');
  httplib::Server server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_keep_alive_max_count(std::numeric_limits<int>::max());
  server.set_tcp_nodelay(true);
  server.Post("/mcp", [&body](const httplib::Request&, httplib::Response& response) {
    response.set_content(body, "application/json");
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  if (port < 0) {
    std::cerr << "no free port" << std::endl;
    return 1;
  }
  std::cerr << R"({"url":"http://127.0.0.1:)" << port << R"(/mcp"})" << std::endl;
  server.listen_after_bind();
  return 0;
}
