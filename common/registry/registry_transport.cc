#include "common/registry/registry_transport.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/http/httplib_http_client.h"
#include "common/registry/reference.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr size_t kMaxClients = 32;
constexpr size_t kMaxUrl = 16 * 1024;
constexpr size_t kMaxUndelivered = 64 * 1024 * 1024;
constexpr char kDockerHubApi[] = "registry-1.docker.io";

bool IsNumericAddress(const std::string& host) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

// What kind of address the registry's own name says.
AddressKind KindOfName(absl::string_view registry) {
  const std::string host = SplitRegistry(registry).host;
  if (host == "localhost" || absl::EndsWith(host, ".localhost")) return AddressKind::kLoopback;
  return IsNumericAddress(host) ? KindOfAddress(host) : AddressKind::kPublic;
}

bool Contains(const std::vector<std::string>& names, absl::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string BracketedHost(const std::string& host) {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : host;
}

}  // namespace

std::string HttpUrl::Origin() const {
  const std::string origin = absl::StrCat(scheme, "://", BracketedHost(host));
  const int own_port = scheme == "https" ? 443 : 80;
  return port == own_port ? origin : absl::StrCat(origin, ":", port);
}

absl::StatusOr<HttpUrl> ParseHttpUrl(absl::string_view text) {
  const auto invalid = [](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("not an http(s) URL: ", why));
  };
  if (text.size() > kMaxUrl) return invalid("it is too long");
  for (const char c : text) {
    if (!absl::ascii_isgraph(c) || c == '\\' || c == '"' || c == '<' || c == '>') {
      return invalid("it holds characters that no URL has");
    }
  }
  if (absl::StrContains(text, '#')) return invalid("it has a fragment");
  const size_t scheme_end = text.find("://");
  if (scheme_end == absl::string_view::npos) return invalid("it has no scheme");
  HttpUrl url;
  url.scheme = absl::AsciiStrToLower(text.substr(0, scheme_end));
  if (url.scheme != "http" && url.scheme != "https") return invalid("its scheme is another one");
  text.remove_prefix(scheme_end + 3);
  const size_t path = std::min(text.find_first_of("/?"), text.size());
  const absl::string_view authority = text.substr(0, path);
  if (absl::StrContains(authority, '@')) return invalid("it names a user");
  url.target = std::string(text.substr(path));
  if (!absl::StartsWith(url.target, "/")) url.target.insert(0, "/");
  // A reference's rules for hosts and ports are those of URLs, without what is exotic.
  ASSIGN_OR_RETURN(const std::string canonical,
                   ParseRegistry(absl::StrCat("https://", authority, "/")));
  const RegistryAddress address = SplitRegistry(canonical);
  url.host = address.host;
  if (url.host == kDockerHub) {  // several hosts are one registry, but not one server
    url.host = absl::AsciiStrToLower(authority.substr(0, authority.find(':')));
  }
  const bool had_port = absl::EndsWith(authority, ":443");
  url.port = address.port != 0 ? address.port : url.scheme == "https" || had_port ? 443 : 80;
  return url;
}

RegistryTransport::RegistryTransport(RegistryNetworkOptions options, HostResolver* resolver)
    : options_(std::move(options)), resolver_(resolver) {}

RegistryTransport::~RegistryTransport() = default;

bool RegistryTransport::IsInsecure(absl::string_view registry) const {
  return KindOfName(registry) == AddressKind::kLoopback ||
         Contains(options_.insecure_registries, registry);
}

absl::StatusOr<std::vector<std::string>> RegistryTransport::AddressesFor(
    const std::string& registry, const HttpUrl& url) {
  std::vector<std::string> addresses;
  if (IsNumericAddress(url.host)) {
    addresses.push_back(url.host);
  } else {
    ASSIGN_OR_RETURN(addresses, resolver_->Resolve(url.host));
  }
  const AddressKind named = KindOfName(registry);
  const bool declared = Contains(options_.insecure_registries, registry) ||
                        Contains(options_.private_registries, registry);
  std::vector<std::string> allowed;
  for (const std::string& address : addresses) {
    const AddressKind kind = KindOfAddress(address);
    const bool of_declared =
        declared && (kind == AddressKind::kPrivate || kind == AddressKind::kLoopback);
    if (kind == AddressKind::kPublic || of_declared ||
        (kind == named && kind != AddressKind::kReserved)) {
      allowed.push_back(address);
    }
  }
  if (!allowed.empty()) return allowed;
  return absl::PermissionDeniedError(absl::StrCat(
      url.host, " leads to ", addresses.front(), ", a ", NameOf(KindOfAddress(addresses.front())),
      " address, which the registry ", registry,
      " may not make us call. If the registry really is on a private network, declare it with "
      "--private-registry ",
      registry));
}

