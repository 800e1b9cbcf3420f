#ifndef LOCAL_BACKEND_SANDBOX_NETWORK_ADDRESSES_H_
#define LOCAL_BACKEND_SANDBOX_NETWORK_ADDRESSES_H_

namespace contree {

// What a sandbox with a way out sees; the same in each, as nothing leads from one to another.
inline constexpr char kTapName[] = "eth0";
inline constexpr char kGuestAddress[] = "10.0.2.15";
inline constexpr int kGuestPrefixLength = 24;
inline constexpr char kGatewayAddress[] = "10.0.2.2";
inline constexpr char kNameserverAddress[] = "10.0.2.3";
inline constexpr int kTapMtu = 65'520;

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_NETWORK_ADDRESSES_H_
