#include "common/http/tls_server.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <climits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
constexpr unsigned char kSessionContext[] = "contree";

absl::Status Unusable(const std::string& what) {
  ERR_clear_error();
  return absl::InvalidArgumentError(what);
}

// Clients that offer protocols get HTTP/1.1, or nothing where they cannot.
int ChooseProtocol(SSL* /*session*/, const unsigned char** chosen, unsigned char* chosen_size,
                   const unsigned char* offered, unsigned int offered_size, void* /*unused*/) {
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, chosen_size, kHttp11, sizeof kHttp11, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

void TlsSession::Free::operator()(ssl_st* session) const { SSL_free(session); }

ssize_t TlsSession::Step(int result) {
  if (result > 0) return result;
  switch (SSL_get_error(session_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return kWaitToRead;
    case SSL_ERROR_WANT_WRITE:
      return kWaitToWrite;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    default:
      ERR_clear_error();
      return kBroken;
  }
}

ssize_t TlsSession::Accept() {
  ERR_clear_error();
  return Step(SSL_accept(session_.get()));
}

ssize_t TlsSession::Read(char* buffer, size_t size) {
  ERR_clear_error();
  return Step(SSL_read(session_.get(), buffer, static_cast<int>(std::min<size_t>(size, INT_MAX))));
}

ssize_t TlsSession::Write(const char* bytes, size_t size) {
  ERR_clear_error();
  return Step(SSL_write(session_.get(), bytes, static_cast<int>(std::min<size_t>(size, INT_MAX))));
}

void TlsSession::End() {
  ERR_clear_error();
  if (SSL_is_init_finished(session_.get()) == 1) SSL_shutdown(session_.get());
  ERR_clear_error();
}

void TlsServer::FreeContext::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

absl::StatusOr<TlsServer::Context> TlsServer::Load(const TlsServerFiles& files) {
  Context context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return absl::ResourceExhaustedError("no memory for TLS");
  SSL_CTX* const ssl = context.get();
  SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // A stream waits for most of its life: no buffers for it meanwhile.
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_id_context(ssl, kSessionContext, sizeof kSessionContext - 1);
  SSL_CTX_set_alpn_select_cb(ssl, ChooseProtocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(ssl, files.certificate.c_str()) != 1) {
    return Unusable(absl::StrCat(files.certificate, " cannot be read as a certificate (PEM)"));
  }
  if (SSL_CTX_use_PrivateKey_file(ssl, files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(ssl) != 1) {
    return Unusable(absl::StrCat(files.key, " is not the private key (PEM, without a pass phrase) ",
                                 "of the certificate in ", files.certificate));
  }
  if (!files.client_authority.empty()) {
    STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(files.client_authority.c_str());
    if (names == nullptr || SSL_CTX_load_verify_file(ssl, files.client_authority.c_str()) != 1) {
      sk_X509_NAME_pop_free(names, X509_NAME_free);
      return Unusable(absl::StrCat(files.client_authority, " holds no certificates (PEM)"));
    }
    SSL_CTX_set_client_CA_list(ssl, names);  // takes them
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

absl::Status TlsServer::Reload() {
  ASSIGN_OR_RETURN(Context loaded, Load(files_));
  const absl::MutexLock lock(&mutex_);
  context_ = std::move(loaded);  // sessions hold on to the one that they were made of
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<TlsServer>> TlsServer::Open(const TlsServerFiles& files) {
  if (files.certificate.empty() || files.key.empty()) {
    return absl::InvalidArgumentError(
        "TLS takes a certificate and its private key: name both files");
  }
  std::shared_ptr<TlsServer> server(new TlsServer(files));
  for (const std::string& path : {files.certificate, files.key, files.client_authority}) {
    if (path.empty()) continue;
    // Of a certificate and a key that are exchanged one after the other, the first alone fits
    // nothing: it is logged, and the second makes both count.
    ASSIGN_OR_RETURN(std::unique_ptr<ReloadedFile> watched,
                     ReloadedFile::Open(path, kMaxFileBytes,
                                        [server = server.get()](const std::string& /*content*/) {
                                          return server->Reload();
                                        }));
    server->watched_.push_back(std::move(watched));
  }
  return server;
}

std::unique_ptr<TlsSession> TlsServer::NewSession(int socket) const {
  SSL* session = nullptr;
  {
    const absl::MutexLock lock(&mutex_);
    session = SSL_new(context_.get());
  }
  if (session == nullptr) {
    ERR_clear_error();
    return nullptr;
  }
  auto owned = std::make_unique<TlsSession>(session);
  if (SSL_set_fd(session, socket) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  return owned;
}

}  // namespace contree
