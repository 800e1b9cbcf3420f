#include "auth-service/registry/token_page.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/registry/reference.h"

namespace contree {
namespace {

constexpr absl::string_view kEcrSuffix = ".amazonaws.com";

TokenPage GitHub(absl::string_view site) {
  return {.url = absl::StrCat("https://", site,
                              "/settings/tokens/new?scopes=read:packages&description=contree-mcp"),
          .instruction =
              "Make a classic personal access token with the scope read:packages (fine-grained "
              "tokens do not work for packages). Username: your GitHub login. Token: the new "
              "token, which begins with ghp_."};
}

TokenPage GitLab(absl::string_view site) {
  return {.url = absl::StrCat("https://", site,
                              "/-/user_settings/personal_access_tokens?name=contree-mcp&scopes="
                              "read_registry"),
          .instruction =
              "Make a personal access token with the scope read_registry. Username: your GitLab "
              "login. Token: the new token, which begins with glpat-. A deploy token of a project "
              "works too, with its own user name."};
}

TokenPage Ecr(absl::string_view registry) {
  // ACCOUNT.dkr.ecr.REGION.amazonaws.com
  absl::string_view region = absl::StripSuffix(registry, kEcrSuffix);
  const size_t dot = region.rfind('.');
  region = dot == absl::string_view::npos ? "REGION" : region.substr(dot + 1);
  return {.url = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html",
          .instruction = absl::StrCat(
              "Amazon ECR gives out passwords for 12 hours on the command line: aws ecr "
              "get-login-password --region ",
              region,
              ". Username: AWS. Token: what the command prints. For longer, install the helper "
              "docker-credential-ecr-login and name it in ~/.docker/config.json (credHelpers): it "
              "is asked each time.")};
}

TokenPage Azure(absl::string_view registry) {
  const absl::string_view name = registry.substr(0, registry.find('.'));
  return {.url = "https://portal.azure.com/#browse/Microsoft.ContainerRegistry%2Fregistries",
          .instruction = absl::StrCat(
              "In the portal open the registry ", name,
              ", then Repository permissions, Tokens, and add one with the scope map "
              "_repositories_pull. Username: the token's name. Token: its generated password. For "
              "three hours, az acr login --name ",
              name,
              " --expose-token does as well (username "
              "00000000-0000-0000-0000-000000000000).")};
}

TokenPage Google() {
  return {.url = "https://console.cloud.google.com/iam-admin/serviceaccounts",
          .instruction =
              "Make a service account with the role Artifact Registry Reader and a JSON key for "
              "it. Username: _json_key. Token: the whole content of the key file. For an hour, "
              "username oauth2accesstoken with what gcloud auth print-access-token prints does as "
              "well."};
}

}  // namespace

TokenPage TokenPageOf(absl::string_view registry) {
  const std::string host = SplitRegistry(registry).host;
  if (host == kDockerHub) {
    return {.url = "https://app.docker.com/settings/personal-access-tokens/create",
            .instruction =
                "Make a personal access token with the permission Public Repo Read-only, or "
                "Read-only for private repositories. Username: your Docker ID. Token: the new "
                "token, which begins with dckr_pat_."};
  }
  if (host == "ghcr.io" || host == "docker.pkg.github.com") return GitHub("github.com");
  if (absl::StartsWith(host, "containers.") && absl::StrContains(host, "github")) {
    return GitHub(absl::StripPrefix(host, "containers."));  // GitHub Enterprise Server
  }
  if (absl::EndsWith(host, ".ghe.com")) {  // GitHub Enterprise Cloud
    return GitHub(absl::StripPrefix(host, "containers."));
  }
  if (host == "registry.gitlab.com") return GitLab("gitlab.com");
  if (absl::StrContains(host, "gitlab")) return GitLab(absl::StripPrefix(host, "registry."));
  if (host == "quay.io") {
    return {.url = "https://quay.io/user/?tab=settings",
            .instruction =
                "Under Docker CLI Password generate an encrypted password, or make a robot account "
                "with read access to the repository. Username: your Quay user name or the robot's "
                "(name+robot). Token: the password."};
  }
  if (host == "gcr.io" || absl::EndsWith(host, ".gcr.io") || absl::EndsWith(host, ".pkg.dev")) {
    return Google();
  }
  if (host == "public.ecr.aws") {
    return {.url = "https://gallery.ecr.aws",
            .instruction =
                "Everything here can be pulled without credentials; with them the limits are "
                "higher: aws ecr-public get-login-password --region us-east-1. Username: AWS. "
                "Token: what the command prints (it works for 12 hours)."};
  }
  if (absl::StrContains(host, ".dkr.ecr.") && absl::StrContains(host, ".amazonaws.com")) {
    return Ecr(host);
  }
  if (absl::EndsWith(host, ".azurecr.io")) return Azure(host);
  return {.url = "",
          .instruction = absl::StrCat(
              "No page is known where tokens for ", registry,
              " are made. Ask whoever runs it for a user name and a token or password that may "
              "pull (its web page often has them under account settings, access tokens or robot "
              "accounts).")};
}

}  // namespace contree
