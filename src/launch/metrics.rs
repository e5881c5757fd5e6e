//! What a running exchange shows of itself as Prometheus text, over HTTP, for whoever asks. Cold.
//!
//! One agent among the cold ones: it takes a connection, reads a request of bounded length, answers and closes. It
//! reads the same mapped files that `pitlane top` maps, and the hot threads know nothing of it. What is slow or too long is
//! dropped; so many connections wait at once as the table has places. No authentication: it listens where the
//! configuration says, by default nowhere, and tells counts, names of logins and accounts, and the touch.

use super::LaunchFault;
use super::endpoints::Endpoints;
use super::prometheus;
use crate::os::clock::Clock;
use crate::runtime::agent::Agent;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Connections served at once.
const CLIENTS_MAX: usize = 8;
/// A request is its first line and some headers.
const REQUEST_BYTES_MAX: usize = 8_192;
/// Who has not asked, or not taken the answer, after so long is dropped.
const PATIENCE_NS: u64 = 5_000_000_000;

struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    /// What is left to send, and whether it has been made.
    answer: Option<Vec<u8>>,
    since_ns: u64,
}

/// The agent.
pub struct Metrics<C> {
    listener: TcpListener,
    clients: Vec<Client>,
    endpoints: Endpoints,
    clock: C,
}

impl<C: Clock + Send> Metrics<C> {
    /// Listens. `clock` does not go back.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(listen: SocketAddr, endpoints: Endpoints, clock: C) -> Result<Metrics<C>, LaunchFault> {
        let fault = || LaunchFault::system("listening for metrics on", listen);
        let listener = TcpListener::bind(listen).map_err(fault())?;
        listener.set_nonblocking(true).map_err(fault())?;
        Ok(Metrics { listener, clients: Vec::with_capacity(CLIENTS_MAX), endpoints, clock })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn accept(&mut self, now: u64) -> usize {
        let mut taken = 0;
        while self.clients.len() < CLIENTS_MAX
            && let Ok((stream, _)) = self.listener.accept()
        {
            taken += 1;
            if stream.set_nonblocking(true).is_ok() {
                self.clients.push(Client { stream, request: Vec::new(), answer: None, since_ns: now });
            }
        }
        taken
    }
}

/// An answer whole.
fn answer(status: &str, body: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// What the first line of a whole request asks for; `None` while it is not whole.
fn wanted(request: &[u8]) -> Option<Result<(), &'static str>> {
    let ended = request.windows(4).any(|four| four == b"\r\n\r\n") || request.windows(2).any(|two| two == b"\n\n");
    if !ended {
        return (request.len() >= REQUEST_BYTES_MAX).then_some(Err("431 Request Header Fields Too Large"));
    }
    let line = request.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ');
    Some(match (words.next(), words.next()) {
        (Some(b"GET"), Some(b"/metrics" | b"/")) => Ok(()),
        (Some(b"GET"), _) => Err("404 Not Found"),
        _ => Err("405 Method Not Allowed"),
    })
}

impl<C: Clock + Send> Agent for Metrics<C> {
    fn name(&self) -> &str {
        "metrics"
    }

    fn work(&mut self) -> usize {
        let now = self.clock.now();
        let mut done = self.accept(now);
        let mut clients = std::mem::take(&mut self.clients);
        clients.retain_mut(|client| {
            if now.saturating_sub(client.since_ns) > PATIENCE_NS {
                return false;
            }
            if client.answer.is_none() {
                let mut bytes = [0; 1_024];
                match client.stream.read(&mut bytes) {
                    Ok(0) => return false,
                    Ok(count) => client.request.extend_from_slice(&bytes[..count]),
                    Err(fault) if fault.kind() == ErrorKind::WouldBlock => return true,
                    Err(_) => return false,
                }
                done += 1;
                client.answer = wanted(&client.request).map(|wanted| match wanted {
                    Ok(()) => answer("200 OK", &prometheus::text(&self.endpoints, now)),
                    Err(status) => answer(status, ""),
                });
            }
            let Some(left) = &mut client.answer else { return true };
            match client.stream.write(left) {
                Ok(count) => drop(left.drain(..count)),
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
            !left.is_empty()
        });
        self.clients = clients;
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::clock::ManualClock;
    use crate::runtime::counters::Counters;

    fn ask(metrics: &mut Metrics<ManualClock>, request: &[u8]) -> String {
        let mut client = TcpStream::connect(metrics.address().unwrap()).unwrap();
        client.write_all(request).unwrap();
        client.set_nonblocking(true).unwrap();
        let (mut said, mut bytes) = (Vec::new(), [0; 4_096]);
        loop {
            metrics.work();
            match client.read(&mut bytes) {
                Ok(0) => return String::from_utf8(said).unwrap(),
                Ok(count) => said.extend_from_slice(&bytes[..count]),
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                // It closed with something of ours unread.
                Err(_) => return String::from_utf8(said).unwrap(),
            }
        }
    }

    #[test]
    fn the_figures_are_told_and_everything_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let endpoints = Endpoints::of_files(directory.path());
        let mut counters = Counters::create(&endpoints.counters, 2).unwrap();
        counters.add("gateway.messages_in").add(42);
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut metrics = Metrics::open(listen, endpoints, ManualClock::default()).unwrap();
        let said = ask(&mut metrics, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(
            said.starts_with("HTTP/1.1 200 OK\r\n") && said.contains("\npitlane_gateway_messages_in 42\n"),
            "{said}"
        );
        assert!(ask(&mut metrics, b"GET /secrets HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(ask(&mut metrics, b"POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert!(ask(&mut metrics, &vec![b'x'; REQUEST_BYTES_MAX]).starts_with("HTTP/1.1 431"));
    }

    #[test]
    fn who_says_nothing_is_dropped_and_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut metrics = Metrics::open(listen, Endpoints::of_files(directory.path()), ManualClock::default()).unwrap();
        let silent: Vec<TcpStream> =
            (0..CLIENTS_MAX).map(|_| TcpStream::connect(metrics.address().unwrap()).unwrap()).collect();
        while metrics.clients.len() < CLIENTS_MAX {
            metrics.work();
        }
        metrics.clock.now_ns += PATIENCE_NS + 1;
        metrics.work();
        assert!(metrics.clients.is_empty());
        drop(silent);
        assert!(ask(&mut metrics, b"GET / HTTP/1.0\n\n").starts_with("HTTP/1.1 200"));
    }
}
