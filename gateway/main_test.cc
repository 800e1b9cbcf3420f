// The program itself: what it says first, and how it ends.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/auth/testing/token_signer.h"
#include "common/files/sha256.h"
#include "common/files/state_directory.h"
#include "common/files/unique_fd.h"
#include "common/http/httplib_http_client.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gtest/gtest.h"
#include "tests/harness/certificates.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class Program {
 public:
  explicit Program(std::vector<std::string> flags) {
    std::array<int, 2> in = {-1, -1};
    std::array<int, 2> out = {-1, -1};
    std::array<int, 2> err = {-1, -1};
    EXPECT_EQ(pipe2(in.data(), O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out.data(), O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(err.data(), O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    flags.insert(flags.begin(), "gateway/contree-gateway");
    std::vector<char*> argv;
    for (std::string& flag : flags) argv.push_back(flag.data());
    argv.push_back(nullptr);
    EXPECT_EQ(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    for (const int fd : {in[0], out[1], err[1]}) close(fd);
    in_.Reset(in[1]);
    out_.Reset(out[0]);
    err_.Reset(err[0]);
  }
  ~Program() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }

  void Send(const std::string& text) {
    EXPECT_EQ(write(in_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void EndInput() { in_.Reset(); }
  std::string ReadOutputLine() { return ReadLine(out_.get()); }
  std::string ReadErrorLine() { return ReadLine(err_.get()); }
  void Signal(int number) { kill(pid_, number); }
  int ExitCode() {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  static std::string ReadLine(int fd) {
    std::string line;
    char c = 0;
    while (read(fd, &c, 1) == 1 && c != '\n') line.push_back(c);
    return line;
  }

  pid_t pid_ = -1;
  UniqueFd in_;
  UniqueFd out_;
  UniqueFd err_;
};

constexpr char kInitialize[] =
    R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}})"
    "\n";

TEST(MainTest, HttpSaysItsAddressFirstAndEndsOnSigterm) {
  Program program({"--http-port", "0", "--contree-service", "127.0.0.1:1", "--state-dir", "/tmp"});
  const json line = json::parse(program.ReadErrorLine());
  const std::string url = line["mcp"];
  ASSERT_THAT(url, HasSubstr("http://127.0.0.1:"));
  EXPECT_THAT(line["grpc"].get<std::string>(), HasSubstr("127.0.0.1:"));
  HttplibHttpClientOptions options;
  options.base_url = url.substr(0, url.rfind("/mcp"));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<HttplibHttpClient> client,
                       HttplibHttpClient::Create(options));
  HttpRequest request;
  request.target = "/healthz";
  ASSERT_OK_AND_ASSIGN(const HttpResponse response,
                       SendHttp(*client, request, NewCallContext(absl::Seconds(20)), 1000));
  EXPECT_EQ(response.status, 200);
  program.Signal(SIGTERM);
  EXPECT_EQ(program.ExitCode(), 0);
}

TEST(MainTest, HttpsIsServedWithACertificate) {
  const TempDirectory temp;
  const auto authority = testing_harness::MakeAuthority(testing_harness::KeyKind::kEllipticCurve);
  const auto own = testing_harness::MakeServerCertificate(authority);
  ASSERT_OK(WritePrivateFile(temp.File("ca.pem"), authority.certificate_pem));
  ASSERT_OK(WritePrivateFile(temp.File("own.pem"), own.certificate_pem));
  ASSERT_OK(WritePrivateFile(temp.File("own.key"), own.key_pem));
  Program program({"--http-port", "0", "--contree-service", "127.0.0.1:1", "--http-tls-cert",
                   temp.File("own.pem"), "--http-tls-key", temp.File("own.key")});
  const std::string url = json::parse(program.ReadErrorLine())["mcp"];
  ASSERT_THAT(url, HasSubstr("https://127.0.0.1:"));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<HttplibHttpClient> client,
                       HttplibHttpClient::Create({.base_url = url.substr(0, url.rfind("/mcp")),
                                                  .ca_file = temp.File("ca.pem")}));
  const HttpRequest request = {.method = "POST",
                               .target = "/mcp",
                               .headers = {{"Accept", "application/json, text/event-stream"}},
                               .body = kInitialize,
                               .content_type = "application/json"};
  ASSERT_OK_AND_ASSIGN(const HttpResponse response,
                       SendHttp(*client, request, NewCallContext(absl::Seconds(20)), 100'000));
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, HasSubstr("contree-mcp"));
  program.Signal(SIGTERM);
  EXPECT_EQ(program.ExitCode(), 0);

  Program without_key({"--http-port", "0", "--contree-service", "127.0.0.1:1", "--http-tls-cert",
                       temp.File("own.pem")});
  EXPECT_THAT(without_key.ReadErrorLine(), HasSubstr("name both files"));
  EXPECT_EQ(without_key.ExitCode(), 1);
}

TEST(MainTest, StdioEndsWithItsInput) {
  Program program({"--mode", "stdio", "--contree-service", "127.0.0.1:1"});
  program.Send(kInitialize);
  EXPECT_EQ(json::parse(program.ReadOutputLine())["result"]["serverInfo"]["name"], "contree-mcp");
  program.EndInput();
  EXPECT_EQ(program.ReadOutputLine(), "");
  EXPECT_EQ(program.ExitCode(), 0);
}

TEST(MainTest, StdioEndsOnSigtermThoughTheInputGoesOn) {
  Program program({"--mode", "stdio", "--contree-service", "127.0.0.1:1"});
  program.Send(kInitialize);
  program.ReadOutputLine();
  program.Signal(SIGTERM);
  EXPECT_EQ(program.ExitCode(), 0);
}

TEST(MainTest, OtherAddressesThanLoopbackAreRefused) {
  Program program({"--http-listen", "0.0.0.0", "--contree-service", "127.0.0.1:1"});
  EXPECT_THAT(program.ReadErrorLine(), AllOf(HasSubstr("0.0.0.0"), HasSubstr("--auth=keys")));
  EXPECT_EQ(program.ExitCode(), 1);
}

// What GET of a path of the program at `url` is answered with, by whoever has the token.
HttpResponse Get(const std::string& url, const std::string& path, const std::string& token) {
  const size_t port = url.rfind(':');
  HttplibHttpClientOptions options;
  options.base_url = absl::StrCat("http://127.0.0.1", url.substr(port, url.rfind('/') - port));
  const auto client = HttplibHttpClient::Create(options);
  EXPECT_OK(client);
  HttpRequest request;
  request.target = path;
  if (!token.empty()) request.headers = {{"Authorization", absl::StrCat("Bearer ", token)}};
  const auto response = SendHttp(**client, request, NewCallContext(absl::Seconds(20)), 1 << 20);
  EXPECT_OK(response);
  return response.ok() ? *response : HttpResponse();
}

TEST(MainTest, WithKeysItListensAnywhereAndAsksWhoCalls) {
  TempDirectory temp;
  ASSERT_OK(WritePrivateFile(temp.File("keys"), absl::StrCat(Sha256Hex("k"), " alpha ann\n")));
  Program program({"--http-listen", "0.0.0.0", "--http-port", "0", "--contree-service",
                   "127.0.0.1:1", "--auth", "keys", "--auth-keys-file", temp.File("keys")});
  const std::string url = json::parse(program.ReadErrorLine())["mcp"];
  EXPECT_EQ(Get(url, "/console/api/tree", "").status, 401);
  EXPECT_EQ(Get(url, "/console/api/tree", "wrong").status, 401);
  EXPECT_EQ(Get(url, "/console/api/tree", "k").status, 503);  // let in; there is no such service
  EXPECT_EQ(Get(url, "/.well-known/oauth-protected-resource", "").status, 404);
  program.Signal(SIGTERM);
  EXPECT_EQ(program.ExitCode(), 0);
}

TEST(MainTest, WithTokensOfAnIssuerItSaysWhoMakesThem) {
  TempDirectory temp;
  const TokenSigner issuer("ES256", "one");
  ASSERT_OK(WritePrivateFile(temp.File("jwks"), JwkSetText({&issuer})));
  Program program({"--http-port", "0", "--contree-service", "127.0.0.1:1", "--auth", "jwt",
                   "--jwt-issuer", "https://issuer.example", "--jwt-audience",
                   "https://contree.example/mcp", "--jwt-jwks", temp.File("jwks"), "--public-url",
                   "https://contree.example"});
  const std::string url = json::parse(program.ReadErrorLine())["mcp"];
  EXPECT_THAT(Get(url, "/mcp", "").Header("WWW-Authenticate").value_or(""),
              HasSubstr("resource_metadata=\"https://contree.example/.well-known/"
                        "oauth-protected-resource/mcp\""));
  EXPECT_THAT(Get(url, "/.well-known/oauth-protected-resource/mcp", "").body,
              HasSubstr("https://issuer.example"));
  json claims = {{"iss", "https://issuer.example"},
                 {"aud", "https://contree.example/mcp"},
                 {"sub", "ann"},
                 {"tenant", "alpha"},
                 {"exp", absl::ToUnixSeconds(absl::Now()) + 600},
                 {"scope", "contree:read"}};
  EXPECT_EQ(Get(url, "/console/api/tree", issuer.Sign(claims)).status, 503);  // let in
  claims.erase("scope");
  EXPECT_EQ(Get(url, "/console/api/tree", issuer.Sign(claims)).status, 403);
  claims["exp"] = absl::ToUnixSeconds(absl::Now()) - 600;
  EXPECT_EQ(Get(url, "/console/api/tree", issuer.Sign(claims)).status, 401);
  program.Signal(SIGTERM);
  EXPECT_EQ(program.ExitCode(), 0);
}

TEST(MainTest, FilesOfThisMachineAreNotForSeveralTenants) {
  TempDirectory temp;
  ASSERT_OK(WritePrivateFile(temp.File("keys"), absl::StrCat(Sha256Hex("k"), " alpha ann\n")));
  Program program({"--http-port", "0", "--contree-service", "127.0.0.1:1", "--auth", "keys",
                   "--auth-keys-file", temp.File("keys"), "--workspace-root", temp.path()});
  EXPECT_THAT(program.ReadErrorLine(), HasSubstr("--workspace-root"));
  EXPECT_EQ(program.ExitCode(), 1);
}

TEST(MainTest, AMissingServiceIsNamed) {
  Program program({});
  EXPECT_THAT(program.ReadErrorLine(), HasSubstr("--contree-service is required"));
  EXPECT_NE(program.ExitCode(), 0);
}

}  // namespace
}  // namespace contree::gateway
