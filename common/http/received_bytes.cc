#include "common/http/received_bytes.h"

// Not <netinet/tcp.h>, whose tcp_info ends before the counts.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace contree {

uint64_t ReceivedBytes(int socket) {
  tcp_info info = {};
  socklen_t size = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_bytes_received;
}

}  // namespace contree
