#include "common/registry/reference.h"

#include <arpa/inet.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr size_t kMaxReference = 4096;  // before it is looked at
constexpr size_t kMaxName = 255;        // registry and repository, as the distribution spec says
constexpr size_t kMaxTag = 128;
constexpr int kHttpsPort = 443;

constexpr char kForms[] =
    "write it as NAME[:TAG], REGISTRY/NAME[:TAG] or REGISTRY/NAME@sha256:DIGEST, for instance "
    "docker.io/library/alpine:latest";

absl::Status Invalid(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text.substr(0, 300), "\" is not an image reference: ", why, "; ", kForms));
}

bool IsLowerOrDigit(char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); }

// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
bool IsRepositoryComponent(absl::string_view text) {
  if (text.empty() || !IsLowerOrDigit(text.front()) || !IsLowerOrDigit(text.back())) return false;
  for (size_t i = 0; i < text.size();) {
    if (IsLowerOrDigit(text[i])) {
      ++i;
      continue;
    }
    const size_t begin = i;
    while (i < text.size() && text[i] == text[begin]) ++i;
    const size_t length = i - begin;
    const bool is_separator = (text[begin] == '.' && length == 1) ||
                              (text[begin] == '_' && length <= 2) || text[begin] == '-';
    if (!is_separator || !IsLowerOrDigit(text[i])) return false;
  }
  return true;
}

bool IsTag(absl::string_view text) {
  if (text.empty() || text.size() > kMaxTag) return false;
  if (!absl::ascii_isalnum(text.front()) && text.front() != '_') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
  });
}

bool IsDigest(absl::string_view text) {
  size_t digits = 0;
  if (absl::ConsumePrefix(&text, "sha256:")) {
    digits = 64;
  } else if (absl::ConsumePrefix(&text, "sha512:")) {
    digits = 128;
  }
  return digits > 0 && text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

bool IsHostName(absl::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  for (const absl::string_view label : absl::StrSplit(text, '.')) {
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
      return false;
    }
    for (const char c : label) {
      if (!absl::ascii_isalnum(c) && c != '-') return false;
    }
  }
  return true;
}

// The canonical "HOST[:PORT]"; nullopt: none.
std::optional<std::string> CanonicalRegistry(absl::string_view text) {
  std::string host;
  absl::string_view port_text;
  bool has_port = false;
  if (absl::StartsWith(text, "[")) {
    const size_t end = text.find(']');
    if (end == absl::string_view::npos) return std::nullopt;
    in6_addr address;
    if (inet_pton(AF_INET6, std::string(text.substr(1, end - 1)).c_str(), &address) != 1) {
      return std::nullopt;
    }
    char canonical[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, &address, canonical, sizeof canonical);
    host = absl::StrCat("[", canonical, "]");
    text.remove_prefix(end + 1);
    if (!text.empty() && text.front() != ':') return std::nullopt;
    has_port = absl::ConsumePrefix(&text, ":");
    port_text = text;
  } else {
    const size_t colon = text.find(':');
    host = absl::AsciiStrToLower(text.substr(0, colon));
    if (!IsHostName(host)) return std::nullopt;
    has_port = colon != absl::string_view::npos;
    if (has_port) port_text = text.substr(colon + 1);
  }
  int port = 0;
  if (has_port) {
    const bool digits = std::all_of(port_text.begin(), port_text.end(), absl::ascii_isdigit);
    if (!digits || port_text.size() > 5 || !absl::SimpleAtoi(port_text, &port) || port < 1 ||
        port > 65535) {
      return std::nullopt;
    }
  }
  if (host == "index.docker.io" || host == "registry-1.docker.io" ||
      host == "registry.hub.docker.com" || host == "hub.docker.com") {
    host = kDockerHub;
  }
  return port == 0 || port == kHttpsPort ? host : absl::StrCat(host, ":", port);
}

// Whether the first part of a name is a registry, by Docker's rule.
bool LooksLikeRegistry(absl::string_view first) {
  return first == "localhost" || absl::StrContains(first, '.') || absl::StrContains(first, ':') ||
         absl::StartsWith(first, "[") || first != absl::AsciiStrToLower(first);
}

struct Unwrapped {
  absl::string_view rest;
  bool was_address = false;  // http:// or https://: it begins with a host
};

Unwrapped WithoutScheme(absl::string_view text) {
  for (const absl::string_view scheme : {"docker://", "oci://"}) {
    if (absl::StartsWithIgnoreCase(text, scheme)) return {.rest = text.substr(scheme.size())};
  }
  for (const absl::string_view scheme : {"https://", "http://"}) {
    if (absl::StartsWithIgnoreCase(text, scheme)) {
      return {.rest = text.substr(scheme.size()), .was_address = true};
    }
  }
  return {.rest = text};
}

absl::Status CheckCharacters(absl::string_view text) {
  if (text.empty()) return absl::InvalidArgumentError(absl::StrCat("no image was named; ", kForms));
  if (text.size() > kMaxReference) return Invalid(text, "it is too long");
  for (const char c : text) {
    if (!absl::ascii_isgraph(c)) {
      constexpr size_t kMaxShown = 120;
      return absl::InvalidArgumentError(
          absl::StrCat("the image reference \"", absl::CHexEscape(text.substr(0, kMaxShown)),
                       "\" holds a space, a control character or a letter beyond ASCII; ", kForms));
    }
  }
  return absl::OkStatus();
}

// A page of Docker Hub's web site names an image too.
std::string FromHubPage(absl::string_view path) {
  if (absl::ConsumePrefix(&path, "_/")) return absl::StrCat("library/", path);
  absl::ConsumePrefix(&path, "r/");
  return std::string(path);
}

