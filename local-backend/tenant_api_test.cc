// --auth=keys: two projects on one backend, and nothing of one to be seen by the other.

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/files/sha256.h"
#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/testing/backend_process.h"
#include "tests/harness/oci_image.h"
#include "tests/harness/test_registry.h"

namespace contree {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kAlpha[] = "token-of-alpha";
constexpr char kBeta[] = "token-of-beta";
constexpr char kBoth[] = "token-of-both";
constexpr char kBusybox[] = "tag:busybox:latest";

class TenantApiTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TempDirectory();
    WriteKeys(absl::StrCat(Sha256Hex(kAlpha), " alpha\n", Sha256Hex(kBeta), " beta\n",
                           Sha256Hex(kBoth), " alpha beta\n"));
    backend_ = new BackendProcess(
        directory_->File("state"),
        {"--auth", "keys", "--auth-keys", directory_->File("keys"), "--max-concurrent", "4"});
    ASSERT_EQ(backend_->readiness(), "ready\n");
  }
  static void TearDownTestSuite() {
    delete backend_;
    delete directory_;
  }
  static void WriteKeys(const std::string& text) {
    ASSERT_OK(WritePrivateFile(directory_->File("keys"), text));
  }
  static Answer As(const std::string& token, const std::string& method, const std::string& target,
                   const json& body = nullptr) {
    return backend_->Request(method, target, body, token);
  }
  static std::string Start(const std::string& token, json fields) {
    if (!fields.contains("image")) fields["image"] = kBusybox;
    fields["shell"] = true;
    const Answer answer = As(token, "POST", "/v1/instances", fields);
    EXPECT_EQ(answer.status, 201) << answer.body;
    return answer.status == 201 ? answer.json()["uuid"].get<std::string>() : "";
  }
  static json Run(const std::string& token, const json& fields) {
    const std::string operation = Start(token, fields);
    EXPECT_EQ(As(token, "GET", "/v1/operations/" + operation + "/events?follow=1").status, 200);
    return As(token, "GET", "/v1/operations/" + operation).json();
  }
  static json ImagesOf(const std::string& token, const std::string& query = "") {
    return As(token, "GET", "/v1/images" + query).json()["images"];
  }

  static TempDirectory* directory_;
  static BackendProcess* backend_;
};

TempDirectory* TenantApiTest::directory_ = nullptr;
BackendProcess* TenantApiTest::backend_ = nullptr;

TEST_F(TenantApiTest, OnlyKnownTokensGetIn) {
  for (const char* token : {"", "token-of-alph", "token-of-nobody"}) {
    const Answer answer = As(token, "GET", "/v1/whoami");
    EXPECT_EQ(answer.status, 401) << token;
    EXPECT_EQ(answer.headers.at("WWW-Authenticate"), "Bearer");
    EXPECT_THAT(answer.body, Not(HasSubstr("token-of")));
  }
  const json alpha = As(kAlpha, "GET", "/v1/whoami").json();
  const json beta = As(kBeta, "GET", "/v1/whoami").json();
  EXPECT_NE(alpha["token_uuid"], beta["token_uuid"]);
  EXPECT_EQ(alpha["permissions"]["list"], true);
}

TEST_F(TenantApiTest, ProjectHeaderChoosesAmongTheProjectsOfTheToken) {
  const std::string operation = Run(kBeta, {{"command", "true"}, {"disposable", true}})["uuid"];
  const auto status = [&](const std::string& token, const std::string& project) {
    return backend_
        ->Request("GET", "/v1/operations/" + operation, nullptr, token, {{"Project", project}})
        .status;
  };
  EXPECT_EQ(status(kBeta, "beta"), 200);
  EXPECT_EQ(status(kBoth, "beta"), 200);
  EXPECT_EQ(status(kBoth, "alpha"), 404);
  EXPECT_EQ(As(kBoth, "GET", "/v1/operations/" + operation).status, 404);  // its first is alpha
  // One that exists and one that does not are the same to it.
  EXPECT_EQ(status(kAlpha, "beta"), 403);
  EXPECT_EQ(status(kAlpha, "gamma"), 403);
}

