// import_image, registry_auth and registry_token_obtain.

#include <string>
#include <vector>

#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const json kImport = {{"registry_url", "hub.example/team/app"}, {"tag", "team/app:1"}};

json Anonymously(json arguments) {
  arguments["i_accept_that_anonymous_access_might_be_rate_limited"] = true;
  return arguments;
}

TEST(ImportImageTest, WaitsAndReturnsTheImage) {
  FakeBackend backend;
  const json result = backend.CallOk("import_image", Anonymously(kImport));
  EXPECT_EQ(result["operation_id"], "import-1");
  EXPECT_EQ(result["kind"], "image_import");
  EXPECT_EQ(result["state"], "SUCCESS");
  EXPECT_EQ(result["result_image"], "image-of-import-1");
  EXPECT_EQ(result["result_tag"], "team/app:1");
  const contree::v1::ImportImageRequest request = backend.service().calls().imports.at(0);
  EXPECT_EQ(request.registry_url(), "docker://hub.example/team/app:latest");
  EXPECT_EQ(request.timeout().seconds(), 300);
  EXPECT_FALSE(request.has_credentials());
}

TEST(ImportImageTest, WithoutWaitingOnlyTheOperationIsNamed) {
  FakeBackend backend;
  backend.service().HoldOperations();
  json arguments = Anonymously(kImport);
  arguments["wait"] = false;
  EXPECT_EQ(backend.CallOk("import_image", arguments), json({{"operation_id", "import-1"}}));
}

TEST(ImportImageTest, WithoutCredentialsAnonymousAccessHasToBeAccepted) {
  FakeBackend backend;
  EXPECT_THAT(backend.CallError("import_image", kImport),
              HasSubstr("no credentials for hub.example"));
  EXPECT_TRUE(backend.service().calls().imports.empty());
}

TEST(ImportImageTest, StoredCredentialsGoToTheImportAndNowhereElse) {
  FakeBackend backend;
  const json stored = backend.CallOk(
      "registry_auth", {{"registry_url", "hub.example"}, {"username", "me"}, {"token", "s3cret"}});
  EXPECT_EQ(stored["status"], "success");
  EXPECT_EQ(stored["registry"], "hub.example");
  EXPECT_THAT(stored.dump(), Not(HasSubstr("s3cret")));
  const json result = backend.CallOk("import_image", kImport);
  EXPECT_THAT(result.dump(), Not(HasSubstr("s3cret")));
  const contree::v1::ImportImageRequest request = backend.service().calls().imports.at(0);
  EXPECT_EQ(request.credentials().username(), "me");
  EXPECT_EQ(request.credentials().password(), "s3cret");
  EXPECT_EQ(request.credentials().realm(), "https://tokens.example/");
}

TEST(RegistryAuthTest, RefusedCredentialsAreAnErrorThatDoesNotShowThem) {
  FakeBackend backend;
  EXPECT_THAT(
      backend.CallError("registry_auth",
                        {{"registry_url", "hub.example"}, {"username", "me"}, {"token", "wrong"}}),
      AllOf(HasSubstr("hub.example refuses"), Not(HasSubstr("wrong"))));
  EXPECT_THAT(backend.CallError("import_image", kImport), HasSubstr("no credentials"));
}

TEST(RegistryTokenObtainTest, NamesThePageAndWhatToDo) {
  FakeBackend backend;
  const json known = backend.CallOk("registry_token_obtain", {{"registry_url", "hub.example"}});
  EXPECT_EQ(known["status"], "url_known");
  EXPECT_EQ(known["url"], "https://hub.example/tokens");
  EXPECT_THAT(known["agent_instruction"].get<std::string>(), HasSubstr("registry_auth"));
  const json unknown = backend.CallOk("registry_token_obtain", {{"registry_url", "own.example"}});
  EXPECT_EQ(unknown["status"], "url_unknown");
  EXPECT_EQ(unknown["url"], "");
}