std::string RegistryTransport::CertificatesFor(const HttpUrl& url) const {
  if (!options_.ca_file.empty()) return options_.ca_file;
  const std::string origin = url.Origin();
  const std::string host_and_port(
      absl::StripPrefix(absl::StripPrefix(origin, "https://"), "http://"));
  for (const char* directory : {"/etc/containers/certs.d/", "/etc/docker/certs.d/"}) {
    std::string path = absl::StrCat(directory, host_and_port, "/ca.crt");
    if (access(path.c_str(), R_OK) == 0) return path;
  }
  return "";
}

absl::StatusOr<std::shared_ptr<HttpClient>> RegistryTransport::ClientFor(
    const HttpUrl& url, const std::string& address) {
  const std::string key = absl::StrCat(url.Origin(), " ", address);
  absl::MutexLock lock(&mutex_);
  for (auto it = clients_.begin(); it != clients_.end(); ++it) {
    if (it->key != key) continue;
    clients_.splice(clients_.begin(), clients_, it);
    return it->client;
  }
  ASSIGN_OR_RETURN(std::shared_ptr<HttpClient> client,
                   HttplibHttpClient::Create({.base_url = url.Origin(),
                                              .max_connections = 64,
                                              .max_idle_connections = 8,
                                              .ca_file = CertificatesFor(url),
                                              .dial_address = address,
                                              .max_undelivered_bytes = kMaxUndelivered}));
  clients_.push_front({.key = key, .client = client});
  if (clients_.size() > kMaxClients) clients_.pop_back();  // whoever uses it still holds it
  return client;
}

absl::Status RegistryTransport::Exchange(const std::string& registry, const std::string& url,
                                         HttpRequest request, const CallContext& context,
                                         const HttpResponseSink& sink) {
  ASSIGN_OR_RETURN(const HttpUrl parsed, ParseHttpUrl(url));
  if (parsed.scheme != "https" && !IsInsecure(registry)) {
    return absl::PermissionDeniedError(
        absl::StrCat("the registry ", registry, " names ", parsed.Origin(),
                     ", which is not https. If it has no TLS on purpose, declare it with "
                     "--insecure-registry ",
                     registry));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> addresses, AddressesFor(registry, parsed));
  request.target = parsed.target;
  absl::Status status;
  for (const std::string& address : addresses) {
    ASSIGN_OR_RETURN(const std::shared_ptr<HttpClient> client, ClientFor(parsed, address));
    status = client->Exchange(request, context, sink);
    if (!NothingWasSent(status)) break;  // else the next one may be reachable: IPv4 after IPv6
  }
  return status;
}

absl::StatusOr<std::string> RegistryTransport::BaseUrl(const std::string& registry,
                                                       const CallContext& context) {
  const std::string host = registry == kDockerHub ? kDockerHubApi : registry;
  const std::string https = absl::StrCat("https://", host);
  if (!IsInsecure(registry)) return https;
  {
    absl::MutexLock lock(&mutex_);
    const auto known = base_urls_.find(registry);
    if (known != base_urls_.end()) return known->second;
  }
  const auto answers = [&](const std::string& base) {
    bool answered = false;
    const absl::Status status =
        Exchange(registry, absl::StrCat(base, "/v2/"), {}, context,
                 {.on_head = [&answered](const HttpResponse&) {
                   answered = true;
                   return absl::AbortedError("this is all that was to be known");
                 }});
    return answered ? absl::OkStatus() : status;
  };
  std::string base = https;
  // Only a server that does not speak TLS is spoken to without: not one whose certificate is wrong.
  if (const absl::Status with_tls = answers(https); !with_tls.ok()) {
    if (!NothingWasSent(with_tls)) return with_tls;
    base = absl::StrCat("http://", host);
    RETURN_IF_ERROR(answers(base));
  }
  absl::MutexLock lock(&mutex_);
  return base_urls_.insert_or_assign(registry, base).first->second;
}

}  // namespace contree