TEST_F(TenantApiTest, SeededImageIsEverybodysAndNobodysToChange) {
  for (const char* token : {kAlpha, kBeta}) {
    const json images = ImagesOf(token, "?tag=busybox:latest");
    ASSERT_EQ(images.size(), 1);
    const std::string uuid = images[0]["uuid"];
    EXPECT_EQ(As(token, "GET", "/v1/inspect/" + uuid + "/list?path=/bin").status, 200);
    EXPECT_EQ(As(token, "DELETE", "/v1/images/" + uuid + "/tag?tag=busybox:latest").status, 409);
    EXPECT_EQ(Run(token, {{"command", "true"}, {"image", uuid}})["result_image_uuid"], uuid);
  }
}

TEST_F(TenantApiTest, OwnTagShadowsThePublicOneUntilItIsRemoved) {
  const json run = Run(kAlpha, {{"command", "echo alpha > /mine"}});
  const std::string own = run["result_image_uuid"];
  const std::string seed = ImagesOf(kBeta, "?tag=busybox:latest")[0]["uuid"];
  ASSERT_EQ(As(kAlpha, "PATCH", "/v1/images/" + own + "/tag", {{"tag", "busybox:latest"}}).status,
            200);
  EXPECT_EQ(As(kAlpha, "GET", "/v1/inspect/?tag=busybox:latest").location, own + "/");
  EXPECT_EQ(As(kBeta, "GET", "/v1/inspect/?tag=busybox:latest").location, seed + "/");
  const json shown = ImagesOf(kAlpha, "?tag=busybox:latest");
  ASSERT_EQ(shown.size(), 1);
  EXPECT_EQ(shown[0]["uuid"], own);
  EXPECT_EQ(As(kAlpha, "DELETE", "/v1/images/" + own + "/tag?tag=busybox:latest").status, 204);
  EXPECT_EQ(As(kAlpha, "GET", "/v1/inspect/?tag=busybox:latest").location, seed + "/");
  // A tag of one's own on what is everybody's.
  ASSERT_EQ(As(kAlpha, "PATCH", "/v1/images/" + seed + "/tag", {{"tag", "base"}}).status, 200);
  EXPECT_EQ(As(kAlpha, "GET", "/v1/inspect/?tag=base").location, seed + "/");
  EXPECT_EQ(As(kBeta, "GET", "/v1/inspect/?tag=base").status, 404);
  EXPECT_EQ(As(kBeta, "GET", "/v1/inspect/" + seed + "/").json()["tag"], "busybox:latest");
}

// What beta is told about something of alpha's is what it is told about something that is nowhere.
TEST_F(TenantApiTest, AnImportIsOfOneProject) {
  testing_harness::TestRegistry registry(
      {.access = testing_harness::TestRegistryOptions::Access::kPassword});
  const std::string reference =
      registry.Push("team/box:1", {testing_harness::BusyboxImage("private\n")});
  const auto import = [&](const std::string& token, const std::string& password) {
    const Answer answer =
        As(token, "POST", "/v1/images/import",
           {{"registry",
             {{"url", "docker://" + reference},
              {"credentials", {{"username", testing_harness::kUser}, {"password", password}}}}},
            {"tag", "imported:1"}});
    EXPECT_EQ(answer.status, 201) << answer.body;
    const std::string id = answer.json().value("uuid", "");
    EXPECT_EQ(As(token, "GET", "/v1/operations/" + id + "/events?follow=1").status, 200);
    return As(token, "GET", "/v1/operations/" + id).json();
  };
  const json alphas = import(kAlpha, testing_harness::kPassword);
  ASSERT_EQ(alphas["status"], "SUCCESS") << alphas;
  const std::string image = alphas["result_image_uuid"];
  EXPECT_EQ(As(kAlpha, "GET", "/v1/inspect/?tag=imported:1").status, 302);

  const std::string operation = alphas["uuid"];
  EXPECT_EQ(As(kBeta, "GET", "/v1/operations/" + operation).status, 404);
  EXPECT_EQ(As(kBeta, "GET", "/v1/operations/" + operation + "/events").status, 404);
  EXPECT_THAT(As(kBeta, "GET", "/v1/operations").body, Not(HasSubstr(operation)));
  EXPECT_EQ(As(kBeta, "GET", "/v1/inspect/" + image + "/list?path=/").status, 404);
  EXPECT_EQ(As(kBeta, "GET", "/v1/inspect/?tag=imported:1").status, 404);
  EXPECT_EQ(ImagesOf(kBeta, "?tag=imported"), json::array());
  for (const std::string& name : {image, std::string("tag:imported:1")}) {
    EXPECT_EQ(As(kBeta, "POST", "/v1/instances", {{"command", "true"}, {"image", name}}).status,
              404);
  }

  // That its layers are on this machine gives nobody what the registry would not.
  const json refused = import(kBeta, "wrong");
  EXPECT_EQ(refused["status"], "FAILED") << refused;
  EXPECT_EQ(ImagesOf(kBeta, "?tag=imported"), json::array());

  const json betas = import(kBeta, testing_harness::kPassword);
  ASSERT_EQ(betas["status"], "SUCCESS") << betas;
  EXPECT_NE(betas["result_image_uuid"], image);
  const json mine = ImagesOf(kBeta, "?tag=imported");
  ASSERT_EQ(mine.size(), 1u) << mine;
  EXPECT_EQ(mine[0]["uuid"], betas["result_image_uuid"]);
}