absl::Status CheckRepository(absl::string_view text, absl::string_view repository) {
  if (repository != absl::AsciiStrToLower(repository)) {
    return Invalid(text,
                   absl::StrCat("repositories are lower case, \"", repository, "\" is not (try \"",
                                absl::AsciiStrToLower(repository), "\")"));
  }
  for (const absl::string_view component : absl::StrSplit(repository, '/')) {
    if (!IsRepositoryComponent(component)) {
      return Invalid(text, absl::StrCat("\"", component,
                                        "\" cannot be a part of a repository's name (a-z, 0-9, and "
                                        "single . _ or - between them)"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string ImageReference::ToUrl() const {
  return absl::StrCat("docker://", registry, "/", repository, digest.empty() ? ":" : "@",
                      TagOrDigest());
}

absl::StatusOr<ImageReference> ParseImageReference(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  RETURN_IF_ERROR(CheckCharacters(text));
  const auto [rest, was_address] = WithoutScheme(text);
  if (absl::StrContains(rest, "://")) return Invalid(text, "its scheme is not docker:// or oci://");
  if (absl::StrContains(rest.substr(0, rest.find('/')), '@') && was_address) {
    return absl::InvalidArgumentError(
        "an image reference cannot hold credentials; give them to registry_auth");
  }

  ImageReference reference = {.registry = kDockerHub, .repository = "", .tag = "", .digest = ""};
  std::string name(rest);
  const size_t slash = rest.find('/');
  const absl::string_view first = rest.substr(0, slash);
  if (slash != absl::string_view::npos && (was_address || LooksLikeRegistry(first))) {
    const std::optional<std::string> registry = CanonicalRegistry(first);
    if (!registry.has_value()) {
      return Invalid(text, absl::StrCat("\"", first, "\" is not a registry's host and port"));
    }
    reference.registry = *registry;
    name = std::string(rest.substr(slash + 1));
    if (absl::EqualsIgnoreCase(first, "hub.docker.com")) name = FromHubPage(name);
  } else if (was_address) {
    return Invalid(text, "it names a registry and no repository");
  }

  if (const size_t at = name.find('@'); at != std::string::npos) {
    reference.digest = name.substr(at + 1);
    name.resize(at);
    if (!IsDigest(reference.digest)) {
      return Invalid(text, "behind @ there must be sha256: and 64 lower-case hexadecimal digits");
    }
  }
  if (const size_t colon = name.find(':'); colon != std::string::npos) {
    reference.tag = name.substr(colon + 1);
    name.resize(colon);
    if (!IsTag(reference.tag)) {
      return Invalid(text, absl::StrCat("\"", reference.tag,
                                        "\" cannot be a tag (at most 128 letters, digits, _ . -)"));
    }
  }
  if (!reference.digest.empty()) {
    reference.tag.clear();
  } else if (reference.tag.empty()) {
    reference.tag = "latest";
  }
  RETURN_IF_ERROR(CheckRepository(text, name));
  if (reference.registry == kDockerHub && !absl::StrContains(name, '/')) {
    name = absl::StrCat("library/", name);
  }
  reference.repository = std::move(name);
  if (reference.registry.size() + 1 + reference.repository.size() > kMaxName) {
    return Invalid(
        text, absl::StrCat("registry and repository have more than ", kMaxName, " characters"));
  }
  return reference;
}

absl::StatusOr<std::string> ParseRegistry(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  RETURN_IF_ERROR(CheckCharacters(text));
  const auto [rest, was_address] = WithoutScheme(text);
  const size_t slash = rest.find('/');
  const absl::string_view first = rest.substr(0, slash);
  if (absl::StrContains(first, '@') && (was_address || slash != absl::string_view::npos)) {
    return absl::InvalidArgumentError(
        "the registry's address cannot hold credentials; give username and token by themselves");
  }
  const absl::string_view path =
      slash == absl::string_view::npos ? absl::string_view() : rest.substr(slash + 1);
  const bool is_alone =
      path.empty() || path == "v1" || path == "v1/" || path == "v2" || path == "v2/";
  // "python:3.11" has the form of a host and a port as well: there the name decides.
  const absl::string_view name = first.substr(0, first.find(':'));
  const bool is_registry = was_address || absl::StartsWith(first, "[") || name == "localhost" ||
                           absl::StrContains(name, '.') ||
                           (slash != absl::string_view::npos && LooksLikeRegistry(first));
  if (is_alone && is_registry) {
    const std::optional<std::string> registry = CanonicalRegistry(first);
    if (registry.has_value()) return *registry;
    return absl::InvalidArgumentError(
        absl::StrCat("\"", first.substr(0, 300),
                     "\" is not a registry: write its host and port, for instance ghcr.io or "
                     "localhost:5000"));
  }
  ASSIGN_OR_RETURN(const ImageReference reference, ParseImageReference(text));
  return reference.registry;
}

RegistryAddress SplitRegistry(absl::string_view registry) {
  RegistryAddress address;
  absl::string_view port;
  if (absl::StartsWith(registry, "[")) {
    const size_t end = registry.find(']');
    address.host = std::string(registry.substr(1, end - 1));
    port = registry.substr(end + 1);
  } else {
    const size_t colon = registry.find(':');
    address.host = std::string(registry.substr(0, colon));
    if (colon != absl::string_view::npos) port = registry.substr(colon);
  }
  if (absl::ConsumePrefix(&port, ":")) (void)absl::SimpleAtoi(port, &address.port);
  return address;
}

}  // namespace contree
