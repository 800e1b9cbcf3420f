#ifndef COMMON_REGISTRY_REGISTRY_TRANSPORT_H_
#define COMMON_REGISTRY_REGISTRY_TRANSPORT_H_

// HTTP on behalf of a registry: to itself, to the server that gives out its tokens, to where it
// keeps its blobs. Everything that is dialled goes through here, so the rules are kept in one
// place:
//  - https only, unless the registry is of this machine or declared insecure;
//  - the address that is dialled is the one that was judged: a private, loopback, link-local or
//    reserved address is refused for a registry that was not itself named so or declared private;
//  - redirects are never followed (they come back to the caller), certificates always verified;
//  - what a server sends without getting on with its answer (a head without end) is bounded.

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/http/http_client.h"
#include "common/registry/network_address.h"
#include "common/rpc/call_context.h"

namespace contree {

struct RegistryNetworkOptions {
  // Registries ("HOST[:PORT]") that may be spoken to without TLS, on private addresses too. Those
  // named localhost or by a loopback address need no declaration.
  std::vector<std::string> insecure_registries = {};
  // Registries with a public name and a private address.
  std::vector<std::string> private_registries = {};
  // Trusted certificates (PEM) instead of the system's; empty: the system's, or, for one registry,
  // ca.crt in /etc/containers/certs.d/HOST[:PORT] or /etc/docker/certs.d/HOST[:PORT].
  std::string ca_file = "";
};

// An absolute http or https URL, taken apart.
struct HttpUrl {
  std::string scheme;  // lower case
  std::string host;    // lower case; IPv6 without brackets
  int port = 0;        // never 0: the scheme's own where none is given
  std::string target;  // path and query; at least "/"

  // "https://host[:port]", without the scheme's own port.
  std::string Origin() const;
};
// InvalidArgument: not of that form, or it holds a user, a fragment or characters that no URL has.
absl::StatusOr<HttpUrl> ParseHttpUrl(absl::string_view url);

// Thread-safe.
class RegistryTransport {
 public:
  // `resolver` must outlive it.
  RegistryTransport(RegistryNetworkOptions options, HostResolver* resolver);
  ~RegistryTransport();

  // One exchange with `url` on behalf of `registry` (in the form of ParseRegistry).
  // PermissionDenied: the rules above forbid it. InvalidArgument: not a URL. ResourceExhausted: the
  // server sends without end and answers nothing. Else as HttpClient::Exchange.
  absl::Status Exchange(const std::string& registry, const std::string& url, HttpRequest request,
                        const CallContext& context, const HttpResponseSink& sink);

  // "https://registry-1.docker.io" for "docker.io"; "http://…" for an insecure registry that does
  // not speak TLS, which is found out once.
  absl::StatusOr<std::string> BaseUrl(const std::string& registry, const CallContext& context);

  bool IsInsecure(absl::string_view registry) const;

 private:
  struct Client {
    std::string key;
    std::shared_ptr<HttpClient> client;
  };

  // Those that may be dialled, at least one.
  absl::StatusOr<std::vector<std::string>> AddressesFor(const std::string& registry,
                                                        const HttpUrl& url);
  absl::StatusOr<std::shared_ptr<HttpClient>> ClientFor(const HttpUrl& url,
                                                        const std::string& address);
  std::string CertificatesFor(const HttpUrl& url) const;

  const RegistryNetworkOptions options_;
  HostResolver* const resolver_;
  absl::Mutex mutex_;
  std::list<Client> clients_ ABSL_GUARDED_BY(mutex_);  // last used first
  absl::flat_hash_map<std::string, std::string> base_urls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // COMMON_REGISTRY_REGISTRY_TRANSPORT_H_
