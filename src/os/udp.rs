//! Sockets for datagrams: multicast out, multicast in, and plain unicast, all non-blocking.
//!
//! The standard library opens, sends and joins, but it cannot share a port between listeners, choose the interface
//! multicast leaves by, or size the receive buffer. Those few calls are here. Everything is cold and done at start;
//! afterwards the owner of a socket uses the standard type.

#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// How multicast datagrams leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MulticastOut {
    /// Address of the interface they leave by.
    pub interface: Ipv4Addr,
    /// Routers they may pass: 0 stays on the host, 1 on the network.
    pub ttl: u32,
    /// Whether listeners on this host hear them too.
    pub loopback: bool,
}

/// A socket connected to `destination`, from an ephemeral port. Connected, because the kernel then looks the route up
/// once and not at each datagram. `out` matters only when `destination` is an IPv4 multicast group; any unicast address
/// will do as well, for networks that carry no multicast.
/// # Errors
/// What the system says.
pub fn sender(destination: SocketAddr, out: MulticastOut) -> io::Result<UdpSocket> {
    let socket = match destination {
        SocketAddr::V4(to) if to.ip().is_multicast() => {
            let socket = UdpSocket::bind(SocketAddrV4::new(out.interface, 0))?;
            let interface = in_addr(out.interface);
            set_option(&socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &interface)?;
            socket.set_multicast_ttl_v4(out.ttl)?;
            socket.set_multicast_loop_v4(out.loopback)?;
            socket
        }
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
        SocketAddr::V6(_) => UdpSocket::bind((std::net::Ipv6Addr::UNSPECIFIED, 0))?,
    };
    socket.connect(destination)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket that hears `group`. A multicast group is joined on `interface` and its port shared with other listeners
/// of this host; it is bound to the group itself, so that nothing else sent to the port arrives. Any other address
/// is simply bound. `buffer_bytes` asks for room for a burst; the system may cap it.
/// # Errors
/// What the system says.
pub fn listener(group: SocketAddrV4, interface: Ipv4Addr, buffer_bytes: usize) -> io::Result<UdpSocket> {
    let socket = if group.ip().is_multicast() {
        let socket = unbound_v4()?;
        let on: libc::c_int = 1;
        set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, &on)?;
        bind_v4(&socket, group)?;
        socket.join_multicast_v4(group.ip(), &interface)?;
        // Only groups this socket joined itself: the default also takes what others on the host joined.
        let off: libc::c_int = 0;
        set_option(&socket, libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, &off)?;
        socket
    } else {
        UdpSocket::bind(group)?
    };
    receive_buffer(&socket, buffer_bytes)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket at `address` for requests and answers.
/// # Errors
/// What the system says.
pub fn unicast(address: SocketAddr, buffer_bytes: usize) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    receive_buffer(&socket, buffer_bytes)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn receive_buffer(socket: &UdpSocket, bytes: usize) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes)
}

fn unbound_v4() -> io::Result<UdpSocket> {
    // SAFETY: the call takes no pointers; its result is checked below.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was just opened, so that it is valid and nobody else owns it.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(UdpSocket::from(owned))
}

fn bind_v4(socket: &UdpSocket, address: SocketAddrV4) -> io::Result<()> {
    let raw = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: in_addr(*address.ip()),
        sin_zero: [0; 8],
    };
    let bytes = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: the pointer is to a live `sockaddr_in` of exactly `bytes` bytes, which the call only reads.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const raw).cast(), bytes) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `T` is the C type the option is documented with.
fn set_option<T: Copy>(socket: &UdpSocket, level: i32, name: i32, value: &T) -> io::Result<()> {
    let bytes = size_of::<T>() as libc::socklen_t;
    let value: *const T = value;
    // SAFETY: the pointer is to a live `T` of exactly `bytes` bytes, which the call only reads.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.cast(), bytes) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Addresses stand in network order in memory, whatever the machine's.
fn in_addr(address: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const OUT: MulticastOut = MulticastOut { interface: Ipv4Addr::LOCALHOST, ttl: 0, loopback: true };

    /// What `from` sends until something arrives at `to`, at most for some seconds.
    fn arrives(from: &UdpSocket, to: &UdpSocket) -> bool {
        to.set_nonblocking(false).unwrap();
        to.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut bytes = [0; 16];
        (0..25).any(|_| from.send(b"hello").is_ok() && to.recv(&mut bytes).is_ok_and(|n| &bytes[..n] == b"hello"))
    }

    #[test]
    fn a_unicast_destination_serves_where_multicast_does_not() {
        let to = listener(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0), Ipv4Addr::LOCALHOST, 1 << 16).unwrap();
        let from = sender(to.local_addr().unwrap(), OUT).unwrap();
        assert!(arrives(&from, &to));
    }

    #[test]
    fn two_listeners_on_this_host_hear_the_same_group() {
        // A port nobody uses now, taken from an ephemeral bind: groups are shared, so a fixed one could collide.
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let group = SocketAddrV4::new(Ipv4Addr::new(239, 255, 71, 1), port);
        let Ok(first) = listener(group, Ipv4Addr::LOCALHOST, 1 << 16) else {
            return eprintln!("this host lets nobody join a group on the loopback interface");
        };
        let second = listener(group, Ipv4Addr::LOCALHOST, 1 << 16).unwrap();
        let from = sender(group.into(), OUT).unwrap();
        assert!(arrives(&from, &first));
        assert!(arrives(&from, &second));
    }
}