TEST_F(TenantApiTest, WhatIsAnotherProjectsIsNotThere) {
  const std::string content = "secret of alpha";
  const json file = As(kAlpha, "POST", "/v1/files", content).json();
  const json run = Run(kAlpha, {{"command", "echo secret > /f"}});
  const std::string image = run["result_image_uuid"];
  const std::string ended = run["uuid"];
  ASSERT_EQ(As(kAlpha, "PATCH", "/v1/images/" + image + "/tag", {{"tag", "alpha/only"}}).status,
            200);
  const std::string running =
      Start(kAlpha, {{"command", "read line"}, {"stdin", {{"value", ""}, {"close", false}}}});
  while (As(kAlpha, "GET", "/v1/operations/" + running).json()["status"] != "EXECUTING") {
  }

  struct Attempt {
    const char* method;
    std::string target;  // ID: the thing
    json body = nullptr;
  };
  const std::string nowhere = "01a0d8ca-0000-7000-8000-000000000000";
  const auto expect_the_same = [&](const Attempt& attempt, const std::string& id,
                                   const std::string& no_id) {
    const auto ask = [&](const std::string& thing) {
      json body = attempt.body;
      if (body.is_object()) {
        body = json::parse(absl::StrReplaceAll(body.dump(), {{"ID", thing}}));
      }
      return As(kBeta, attempt.method, absl::StrReplaceAll(attempt.target, {{"ID", thing}}), body);
    };
    const Answer theirs = ask(id);
    const Answer none = ask(no_id);
    EXPECT_EQ(theirs.status, 404) << attempt.method << " " << attempt.target << theirs.body;
    EXPECT_EQ(none.status, 404);
    EXPECT_EQ(absl::StrReplaceAll(theirs.body, {{id, no_id}}), none.body) << attempt.target;
  };
  for (const std::string& operation : {ended, running}) {
    for (const Attempt& attempt : std::vector<Attempt>{
             {"GET", "/v1/operations/ID"},
             {"HEAD", "/v1/operations/ID"},
             {"GET", "/v1/operations/ID?inflight=1"},
             {"DELETE", "/v1/operations/ID"},
             {"GET", "/v1/operations/ID/events"},
             {"GET", "/v1/operations/ID/events?follow=1"},
             {"GET", "/v1/operations/ID/subprocesses"},
             {"POST", "/v1/operations/ID/subprocesses", {{"command", "true"}}},
             {"GET", "/v1/operations/ID/subprocesses/1"},
             {"DELETE", "/v1/operations/ID/subprocesses/1?signal=KILL"},
             {"POST", "/v1/operations/ID/subprocesses/1/stdin", {{"value", "x\n"}}}}) {
      expect_the_same(attempt, operation, nowhere);
    }
  }
  for (const Attempt& attempt :
       std::vector<Attempt>{{"GET", "/v1/inspect/ID/"},
                            {"GET", "/v1/inspect/ID"},
                            {"GET", "/v1/inspect/ID/list?path=/"},
                            {"GET", "/v1/inspect/ID/list?path=/&text=1"},
                            {"GET", "/v1/inspect/ID/download?path=/f"},
                            {"HEAD", "/v1/inspect/ID/download?path=/f"},
                            {"GET", "/v1/inspect/ID/archive?path=/"},
                            {"HEAD", "/v1/inspect/ID/archive?path=/"},
                            {"GET", "/v1/inspect/ID/grep?pattern=secret&path=/"},
                            {"PATCH", "/v1/images/ID/tag", {{"tag", "mine"}}},
                            {"DELETE", "/v1/images/ID/tag"},
                            {"DELETE", "/v1/images/ID/tag?tag=alpha/only"},
                            {"POST", "/v1/instances", {{"command", "true"}, {"image", "ID"}}}}) {
    expect_the_same(attempt, image, nowhere);
  }
  for (const Attempt& attempt : std::vector<Attempt>{
           {"GET", "/v1/inspect/?tag=ID"},
           {"GET", "/v1/inspect?tag=ID"},
           {"POST", "/v1/instances", {{"command", "true"}, {"image", "tag:ID"}}}}) {
    expect_the_same(attempt, "alpha/only", "none/atall");
  }
  const std::string sha256 = Sha256Hex(content);
  for (const Attempt& attempt : std::vector<Attempt>{
           {"GET", "/v1/files/ID"}, {"HEAD", "/v1/files/ID"}, {"GET", "/v1/files?sha256=ID"}}) {
    expect_the_same(attempt, sha256, std::string(64, '0'));
  }
  expect_the_same(
      {"POST",
       "/v1/instances",
       {{"command", "true"}, {"image", kBusybox}, {"files", {{"/f", {{"uuid", "ID"}}}}}}},
      file["uuid"], nowhere);

  // Listings are of one's own.
  EXPECT_THAT(As(kBeta, "GET", "/v1/images").body,
              AllOf(Not(HasSubstr(image)), Not(HasSubstr("alpha/only"))));
  EXPECT_EQ(ImagesOf(kBeta, "?tag=alpha").size(), 0);
  EXPECT_EQ(ImagesOf(kBeta, "?uuid=" + image).size(), 0);
  EXPECT_THAT(As(kBeta, "GET", "/v1/files").body, Not(HasSubstr(sha256)));
  const std::string operations = As(kBeta, "GET", "/v1/operations").body;
  EXPECT_THAT(operations, AllOf(Not(HasSubstr(ended)), Not(HasSubstr(running))));
  EXPECT_EQ(As(kBeta, "GET", "/v1/whoami").json()["operations_stat"]["running_instances"], 0);

  // Nothing of all that was done to them.
  EXPECT_EQ(As(kAlpha, "GET", "/v1/operations/" + running).json()["status"], "EXECUTING");
  EXPECT_EQ(As(kAlpha, "GET", "/v1/inspect/?tag=alpha/only").location, image + "/");
  EXPECT_EQ(As(kAlpha, "GET", "/v1/whoami").json()["operations_stat"]["running_instances"], 1);
  EXPECT_EQ(As(kAlpha, "GET", "/v1/files/" + sha256).json()["uuid"], file["uuid"]);
  EXPECT_EQ(As(kAlpha, "DELETE", "/v1/operations/" + running).status, 202);

  // The same bytes of its own are another file to it, and the same tag another image.
  EXPECT_NE(As(kBeta, "POST", "/v1/files", content).json()["uuid"], file["uuid"]);
  const std::string of_beta = Run(kBeta, {{"command", "echo beta > /f"}})["result_image_uuid"];
  ASSERT_EQ(As(kBeta, "PATCH", "/v1/images/" + of_beta + "/tag", {{"tag", "alpha/only"}}).status,
            200);
  EXPECT_EQ(As(kAlpha, "GET", "/v1/inspect/?tag=alpha/only").location, image + "/");
  EXPECT_EQ(As(kBeta, "GET", "/v1/inspect/?tag=alpha/only").location, of_beta + "/");
}

