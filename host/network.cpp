#include "host/network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "host/bench.h"

namespace doorbell::host {
namespace {

File namespace_of_this_thread() {
    File file(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (*file < 0) skip_errno("/proc/thread-self/ns/net");
    return file;
}

/// One rtnetlink request (rtnetlink(7), netlink(7)): header, body, attributes; sent and
/// acknowledged.
class LinkRequest {
  public:
    template <class Body>
    LinkRequest(uint16_t type, uint16_t flags, const Body& body) {
        header()->nlmsg_type = type;
        header()->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
        header()->nlmsg_len = NLMSG_LENGTH(sizeof body);
        std::memcpy(NLMSG_DATA(header()), &body, sizeof body);
    }
    void attribute(uint16_t type, const void* data, size_t length) {
        auto* attribute = reinterpret_cast<rtattr*>(tail());
        attribute->rta_type = type;
        attribute->rta_len = static_cast<uint16_t>(RTA_LENGTH(length));
        if (length != 0) std::memcpy(RTA_DATA(attribute), data, length);
        header()->nlmsg_len =
            NLMSG_ALIGN(header()->nlmsg_len) + static_cast<uint32_t>(RTA_ALIGN(attribute->rta_len));
    }
    void text(uint16_t type, const std::string& value) {
        attribute(type, value.c_str(), value.size() + 1);
    }
    void number(uint16_t type, uint32_t value) { attribute(type, &value, sizeof value); }
    /// Opens an attribute that holds others; close() it. `body` bytes come first inside.
    char* open_nest(uint16_t type, const void* body = nullptr, size_t length = 0) {
        char* at = tail();
        attribute(type, body, length);
        return at;
    }
    void close_nest(char* at) {
        reinterpret_cast<rtattr*>(at)->rta_len = static_cast<uint16_t>(tail() - at);
    }

    void send(const std::string& what) {
        File socket_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
        if (*socket_ < 0) skip_errno("a netlink socket");
        if (::send(*socket_, bytes_, header()->nlmsg_len, 0) < 0) skip_errno(what);
        alignas(nlmsghdr) char answer[8192];
        ssize_t length = recv(*socket_, answer, sizeof answer, 0);
        if (length < 0) skip_errno(what);
        auto* reply = reinterpret_cast<nlmsghdr*>(answer);
        if (reply->nlmsg_type != NLMSG_ERROR)
            throw Wrong(what + ": the kernel gave an unexpected answer");
        errno = -static_cast<nlmsgerr*>(NLMSG_DATA(reply))->error;
        if (errno != 0) skip_errno(what);
    }

  private:
    nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_); }
    char* tail() { return bytes_ + NLMSG_ALIGN(header()->nlmsg_len); }
    alignas(nlmsghdr) char bytes_[1024] = {};
};

int index_of(const std::string& name) {
    unsigned index = if_nametoindex(name.c_str());
    if (index == 0) skip_errno("no interface " + name);
    return static_cast<int>(index);
}

}  // namespace

NetworkNamespace::NetworkNamespace() : before_(namespace_of_this_thread()) {
    if (unshare(CLONE_NEWNET) != 0)
        skip_errno("a network namespace of its own needs CAP_SYS_ADMIN (root)");
    inside_ = namespace_of_this_thread();
    set_up("lo");
}

NetworkNamespace::~NetworkNamespace() { leave(); }
void NetworkNamespace::enter() const {
    if (setns(*inside_, CLONE_NEWNET) != 0) skip_errno("setns");
}
void NetworkNamespace::leave() const { (void)setns(*before_, CLONE_NEWNET); }

void add_veth(const std::string& name, const std::string& peer_name, int peer_namespace) {
    ifinfomsg link{};
    LinkRequest request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, link);
    request.text(IFLA_IFNAME, name);
    char* info = request.open_nest(IFLA_LINKINFO);
    request.attribute(IFLA_INFO_KIND, "veth", 4);
    char* data = request.open_nest(IFLA_INFO_DATA);
    char* peer = request.open_nest(VETH_INFO_PEER, &link, sizeof link);
    request.text(IFLA_IFNAME, peer_name);
    request.number(IFLA_NET_NS_FD, static_cast<uint32_t>(peer_namespace));
    request.close_nest(peer);
    request.close_nest(data);
    request.close_nest(info);
    request.send("making a veth pair");
}

void move_link(const std::string& name, int to_namespace) {
    ifinfomsg link{};
    link.ifi_index = index_of(name);
    LinkRequest request(RTM_NEWLINK, 0, link);
    request.number(IFLA_NET_NS_FD, static_cast<uint32_t>(to_namespace));
    request.send("moving " + name);
}

void set_up(const std::string& name) {
    ifinfomsg link{};
    link.ifi_index = index_of(name);
    link.ifi_flags = IFF_UP;
    link.ifi_change = IFF_UP;
    LinkRequest(RTM_NEWLINK, 0, link).send("setting " + name + " up");
}

void add_address(const std::string& name, uint32_t address, unsigned prefix) {
    ifaddrmsg message{};
    message.ifa_family = AF_INET;
    message.ifa_prefixlen = static_cast<uint8_t>(prefix);
    message.ifa_index = static_cast<uint32_t>(index_of(name));
    LinkRequest request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, message);
    request.number(IFA_LOCAL, htonl(address));
    request.number(IFA_ADDRESS, htonl(address));
    request.send("an address for " + name);
}

void add_neighbour(const std::string& name, uint32_t address, const uint8_t* mac) {
    ndmsg message{};
    message.ndm_family = AF_INET;
    message.ndm_ifindex = index_of(name);
    message.ndm_state = NUD_PERMANENT;
    LinkRequest request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, message);
    request.number(NDA_DST, htonl(address));
    request.attribute(NDA_LLADDR, mac, 6);
    request.send("a neighbour for " + name);
}

void mac_of(const std::string& name, uint8_t* mac) {
    File any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    if (ioctl(*any, SIOCGIFHWADDR, &request) != 0) skip_errno("the hardware address of " + name);
    std::memcpy(mac, request.ifr_hwaddr.sa_data, 6);
}

std::string link_of_driver(const std::string& driver) {
    namespace fs = std::filesystem;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator("/sys/class/net", error))
        if (fs::read_symlink(entry.path() / "device/driver", error).filename() == driver)
            return entry.path().filename();
    return {};
}

}  // namespace doorbell::host
