#include "auth-service/registry/docker_config.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "auth-service/registry/credential_helper.h"
#include "common/files/state_directory.h"
#include "common/registry/reference.h"
#include "common/telemetry/logging.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr size_t kMaxConfig = 4 * 1024 * 1024;
constexpr absl::Duration kHelperTimeout = absl::Seconds(20);
// What Docker Hub is called in these files, and what helpers know it as.
constexpr char kDockerHubServer[] = "https://index.docker.io/v1/";

// A config file, its secrets wiped at the end.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& path) : path_(path) {
    absl::StatusOr<std::string> text = ReadFile(path, kMaxConfig);
    if (absl::IsNotFound(text.status())) return;
    if (text.ok()) {
      content_ = json::parse(*text, nullptr, false);
      Wipe(*text);
      if (content_.is_object()) return;
      content_ = nullptr;
    }
    LogWarning(
        "a file with registry credentials cannot be used",
        {{"path", path},
         {"error", text.ok() ? "it is no JSON object" : std::string(text.status().message())}});
  }
  ~ConfigFile() { WipeText(content_); }
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;

  // An object's members; none where there is no such object.
  std::map<std::string, json*> Members(const char* name) {
    std::map<std::string, json*> members;
    if (!content_.is_object() || !content_.contains(name) || !content_[name].is_object()) {
      return members;
    }
    for (auto it = content_[name].begin(); it != content_[name].end(); ++it) {
      members[it.key()] = &*it;
    }
    return members;
  }
  std::string Text(const char* name) const {
    const bool is_text =
        content_.is_object() && content_.contains(name) && content_[name].is_string();
    return is_text ? content_[name].get<std::string>() : "";
  }
  const std::string& path() const { return path_; }

 private:
  static void WipeText(json& value) {
    if (value.is_string()) Wipe(value.get_ref<std::string&>());
    if (!value.is_structured()) return;
    for (json& member : value) WipeText(member);
  }

  const std::string path_;
  json content_ = nullptr;
};

bool IsFor(const std::string& server, const std::string& registry) {
  const absl::StatusOr<std::string> parsed = ParseRegistry(server);
  return parsed.ok() && *parsed == registry;
}

// An entry of "auths"; nullopt: it has no secret (a helper keeps it).
std::optional<RegistryCredentials> FromEntry(json& entry) {
  if (!entry.is_object()) return std::nullopt;
  const auto text = [&entry](const char* name) {
    const auto found = entry.find(name);
    return found != entry.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  RegistryCredentials credentials;
  if (std::string token = text("identitytoken"); !token.empty()) {
    credentials.username = "<token>";
    credentials.secret = SecretString(std::move(token));
    return credentials;
  }
  std::string encoded = text("auth");
  std::string plain;
  if (!encoded.empty() && absl::Base64Unescape(encoded, &plain)) {
    const size_t colon = plain.find(':');
    if (colon != std::string::npos) {
      credentials.username = plain.substr(0, colon);
      // Older versions of Docker padded it.
      std::string secret = plain.substr(colon + 1);
      while (!secret.empty() && secret.back() == '\0') secret.pop_back();
      credentials.secret = SecretString(std::move(secret));
    }
  }
  Wipe(encoded);
  Wipe(plain);
  if (credentials.secret.empty()) {
    credentials.username = text("username");
    credentials.secret = SecretString(text("password"));
  }
  if (credentials.secret.empty()) return std::nullopt;
  return credentials;
}

std::optional<RegistryCredentials> FromAuths(ConfigFile& config, const std::string& registry) {
  for (const auto& [server, entry] : config.Members("auths")) {
    if (!IsFor(server, registry)) continue;
    std::optional<RegistryCredentials> credentials = FromEntry(*entry);
    if (credentials.has_value()) return credentials;
  }
  return std::nullopt;
}

std::optional<ForeignCredentials> AskHelper(const ConfigFile& config, const std::string& helper,
                                            const std::string& registry,
                                            const std::string& server) {
  absl::StatusOr<std::optional<RegistryCredentials>> answer =
      AskCredentialHelper(helper, server, kHelperTimeout);
  if (!answer.ok()) {
    LogWarning("a credential helper does not work",
               {{"registry", registry}, {"error", std::string(answer.status().message())}});
    return std::nullopt;
  }
  if (!answer->has_value()) return std::nullopt;
  return ForeignCredentials{
      .registry = registry,
      .credentials = **std::move(answer),
      .source = absl::StrCat(config.path(), " (docker-credential-", helper, ")")};
}

std::vector<std::string> PullSecretFiles(const ForeignSources& sources) {
  constexpr char kName[] = ".dockerconfigjson";
  std::vector<std::string> files;
  for (const std::string& path : sources.pull_secrets) {
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    const std::string own = absl::StrCat(path, "/", kName);
    if (std::filesystem::exists(own, error)) files.push_back(own);
    std::vector<std::string> below;
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
      const std::string file = entry.path().string() + "/" + kName;
      // A mounted Secret has hidden directories behind its links.
      if (entry.path().filename().string().front() == '.') continue;
      if (std::filesystem::exists(file, error)) below.push_back(file);
    }
    std::sort(below.begin(), below.end());
    files.insert(files.end(), below.begin(), below.end());
  }
  return files;
}

}  // namespace