TEST(TenantQueueTest, ProjectsTakeTurns) {
  const TempDirectory directory;
  ASSERT_OK(WritePrivateFile(directory.File("keys"), absl::StrCat(Sha256Hex(kAlpha), " alpha\n",
                                                                  Sha256Hex(kBeta), " beta\n")));
  BackendProcess backend(
      directory.File("state"),
      {"--auth", "keys", "--auth-keys", directory.File("keys"), "--max-concurrent", "1"});
  const auto start = [&](const std::string& token) {
    return backend
        .Request("POST", "/v1/instances",
                 {{"command", "sleep"}, {"args", {"1000"}}, {"image", kBusybox}}, token)
        .json()["uuid"]
        .get<std::string>();
  };
  const auto status = [&](const std::string& token, const std::string& operation) {
    return backend.Request("GET", "/v1/operations/" + operation, nullptr, token)
        .json()["status"]
        .get<std::string>();
  };
  const auto cancel = [&](const std::string& token, const std::string& operation) {
    EXPECT_EQ(backend.Request("DELETE", "/v1/operations/" + operation, nullptr, token).status, 202);
  };
  std::vector<std::string> alphas;
  for (int i = 0; i < 4; ++i) alphas.push_back(start(kAlpha));
  const std::string beta = start(kBeta);
  cancel(kAlpha, alphas[0]);
  while (status(kAlpha, alphas[1]) != "EXECUTING") {
  }
  cancel(kAlpha, alphas[1]);
  // Alpha had its turn: now beta, although it came last.
  while (status(kBeta, beta) != "EXECUTING") {
  }
  EXPECT_EQ(status(kAlpha, alphas[2]), "PENDING");
  EXPECT_EQ(status(kAlpha, alphas[3]), "PENDING");
  cancel(kAlpha, alphas[3]);
  cancel(kAlpha, alphas[2]);
  cancel(kBeta, beta);
}

