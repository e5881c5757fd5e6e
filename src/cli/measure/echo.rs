//! The other side of a floor: a copy of this program that sends back what it gets, on the exchange's core.
//!
//! Over rings it is the client library's own echo. Over TCP it serves with the network engine that the exchange uses,
//! so that the quotient of the two leaves only what Pitlane adds. It ends when its parent does.

use crate::cli::{Failure, Outcome};
use crate::client::floor;
use crate::gateway::net::{Engine, Happened, Network, Received, Sent, SocketOptions, listen, open};
use crate::measure::floor::{LONGER_BYTES, TCP_BYTES};
use crate::os::{affinity, signal};
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Tells the copy to be a TCP echo: `engine:connections:parent`.
const ASK: &str = "PITLANE_TCP_ECHO";
/// Turns between two looks at whether the parent is there.
const TURNS_A_LOOK: u32 = 1 << 20;

/// The copy's way of life.
///
/// # Errors
/// It was not started by `measure`, or the machine refuses a core, memory or a socket.
pub fn main() -> Outcome {
    let fault = |e: io::Error| Failure::Fault(format!("serving as an echo: {e}"));
    pin_last().map_err(fault)?;
    if floor::echo_if_asked().map_err(fault)? || tcp_if_asked().map_err(fault)? {
        return Ok(());
    }
    Err(Failure::Usage("`pitlane echo` is started by `pitlane measure`".to_owned()))
}

/// Pins the calling thread to the last core allowed: the exchange's, where its agents share one.
fn pin_last() -> io::Result<()> {
    affinity::devices_first()?.last().map_or(Ok(()), |&core| affinity::pin(core))
}

fn tcp_if_asked() -> io::Result<bool> {
    let Ok(ask) = std::env::var(ASK) else { return Ok(false) };
    let parts: Vec<&str> = ask.split(':').collect();
    let [engine, connections, parent] = parts[..] else { return Err(ErrorKind::InvalidInput.into()) };
    let engine = if engine == "plain" { Engine::Plain } else { Engine::Uring };
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), SocketOptions::default())?;
    println!("{}", listener.local_addr()?.port());
    let connections = connections.parse().map_err(io::Error::other)?;
    let (mut network, choice) = open(listener, engine, connections as u32);
    if choice.uring != (engine == Engine::Uring) {
        return Err(io::Error::other(choice.to_string()));
    }
    network.start()?;
    let parent = format!("/proc/{parent}");
    let mut buffer = [0; 4096];
    let mut places = vec![Place::default(); connections];
    let answers = [0x5A; 8 * 4096];
    for turn in 0u32.. {
        if turn.is_multiple_of(TURNS_A_LOOK) && !Path::new(&parent).exists() {
            break;
        }
        network.turn();
        while let Some(happened) = network.next() {
            let Happened::Readable(id) = happened else { continue };
            match network.receive(id, &mut buffer) {
                Received::Bytes(count) => {
                    let bytes = places[id.index()].take(count);
                    // As much as the floor's window lets come fits a socket; a floor that is out of step measures nothing.
                    if bytes > 0 && network.send(id, &answers[..bytes]) != Sent::Bytes(bytes) {
                        return Err(ErrorKind::WriteZero.into());
                    }
                }
                Received::Nothing => {}
                Received::Closed => {
                    places[id.index()] = Place::default();
                    network.close(id);
                }
            }
        }
        std::hint::spin_loop();
    }
    Ok(true)
}

/// Where a connection stands in its order and cancel, which come in turn.
#[derive(Clone, Copy, Default)]
struct Place {
    kind: usize,
    bytes: usize,
}

impl Place {
    /// So many bytes came; gives how many go back: those of the messages that are whole now, each [`LONGER_BYTES`] more.
    fn take(&mut self, mut count: usize) -> usize {
        let mut back = 0;
        while count > 0 {
            let whole = TCP_BYTES[self.kind];
            let step = count.min(whole - self.bytes);
            self.bytes += step;
            count -= step;
            if self.bytes == whole {
                back += whole + LONGER_BYTES;
                *self = Place { kind: 1 - self.kind, bytes: 0 };
            }
        }
        back
    }
}

/// A TCP echo as a process.
pub struct TcpEcho {
    process: Child,
    address: SocketAddr,
}

impl TcpEcho {
    /// Starts `program echo`; it serves so many connections with `plain` or `io_uring`.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(mut program: Command, engine: &str, connections: usize) -> io::Result<TcpEcho> {
        program.env(ASK, format!("{engine}:{connections}:{}", std::process::id()));
        let mut process = program.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let words = process.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let read = BufReader::new(words).read_line(&mut line);
        let mut echo = TcpEcho { process, address: (Ipv4Addr::LOCALHOST, 0).into() };
        read?;
        let port: u16 = line.trim().parse().map_err(|_| io::Error::other("the echo did not start"))?;
        echo.address.set_port(port);
        signal::halt(echo.id())?;
        Ok(echo)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for TcpEcho {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_as_many_as_messages_however_their_bytes_come() {
        let [order, cancel] = TCP_BYTES;
        let both = order + cancel + 2 * LONGER_BYTES;
        for pieces in [vec![order, cancel], vec![order + cancel], vec![1, order - 1 + 3, cancel - 3], vec![1; 64]] {
            let mut place = Place::default();
            assert_eq!(pieces.iter().map(|&count| place.take(count)).sum::<usize>(), both, "{pieces:?}");
            assert_eq!((place.kind, place.bytes), (0, 0));
        }
        assert_eq!(Place::default().take(4096), 64 * both);
    }
}