std::string ForeignSources::DefaultDockerConfig() {
  if (const char* directory = std::getenv("DOCKER_CONFIG");
      directory != nullptr && *directory != '\0') {
    return absl::StrCat(directory, "/config.json");
  }
  const char* home = std::getenv("HOME");
  return home == nullptr || *home == '\0' ? "" : absl::StrCat(home, "/.docker/config.json");
}

std::optional<ForeignCredentials> FindForeignCredentials(const ForeignSources& sources,
                                                         const std::string& registry) {
  if (!sources.docker_config.empty()) {
    ConfigFile config(sources.docker_config);
    if (auto credentials = FromAuths(config, registry); credentials.has_value()) {
      return ForeignCredentials{
          .registry = registry, .credentials = *std::move(credentials), .source = config.path()};
    }
    for (const auto& [server, helper] : config.Members("credHelpers")) {
      if (!helper->is_string() || !IsFor(server, registry)) continue;
      auto found = AskHelper(config, helper->get<std::string>(), registry, server);
      if (found.has_value()) return found;
    }
    if (const std::string helper = config.Text("credsStore"); !helper.empty()) {
      auto found =
          AskHelper(config, helper, registry, registry == kDockerHub ? kDockerHubServer : registry);
      if (found.has_value()) return found;
    }
  }
  for (const std::string& file : PullSecretFiles(sources)) {
    ConfigFile config(file);
    if (auto credentials = FromAuths(config, registry); credentials.has_value()) {
      return ForeignCredentials{
          .registry = registry, .credentials = *std::move(credentials), .source = file};
    }
  }
  return std::nullopt;
}

std::vector<ForeignCredentials> ListForeignCredentials(const ForeignSources& sources) {
  std::vector<ForeignCredentials> listed;
  const auto add = [&listed](const std::string& server, const std::string& username,
                             const std::string& source) {
    const absl::StatusOr<std::string> registry = ParseRegistry(server);
    if (!registry.ok()) return;
    ForeignCredentials entry = {.registry = *registry, .credentials = {}, .source = source};
    entry.credentials.username = username;
    listed.push_back(std::move(entry));
  };
  std::vector<std::string> files = PullSecretFiles(sources);
  if (!sources.docker_config.empty()) files.insert(files.begin(), sources.docker_config);
  for (const std::string& file : files) {
    ConfigFile config(file);
    for (const auto& [server, entry] : config.Members("auths")) {
      const std::optional<RegistryCredentials> credentials = FromEntry(*entry);
      if (credentials.has_value()) add(server, credentials->username, file);
    }
    if (file != sources.docker_config) continue;
    for (const auto& [server, helper] : config.Members("credHelpers")) {
      if (!helper->is_string()) continue;
      add(server, "", absl::StrCat(file, " (docker-credential-", helper->get<std::string>(), ")"));
    }
  }
  return listed;
}

}  // namespace contree
