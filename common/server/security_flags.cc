#include "common/server/security_flags.h"

#include <CLI/CLI.hpp>

namespace contree {

void AddSecurityFlags(SecurityFlags& flags, CLI::App& app) {
  app.add_option("--auth", flags.auth.mode,
                 "who may call: none (everybody who reaches this machine's loopback or socket), "
                 "keys or jwt")
      ->check(CLI::IsMember({"none", "keys", "jwt"}))
      ->envname("CONTREE_MCP_AUTH")
      ->capture_default_str();
  app.add_option("--auth-keys-file", flags.auth.keys_file,
                 "of --auth=keys: lines SHA256-OF-THE-KEY TENANT PRINCIPAL [SCOPE...]; read again "
                 "when it changes")
      ->envname("CONTREE_MCP_AUTH_KEYS_FILE");
  app.add_option("--jwt-issuer", flags.auth.jwt_issuer, "of --auth=jwt: what \"iss\" must be")
      ->envname("CONTREE_MCP_JWT_ISSUER");
  app.add_option("--jwt-audience", flags.auth.jwt_audience, "of --auth=jwt: what \"aud\" must hold")
      ->envname("CONTREE_MCP_JWT_AUDIENCE");
  app.add_option("--jwt-jwks", flags.auth.jwt_jwks,
                 "of --auth=jwt: the issuer's keys, a file or an https URL")
      ->envname("CONTREE_MCP_JWT_JWKS");
  app.add_option("--jwt-tenant-claim", flags.auth.jwt_tenant_claim,
                 "of --auth=jwt: the claim that names the tenant")
      ->envname("CONTREE_MCP_JWT_TENANT_CLAIM")
      ->capture_default_str();
  app.add_option("--tls-cert", flags.tls.certificate,
                 "certificate chain (PEM) to serve gRPC with TLS; read again when it changes")
      ->envname("CONTREE_MCP_TLS_CERT");
  app.add_option("--tls-key", flags.tls.key, "private key (PEM) of --tls-cert")
      ->envname("CONTREE_MCP_TLS_KEY");
  app.add_option("--tls-client-ca", flags.tls.authority,
                 "authority (PEM) that clients' certificates must come from (mTLS)")
      ->envname("CONTREE_MCP_TLS_CLIENT_CA");
}

void AddServicesTlsFlags(TlsFiles& files, CLI::App& app) {
  app.add_option("--services-ca", files.authority,
                 "authority (PEM) of the services' certificates: connects to HOST:PORT with TLS; "
                 "read again when it changes")
      ->envname("CONTREE_MCP_SERVICES_CA");
  app.add_option("--services-cert", files.certificate,
                 "certificate (PEM) to show to the services (mTLS)")
      ->envname("CONTREE_MCP_SERVICES_CERT");
  app.add_option("--services-key", files.key, "private key (PEM) of --services-cert")
      ->envname("CONTREE_MCP_SERVICES_KEY");
}

}  // namespace contree
