#ifndef COMMON_HTTP_HTTP_CONNECTION_H_
#define COMMON_HTTP_HTTP_CONNECTION_H_

// One accepted connection as cpp-httplib's parser reads and writes it, with bounds that the library
// does not have: on the bytes of a request's head and on the time of each read and write.
//
// Used by the connection's own thread, except Shutdown, which any thread may call while the object
// lives.

#include <httplib.h>

#include <cstddef>
#include <string>
#include <utility>

#include "common/files/unique_fd.h"

namespace contree {

class HttpConnection final : public httplib::Stream {
 public:
  explicit HttpConnection(UniqueFd socket);

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
  UniqueFd Release() { return std::move(socket_); }

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
  // What has come, into the empty buffer, without waiting: as recv(2).
  ssize_t Fill();
  ssize_t SendSome(const char* bytes, size_t size);

  UniqueFd socket_;
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