TEST(TenantKeysTest, AreReadAgainWhenTheyChange) {
  const TempDirectory directory;
  const std::string keys = directory.File("keys");
  ASSERT_OK(WritePrivateFile(keys, absl::StrCat(Sha256Hex("old"), " alpha\n")));
  BackendProcess backend(directory.File("state"), {"--auth", "keys", "--auth-keys", keys});
  const auto status = [&](const std::string& token) {
    return backend.Request("GET", "/v1/whoami", nullptr, token).status;
  };
  EXPECT_EQ(status("old"), 200);
  EXPECT_EQ(status("new"), 401);
  ASSERT_OK(WritePrivateFile(keys, absl::StrCat(Sha256Hex("new"), " alpha\n")));
  while (status("new") != 200) {
  }
  EXPECT_EQ(status("old"), 401);
  // A mistake in it takes nobody's access away; mended, it counts.
  ASSERT_OK(WritePrivateFile(keys, "nonsense\n"));
  ASSERT_OK(WritePrivateFile(keys, absl::StrCat(Sha256Hex("newer"), " alpha\n")));
  while (status("newer") != 200) {
  }
  EXPECT_EQ(status("new"), 401);
}

TEST(TenantKeysTest, WrongOptionsAreRefused) {
  const TempDirectory directory;
  std::ofstream(directory.File("wrong")) << "my-plain-token alpha\n";
  std::ofstream(directory.File("token")) << "t\n";
  const auto readiness = [&](const std::vector<std::string>& flags) {
    BackendProcess backend(directory.File("state"), flags);
    EXPECT_EQ(backend.Wait(), 1);
    return backend.readiness();
  };
  EXPECT_THAT(readiness({"--auth", "keys"}), HasSubstr("--auth-keys"));
  EXPECT_THAT(readiness({"--auth", "keys", "--auth-keys", directory.File("none")}),
              HasSubstr(directory.File("none")));
  EXPECT_THAT(readiness({"--auth", "keys", "--auth-keys", directory.File("wrong")}),
              AllOf(HasSubstr("line 1"), Not(HasSubstr("my-plain-token"))));
  EXPECT_THAT(readiness({"--auth", "keys", "--auth-keys", directory.File("wrong"), "--token-file",
                         directory.File("token")}),
              HasSubstr("--token-file"));
  EXPECT_THAT(readiness({"--auth", "none", "--listen", "0.0.0.0:0"}), HasSubstr("--auth=keys"));
}

}  // namespace
}  // namespace contree
