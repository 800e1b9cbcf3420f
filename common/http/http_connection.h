#ifndef COMMON_HTTP_HTTP_CONNECTION_H_
#define COMMON_HTTP_HTTP_CONNECTION_H_

// One accepted connection, with TLS or without, as cpp-httplib's parser reads and writes it, with
// bounds that the library does not have: on the bytes of a request's head and on the time of each
// read and write.
//
// Used by the connection's own thread, except Shutdown, which any thread may call while the object
// lives.

#include <httplib.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "common/files/unique_fd.h"
#include "common/http/tls_server.h"

namespace contree {

class HttpConnection final : public httplib::Stream {
 public:
  // `tls` null: without. With it, HandShake comes first, and `tls` must outlive this.
  explicit HttpConnection(UniqueFd socket, const TlsServer* tls = nullptr);

  // False: the peer speaks no TLS (it is told so, where it speaks HTTP), has no certificate that is
  // asked for, or has not been done within `timeout_ms`.
  bool HandShake(int timeout_ms);
  bool is_tls() const { return tls_ != nullptr; }
  // Waits for the first byte of the next request. False: the peer closed, nothing came for
  // `timeout_ms`, or Shutdown.
  bool WaitForRequest(int timeout_ms);
  // The head of a request begins: at most so many bytes until HeadIsRead, or reading fails.
  void LimitHead(size_t max_bytes) { head_bytes_left_ = max_bytes; }
  void HeadIsRead() { head_bytes_left_ = SIZE_MAX; }

  // What is written next waits for what is written after it, and leaves in one piece with that.
  void HoldNextWrite() { holds_ = true; }
  // Sends what still waits. False: the peer is gone.
  bool Flush();

  // Whether the peer still holds its end open.
  bool PeerIsThere() const;
  // Ends reading, also one that waits now; what is being written may still finish.
  void Shutdown();
  // Says that no more comes and reads what the peer still sends, for a moment: closing a socket
  // with unread bytes would reset it and could lose the answer on its way.
  void CloseGently();
  // Takes the socket away: afterwards this is as one whose peer closed.
  struct Parts {
    UniqueFd socket;
    std::unique_ptr<TlsSession> tls;  // null: without
  };
  Parts Release() { return {std::move(socket_), std::move(tls_)}; }

  const std::string& peer_address() const { return peer_address_; }

  // httplib::Stream
  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* buffer, size_t size) override;
  ssize_t write(const char* bytes, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_.get(); }

 private:
  // Without waiting: how many bytes, 0: the peer has ended, or what TlsSession says besides.
  ssize_t TryRead(char* buffer, size_t size);
  ssize_t TryWrite(const char* bytes, size_t size);
  // What has come, into the empty buffer; -1 also where nothing came in time.
  ssize_t Fill(int timeout_ms);
  ssize_t SendSome(const char* bytes, size_t size);

  UniqueFd socket_;
  std::unique_ptr<TlsSession> tls_;  // null: without
  std::string peer_address_;
  int peer_port_ = 0;
  size_t head_bytes_left_ = SIZE_MAX;
  char buffer_[8192];
  size_t buffer_begin_ = 0;
  size_t buffer_end_ = 0;
  bool holds_ = false;
  std::string held_;
};

}  // namespace contree

#endif  // COMMON_HTTP_HTTP_CONNECTION_H_
