//! TCP sockets that never wait: listening, accepting, reading and writing what is possible now.
//!
//! Runs on the thread of the agent that owns the socket; opening is cold, [`receive_now`] and [`send_now`] are hot
//! and cost one system call each. Options are set on the listener because Linux hands them down to every accepted
//! socket: accepting needs no further calls. What the bytes mean is left to others.
#![allow(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

/// Options every connection of a listener gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SocketOptions {
    /// Kernel receive buffer in bytes (the kernel doubles it); 0 keeps the system's choice.
    pub receive_buffer_bytes: u32,
    /// Kernel send buffer in bytes (the kernel doubles it); 0 keeps the system's choice. What a client that does
    /// not read can pile up in the kernel before its lag is seen.
    pub send_buffer_bytes: u32,
    /// Busy-polls the network card for this many microseconds in a read; 0 is off. No effect on loopback.
    pub busy_poll_us: u32,
}

/// What a read gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// This many bytes, at least one.
    Bytes(usize),
    /// Nothing has arrived.
    Nothing,
    /// The other side is gone, in order or not.
    Closed,
}

/// What a write took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// This many bytes from the front, at least one; perhaps fewer than offered.
    Bytes(usize),
    /// The kernel's buffer is full: the other side does not read.
    Full,
    /// The other side is gone.
    Closed,
}

/// Opens a listener on `address` whose accepted sockets are without delay (Nagle off) and have `options`.
/// # Errors
/// The system's error; nothing stays open.
pub fn listen(address: SocketAddr, options: SocketOptions) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    set(&listener, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    set_unless_zero(&listener, libc::SO_RCVBUF, options.receive_buffer_bytes)?;
    set_unless_zero(&listener, libc::SO_SNDBUF, options.send_buffer_bytes)?;
    set_unless_zero(&listener, libc::SO_BUSY_POLL, options.busy_poll_us)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn set_unless_zero(socket: &TcpListener, option: i32, value: u32) -> io::Result<()> {
    if value == 0 { Ok(()) } else { set(socket, libc::SOL_SOCKET, option, value as i32) }
}

fn set(socket: &impl AsRawFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the pointer is to a live i32 and `size` is its size; the call keeps neither.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes one waiting connection, if there is one, ready for [`receive_now`] and [`send_now`].
/// # Errors
/// The system's error (too many open files, say); the listener stays usable.
pub fn accept_now(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nonblocking(true)?;
            Ok(Some(stream))
        }
        Err(error) if would_wait(&error) || error.kind() == io::ErrorKind::ConnectionAborted => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads what has arrived into `into`, without waiting. Hot: one `recv`.
#[inline]
pub fn receive_now(mut stream: &TcpStream, into: &mut [u8]) -> Received {
    match stream.read(into) {
        Ok(0) if into.is_empty() => Received::Nothing,
        Ok(0) => Received::Closed,
        Ok(count) => Received::Bytes(count),
        Err(error) if would_wait(&error) => Received::Nothing,
        Err(_) => Received::Closed,
    }
}

/// Writes as much of `bytes` as the kernel takes, without waiting and without a signal. Hot: one `send`.
#[inline]
pub fn send_now(mut stream: &TcpStream, bytes: &[u8]) -> Sent {
    match stream.write(bytes) {
        Ok(0) => Sent::Full,
        Ok(count) => Sent::Bytes(count),
        Err(error) if would_wait(&error) => Sent::Full,
        Err(_) => Sent::Closed,
    }
}

/// Ends both directions. What the kernel has already taken is still delivered.
pub fn shut(stream: &TcpStream) {
    // An error says that the other side was faster; the caller wants the same end.
    let _ = stream.shutdown(Shutdown::Both);
}

fn would_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn pair() -> (TcpStream, TcpStream) {
        let options = SocketOptions { receive_buffer_bytes: 8192, send_buffer_bytes: 8192, busy_poll_us: 0 };
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), options).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = loop {
            if let Some(server) = accept_now(&listener).unwrap() {
                break server;
            }
        };
        (client, server)
    }

    #[test]
    fn accepted_sockets_inherit_the_options_of_the_listener() {
        let (_client, server) = pair();
        assert!(server.nodelay().unwrap());
        let mut value = 0i32;
        let mut size = size_of::<i32>() as libc::socklen_t;
        // SAFETY: both pointers are to live values of the sizes the call expects.
        let result = unsafe {
            libc::getsockopt(
                server.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_SNDBUF,
                (&raw mut value).cast(),
                &raw mut size,
            )
        };
        assert_eq!((result, value), (0, 16_384), "the kernel doubles what was asked");
    }

    #[test]
    fn nothing_waits() {
        let (client, server) = pair();
        let mut buffer = [0u8; 64];
        assert_eq!(receive_now(&server, &mut buffer), Received::Nothing);
        let mut taken = 0;
        while let Sent::Bytes(count) = send_now(&server, &[7; 4096]) {
            taken += count;
            assert!(taken < 1 << 24, "a full buffer is said, not waited for");
        }
        assert_eq!(send_now(&server, &[7; 4096]), Sent::Full);
        drop(client);
    }

    #[test]
    fn a_closed_peer_is_told_apart_from_silence() {
        let (client, server) = pair();
        drop(client);
        let mut buffer = [0u8; 64];
        let result = loop {
            match receive_now(&server, &mut buffer) {
                Received::Nothing => {}
                other => break other,
            }
        };
        assert_eq!(result, Received::Closed);
    }
}
