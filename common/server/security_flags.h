#ifndef COMMON_SERVER_SECURITY_FLAGS_H_
#define COMMON_SERVER_SECURITY_FLAGS_H_

// The flags by which servers are told who may call and how connections are protected:
//
//   --auth none|keys|jwt, --auth-keys-file F, --jwt-issuer, --jwt-audience, --jwt-jwks,
//   --jwt-tenant-claim; --tls-cert F, --tls-key F, --tls-client-ca F
//
// and those of clients of the services: --services-ca F, --services-cert F, --services-key F.
// Each has its variable, CONTREE_MCP_AUTH and so on.

#include "common/auth/auth_options.h"
#include "common/server/transport_security.h"

namespace CLI {
class App;
}  // namespace CLI

namespace contree {

struct SecurityFlags {
  AuthOptions auth;
  TlsFiles tls;
};

// What they fill must outlive the parsing.
void AddSecurityFlags(SecurityFlags& flags, CLI::App& app);
void AddServicesTlsFlags(TlsFiles& files, CLI::App& app);

}  // namespace contree

#endif  // COMMON_SERVER_SECURITY_FLAGS_H_
