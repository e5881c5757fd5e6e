//! One body of claims for both engines.

use super::*;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};

/// More turns than any of these tests can need; a test that gets here has hung.
const TURNS_MAX: u32 = 20_000_000;

fn opened(engine: Engine, connections_max: u32) -> (AnyNetwork, SocketAddr) {
    let options = SocketOptions { receive_buffer_bytes: 65_536, send_buffer_bytes: 65_536, busy_poll_us: 0 };
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), options).unwrap();
    let address = listener.local_addr().unwrap();
    let (mut network, choice) = open(listener, engine, connections_max);
    assert!(engine != Engine::Uring || choice.uring, "these tests need io_uring: {choice}");
    network.start().unwrap();
    (network, address)
}

fn both(claim: impl Fn(Engine)) {
    claim(Engine::Plain);
    // Where the system refuses the ring, the plain engine is what runs; there is then no second engine to test.
    if Uring::memory(1).is_ok() {
        claim(Engine::Uring);
    }
}

/// Turns until `found` says what it was looking for.
fn until<T>(network: &mut AnyNetwork, mut found: impl FnMut(&mut AnyNetwork, Happened) -> Option<T>) -> T {
    for _ in 0..TURNS_MAX {
        network.turn();
        while let Some(happened) = network.next() {
            if let Some(value) = found(network, happened) {
                return value;
            }
        }
    }
    panic!("it never happened");
}

fn next_accepted(network: &mut AnyNetwork) -> ConnectionId {
    until(network, |_, happened| if let Happened::Accepted(id) = happened { Some(id) } else { None })
}

fn next_bytes(network: &mut AnyNetwork, from: ConnectionId, into: &mut [u8]) -> Received {
    until(network, |network, happened| match happened {
        Happened::Readable(id) if id == from => {
            Some(network.receive(id, into)).filter(|received| *received != Received::Nothing)
        }
        _ => None,
    })
}

#[test]
fn bytes_come_in_and_go_out() {
    both(|engine| {
        let (mut network, address) = opened(engine, 4);
        let mut client = TcpStream::connect(address).unwrap();
        let id = next_accepted(&mut network);
        client.write_all(b"ping").unwrap();
        let mut buffer = [0u8; 64];
        assert_eq!(next_bytes(&mut network, id, &mut buffer), Received::Bytes(4));
        assert_eq!(network.send(id, b"pong"), Sent::Bytes(4));
        client.read_exact(&mut buffer[..4]).unwrap();
        assert_eq!(&buffer[..4], b"pong");
        assert_eq!(network.stats().accepted, 1);
        network.stop();
    });
}

#[test]
fn bytes_that_are_not_read_wait_and_keep_their_order() {
    both(|engine| {
        let (mut network, address) = opened(engine, 2);
        let mut client = TcpStream::connect(address).unwrap();
        client.set_nonblocking(true).unwrap();
        let id = next_accepted(&mut network);
        // Fill all that the path holds while nobody reads: the client is held back, nothing is lost.
        let (mut written, mut idle) = (0usize, 0);
        while idle < 100 {
            let bytes: Vec<u8> = (0..1000).map(|i| ((written + i) % 251) as u8).collect();
            match client.write(&bytes) {
                Ok(count) => written += count,
                Err(_) => idle += 1,
            }
            network.turn();
            while network.next().is_some() {}
        }
        let (mut read, mut buffer) = (0usize, [0u8; 777]);
        while read < written {
            let Received::Bytes(count) = next_bytes(&mut network, id, &mut buffer) else { panic!("it ended early") };
            assert!(buffer[..count].iter().enumerate().all(|(i, &byte)| byte == ((read + i) % 251) as u8));
            read += count;
        }
        assert_eq!(read, written);
        drop(client);
        assert_eq!(next_bytes(&mut network, id, &mut buffer), Received::Closed);
    });
}

#[test]
fn a_flood_on_one_connection_does_not_stop_another() {
    both(|engine| {
        let (mut network, address) = opened(engine, 2);
        let mut flood = TcpStream::connect(address).unwrap();
        flood.set_nonblocking(true).unwrap();
        let flooded = next_accepted(&mut network);
        let mut quiet = TcpStream::connect(address).unwrap();
        let served = next_accepted(&mut network);
        assert_ne!(flooded, served);
        for _ in 0..1000 {
            let _ = flood.write(&[1; 4096]);
            network.turn();
            while network.next().is_some() {}
        }
        quiet.write_all(b"hello").unwrap();
        let mut buffer = [0u8; 64];
        assert_eq!(next_bytes(&mut network, served, &mut buffer), Received::Bytes(5));
    });
}

