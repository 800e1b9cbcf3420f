#include "local-backend/control_socket.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace contree {
namespace {

// The client that started the backend must get its chance to connect.
constexpr absl::Duration kFirstLinger = absl::Seconds(10);
constexpr uint64_t kWake = 1;
constexpr uint64_t kEnd = uint64_t{1} << 32;

void Add(int event_fd, uint64_t amount) {
  // Cannot fail: the counter never comes near its limit.
  [[maybe_unused]] const ssize_t written = write(event_fd, &amount, sizeof amount);
}

// Whether the client is still there. What it sends has no meaning.
bool IsAlive(int fd) {
  char dropped[256];
  const ssize_t got = recv(fd, dropped, sizeof dropped, MSG_DONTWAIT);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControlSocket>> ControlSocket::Open(Options options) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (options.path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError(
        absl::StrCat("the path of a unix socket is too long: ", options.path));
  }
  memcpy(address.sun_path, options.path.c_str(), options.path.size());
  UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.is_open()) return absl::ErrnoToStatus(errno, "socket");
  unlink(options.path.c_str());  // of a backend that died: who holds the lock is alone
  // Nobody connects between bind and chmod: before listen, nobody can.
  if (bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      chmod(options.path.c_str(), 0600) != 0 || listen(listener.get(), 128) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot listen on ", options.path));
  }
  UniqueFd wake(eventfd(0, EFD_CLOEXEC));
  if (!wake.is_open()) return absl::ErrnoToStatus(errno, "eventfd");
  std::unique_ptr<ControlSocket> control(
      new ControlSocket(std::move(options), std::move(listener), std::move(wake)));
  control->thread_ = std::thread([raw = control.get()] { raw->Loop(); });
  return control;
}

ControlSocket::ControlSocket(Options options, UniqueFd listener, UniqueFd wake)
    : options_(std::move(options)), listener_(std::move(listener)), wake_(std::move(wake)) {}

ControlSocket::~ControlSocket() { Stop(); }

void ControlSocket::OnIdle() { Add(wake_.get(), kWake); }

void ControlSocket::Stop() {
  if (!thread_.joinable()) return;
  unlink(options_.path.c_str());
  Add(wake_.get(), kEnd);
  thread_.join();
}

void ControlSocket::Loop() {
  std::vector<UniqueFd> clients;
  absl::Duration linger = std::max(options_.linger, kFirstLinger);
  absl::Time unneeded_since = absl::Now();
  bool told = false;
  while (true) {
    const absl::Time now = absl::Now();
    if (!clients.empty() || options_.is_busy()) unneeded_since = absl::InfiniteFuture();
    if (clients.empty() && unneeded_since == absl::InfiniteFuture() && !options_.is_busy())
      unneeded_since = now;
    int timeout_ms = -1;
    if (!told && unneeded_since != absl::InfiniteFuture()) {
      const absl::Duration left = unneeded_since + linger - now;
      if (left <= absl::ZeroDuration()) {
        told = true;
        options_.on_unneeded();
        continue;
      }
      timeout_ms = static_cast<int>(absl::ToInt64Milliseconds(left)) + 1;
    }
    std::vector<pollfd> entries = {{.fd = listener_.get(), .events = POLLIN, .revents = 0},
                                   {.fd = wake_.get(), .events = POLLIN, .revents = 0}};
    for (const UniqueFd& client : clients)
      entries.push_back({.fd = client.get(), .events = POLLIN, .revents = 0});
    if (poll(entries.data(), entries.size(), timeout_ms) < 0) continue;
    if (entries[1].revents != 0) {
      uint64_t count = 0;
      if (read(wake_.get(), &count, sizeof count) == sizeof count && count >= kEnd) return;
    }
    std::vector<UniqueFd> alive;
    for (size_t i = 0; i < clients.size(); ++i) {
      if (entries[i + 2].revents == 0 || IsAlive(clients[i].get()))
        alive.push_back(std::move(clients[i]));
    }
    clients = std::move(alive);
    if (entries[0].revents != 0) {
      UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      const std::string& greeting = options_.greeting;
      if (client.is_open() &&
          send(client.get(), greeting.data(), greeting.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
              static_cast<ssize_t>(greeting.size())) {
        clients.push_back(std::move(client));
        linger = options_.linger;
        unneeded_since = absl::InfiniteFuture();
      }
    }
  }
}

}  // namespace contree
