#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(WhoamiTest, EverythingThatThePlatformSaysIsShown) {
  FakeBackend backend;
  contree::v1::GetIdentityResponse identity;
  identity.set_token_uuid("token-1");
  identity.mutable_token_expiration()->set_seconds(86400);
  (*identity.mutable_permissions())["spawn"] = true;
  (*identity.mutable_permissions())["import"] = false;
  (*identity.mutable_limits())["max_instances"] = 50;
  (*identity.mutable_operations())["active"] = 2;
  identity.set_api_url("https://platform.example");
  backend.service().SetIdentity(identity);
  EXPECT_EQ(backend.CallOk("whoami", json::object()),
            json({{"token_uuid", "token-1"},
                  {"token_expiration", "1970-01-02T00:00:00Z"},
                  {"permissions", {{"import", false}, {"spawn", true}}},
                  {"limits", {{"max_instances", 50}}},
                  {"operations", {{"active", 2}}},
                  {"api_url", "https://platform.example"},
                  {"version", "0.1.0"}}));
}

TEST(WhoamiTest, WhatThePlatformDoesNotSayIsLeftOutOrEmpty) {
  FakeBackend backend;
  EXPECT_EQ(backend.CallOk("whoami", json::object()), json({{"permissions", json::object()},
                                                            {"limits", json::object()},
                                                            {"operations", json::object()},
                                                            {"api_url", ""},
                                                            {"version", "0.1.0"}}));
}

TEST(WhoamiTest, ATokenThatIsRefusedIsAnErrorThatSaysWhoCanMendIt) {
  FakeBackend backend;
  backend.service().FailCalls({grpc::StatusCode::UNAUTHENTICATED, "the token has expired"});
  const std::string text = backend.CallError("whoami", json::object());
  EXPECT_THAT(text, HasSubstr("the token has expired"));
  EXPECT_THAT(text, HasSubstr("The person who runs this server"));
}

}  // namespace
}  // namespace contree::gateway