#[test]
fn the_last_bytes_come_before_the_end() {
    both(|engine| {
        let (mut network, address) = opened(engine, 2);
        let mut client = TcpStream::connect(address).unwrap();
        let id = next_accepted(&mut network);
        client.write_all(b"last").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut buffer = [0u8; 3];
        assert_eq!(next_bytes(&mut network, id, &mut buffer), Received::Bytes(3));
        assert_eq!(next_bytes(&mut network, id, &mut buffer), Received::Bytes(1));
        assert_eq!(next_bytes(&mut network, id, &mut buffer), Received::Closed);
        network.close(id);
    });
}

#[test]
fn what_was_sent_before_a_close_arrives() {
    both(|engine| {
        let (mut network, address) = opened(engine, 2);
        let mut client = TcpStream::connect(address).unwrap();
        let id = next_accepted(&mut network);
        assert_eq!(network.send(id, b"bye"), Sent::Bytes(3));
        network.close(id);
        assert_eq!(network.send(id, b"more"), Sent::Closed);
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"bye");
    });
}

#[test]
fn a_full_connection_is_offered_again_once_its_client_reads() {
    both(|engine| {
        let (mut network, address) = opened(engine, 2);
        let mut client = TcpStream::connect(address).unwrap();
        let id = next_accepted(&mut network);
        let mut sent = 0usize;
        while let Sent::Bytes(count) = network.send(id, &[9; 4096]) {
            sent += count;
        }
        let mut all = vec![0u8; sent];
        client.read_exact(&mut all).unwrap();
        until(&mut network, |_, happened| (happened == Happened::Writable(id)).then_some(()));
        assert!(matches!(network.send(id, b"x"), Sent::Bytes(1)));
    });
}

#[test]
fn a_connection_too_many_is_closed_at_once() {
    both(|engine| {
        let (mut network, address) = opened(engine, 1);
        let _first = TcpStream::connect(address).unwrap();
        let id = next_accepted(&mut network);
        let mut second = TcpStream::connect(address).unwrap();
        while network.stats().refused == 0 {
            network.turn();
            while network.next().is_some() {}
        }
        assert!(matches!(second.read(&mut [0; 8]), Ok(0) | Err(_)));
        // A place that becomes free serves the next one, with nothing left of the one before.
        network.close(id);
        for _ in 0..100 {
            network.turn();
            while network.next().is_some() {}
        }
        let mut third = TcpStream::connect(address).unwrap();
        assert_eq!(next_accepted(&mut network), id);
        third.write_all(b"new").unwrap();
        let mut buffer = [0u8; 8];
        assert_eq!(next_bytes(&mut network, id, &mut buffer), Received::Bytes(3));
    });
}

#[test]
fn places_are_used_again_many_times() {
    both(|engine| {
        let (mut network, address) = opened(engine, 3);
        for round in 0..300u32 {
            let mut client = TcpStream::connect(address).unwrap();
            let id = next_accepted(&mut network);
            client.write_all(&round.to_be_bytes()).unwrap();
            let mut buffer = [0u8; 8];
            assert_eq!(next_bytes(&mut network, id, &mut buffer), Received::Bytes(4));
            assert_eq!(buffer[..4], round.to_be_bytes());
            if round % 2 == 0 {
                drop(client);
                assert_eq!(next_bytes(&mut network, id, &mut buffer), Received::Closed);
            }
            network.close(id);
        }
    });
}

#[test]
fn the_choice_says_what_runs_and_why() {
    let listener = || listen((Ipv4Addr::LOCALHOST, 0).into(), SocketOptions::default()).unwrap();
    let (_, choice) = open(listener(), Engine::Auto, PLAIN_CONNECTIONS_MAX);
    assert_eq!(choice.to_string(), "plain sockets (chosen for up to 8 connections)");
    let (_, choice) = open(listener(), Engine::Plain, 100);
    assert_eq!(choice.to_string(), "plain sockets (as configured)");
    let refused = Choice {
        uring: false,
        asked: Engine::Auto,
        connections_max: 64,
        refused: Some(io::Error::from_raw_os_error(libc::EPERM)),
    };
    assert!(refused.to_string().starts_with("plain sockets (io_uring refused: "));
}
