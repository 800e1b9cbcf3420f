#ifndef COMMON_SERVER_TRANSPORT_SECURITY_H_
#define COMMON_SERVER_TRANSPORT_SECURITY_H_

// TLS between our programs: certificates from files that are read again when they change (within
// some seconds), on either side. Thread-safe.

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace contree {

// Paths of PEM files; an empty one: none.
struct TlsFiles {
  std::string certificate = "";  // our own, with those between it and the authority
  std::string key = "";          // its private key
  // The authority that the other side's certificate must come from. A server that has one lets in
  // only clients with a certificate (mTLS).
  std::string authority = "";

  bool empty() const { return certificate.empty() && key.empty() && authority.empty(); }
};

// What a server that has a certificate listens with. InvalidArgument: certificate or key is
// missing, they do not belong together, or a file is no such thing; the message names it.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> TlsServerCredentialsOf(
    const TlsFiles& files);

// What a client connects with; without an authority the system's certificates are trusted. The
// server's certificate must be for the host that is dialled. Errors as above.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsChannelCredentialsOf(
    const TlsFiles& files);

}  // namespace contree

#endif  // COMMON_SERVER_TRANSPORT_SECURITY_H_
