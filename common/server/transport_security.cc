#include "common/server/transport_security.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

using grpc::experimental::FileWatcherCertificateProvider;

constexpr unsigned kLookEverySeconds = 2;

absl::Status Unusable(const std::string& what) {
  ERR_clear_error();
  return absl::InvalidArgumentError(what);
}

// gRPC itself finds out what is wrong with files only when somebody connects.
absl::Status Check(const TlsFiles& files) {
  if (files.certificate.empty() != files.key.empty()) {
    return absl::InvalidArgumentError(
        "a TLS certificate and its private key belong together: name both files");
  }
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_method()),
                                                                  SSL_CTX_free);
  if (!files.certificate.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1) {
      return Unusable(absl::StrCat(files.certificate, " cannot be read as a certificate (PEM)"));
    }
    if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context.get()) != 1) {
      return Unusable(absl::StrCat(files.key,
                                   " is not the private key (PEM, without a pass phrase) ",
                                   "of the certificate in ", files.certificate));
    }
  }
  if (!files.authority.empty() &&
      SSL_CTX_load_verify_file(context.get(), files.authority.c_str()) != 1) {
    return Unusable(absl::StrCat(files.authority, " holds no certificates (PEM)"));
  }
  return absl::OkStatus();
}

std::shared_ptr<FileWatcherCertificateProvider> Watch(const TlsFiles& files) {
  return std::make_shared<FileWatcherCertificateProvider>(files.key, files.certificate,
                                                          files.authority, kLookEverySeconds);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> TlsServerCredentialsOf(
    const TlsFiles& files) {
  if (files.certificate.empty()) {
    return absl::InvalidArgumentError("TLS takes a certificate: --tls-cert and --tls-key");
  }
  RETURN_IF_ERROR(Check(files));
  grpc::experimental::TlsServerCredentialsOptions options(Watch(files));
  options.watch_identity_key_cert_pairs();
  if (!files.authority.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsChannelCredentialsOf(
    const TlsFiles& files) {
  RETURN_IF_ERROR(Check(files));
  grpc::experimental::TlsChannelCredentialsOptions options;
  if (!files.empty()) options.set_certificate_provider(Watch(files));
  if (!files.authority.empty()) options.watch_root_certs();
  if (!files.certificate.empty()) options.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace contree