TEST(RegistryTokenObtainTest, OpensABrowserWhereThereIsOne) {
  FakeBackend backend;
  std::vector<std::string> opened;
  backend.SetBrowser([&opened](const std::string& url) {
    opened.push_back(url);
    return opened.size() == 1;
  });
  const json arguments = {{"registry_url", "hub.example"}};
  EXPECT_EQ(backend.CallOk("registry_token_obtain", arguments)["status"], "browser_opened");
  EXPECT_EQ(backend.CallOk("registry_token_obtain", arguments)["status"], "url_known");
  EXPECT_THAT(opened, ElementsAre("https://hub.example/tokens", "https://hub.example/tokens"));
  backend.CallOk("registry_token_obtain", {{"registry_url", "own.example"}});
  EXPECT_EQ(opened.size(), 2U);
}

TEST(RegistryTokenObtainTest, AsksTheUserThroughAClientThatCan) {
  FakeBackend backend;
  std::vector<std::string> opened;
  backend.SetBrowser([&opened](const std::string& url) {
    opened.push_back(url);
    return true;
  });
  const json arguments = {{"registry_url", "hub.example"}};
  RequestContext context;
  context.call = NewCallContext(absl::Seconds(60));
  context.client.elicitation_url = true;
  json responses = json::object();
  context.input_responses = &responses;
  const auto asked = backend.tools().Call("registry_token_obtain", arguments, context);
  ASSERT_TRUE(asked.ok()) << asked.status();
  ASSERT_TRUE(asked->input_required.has_value());
  ASSERT_EQ(asked->input_required->requests.size(), 1U);
  const InputRequest& request = asked->input_required->requests[0];
  EXPECT_EQ(request.method, "elicitation/create");
  EXPECT_TRUE(context.client.Allow(request.method, request.params));
  EXPECT_EQ(request.params["mode"], "url");
  EXPECT_EQ(request.params["url"], "https://hub.example/tokens");
  EXPECT_EQ(request.params["message"], "Make a token.");
  EXPECT_EQ(request.params["elicitationId"].get<std::string>().size(), 36U);

  // Called again with the answer.
  const auto answered = [&](const json& response) {
    responses = {{request.key, response}};
    return backend.Call("registry_token_obtain", arguments, context).at("structuredContent");
  };
  const json accepted = answered({{"action", "accept"}});
  EXPECT_EQ(accepted["status"], "page_accepted");
  EXPECT_EQ(accepted["url"], "https://hub.example/tokens");
  EXPECT_EQ(answered({{"action", "decline"}})["status"], "page_declined");
  EXPECT_EQ(answered({{"action", "cancel"}})["status"], "page_declined");
  EXPECT_EQ(answered({{"action", 7}})["status"], "page_declined");
  EXPECT_THAT(opened, testing::IsEmpty()) << "once the client asks, nothing opens by itself";

  // A page that nobody knows is not asked for.
  responses = json::object();
  EXPECT_EQ(backend.Call("registry_token_obtain", {{"registry_url", "own.example"}}, context)
                .at("structuredContent")["status"],
            "url_unknown");
}

TEST(RegistryTokenObtainTest, OnTheUsersMachineTheTokenNeedNotPassTheConversation) {
  FakeBackend backend;
  const json arguments = {{"registry_url", "hub.example"}};
  const auto instruction = [&] {
    return backend.CallOk("registry_token_obtain", arguments)["agent_instruction"]
        .get<std::string>();
  };
  EXPECT_THAT(instruction(), Not(HasSubstr("contree-mcp registry add")));
  backend.SetBrowser([](const std::string&) { return false; });
  EXPECT_THAT(instruction(), HasSubstr("contree-mcp registry add hub.example"));
}

TEST(RegistryToolsTest, WithoutAnAuthServiceTheySayWhatIsMissing) {
  FakeBackend backend;
  backend.RemoveRegistryAuth();
  for (const char* tool : {"import_image", "registry_token_obtain"}) {
    EXPECT_THAT(backend.CallError(tool, {{"registry_url", "hub.example"}}),
                HasSubstr("--auth-service"))
        << tool;
  }
}

}  // namespace
}  // namespace contree::gateway
