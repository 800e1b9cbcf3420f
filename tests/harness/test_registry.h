#ifndef TESTS_HARNESS_TEST_REGISTRY_H_
#define TESTS_HARNESS_TEST_REGISTRY_H_

// Debian's docker-registry on a free port of loopback, with the authentication that a test wants,
// and images pushed into it with skopeo. Used by one thread.

#include <memory>
#include <string>
#include <vector>

#include "common/testing/temp_directory.h"
#include "tests/harness/certificates.h"
#include "tests/harness/oci_image.h"
#include "tests/harness/server_process.h"
#include "tests/harness/token_issuer.h"

namespace contree::testing_harness {

struct TestRegistryOptions {
  enum class Access { kOpen, kPassword, kToken };
  Access access = Access::kOpen;  // else it knows kUser with kPassword
  bool tls = false;
  TokenIssuerOptions issuer = {};  // with kToken
};

enum class ManifestKind { kOci, kDocker };

class TestRegistry {
 public:
  // Starts it; a failure ends the program.
  explicit TestRegistry(const TestRegistryOptions& options = {});

  std::string host() const { return host_; }  // "127.0.0.1:PORT"
  // Of the authority of its certificate, with TLS.
  std::string ca_file() const { return directory_.File("ca.pem"); }
  TokenIssuer& issuer() { return *issuer_; }

  // Pushes; the reference, "127.0.0.1:PORT/NAME:TAG".
  std::string Push(const std::string& name_and_tag, const std::vector<TestImage>& images,
                   ManifestKind kind = ManifestKind::kOci);

  // Everything that it wrote, its access log too.
  std::string Log() { return process_->Output(); }

 private:
  const TestRegistryOptions options_;
  const TempDirectory directory_;
  std::unique_ptr<TokenIssuer> issuer_;
  std::unique_ptr<ServerProcess> process_;
  std::string host_;
  int layouts_ = 0;
};

// busybox in one layer, gzipped.
TestImage BusyboxImage(absl::string_view motd = "hello\n");

}  // namespace contree::testing_harness

#endif  // TESTS_HARNESS_TEST_REGISTRY_H_
