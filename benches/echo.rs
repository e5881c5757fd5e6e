//! A round trip through a network engine and nothing else: the floor under every wire-to-wire figure of the gateway.
//!
//! A server thread turns the engine and sends back what it reads; a client thread writes 50 bytes (an order) on a
//! connection chosen at random and spins until they are back. Engines take turns in short slices of one run, so that a
//! noisy neighbour hits both; a slip of one against the other is a change of ours. Both threads are pinned to the
//! first two allowed cores; with fewer than two the figures mean nothing.
//!
//! `cargo bench --bench echo` (or `--profile quick`) prints nanoseconds: p50, p99, p99.9 by engine and connections.

use pitlane::gateway::net::{AnyNetwork, Engine, Happened, Network, Received, SocketOptions, listen, open};
use pitlane::os::affinity;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

const CONNECTIONS: [usize; 4] = [1, 8, 16, 64];
const ENGINES: [(&str, Engine); 2] = [("plain", Engine::Plain), ("io_uring", Engine::Uring)];
const MESSAGE_BYTES: usize = 50;
const SLICES: usize = 10;
const ROUND_TRIPS: usize = 3_000;
const WARM_UP: usize = 300;

fn serve(mut network: AnyNetwork, stop: &AtomicBool) {
    network.start().expect("the engine starts");
    let mut buffer = [0u8; 4096];
    while !stop.load(Ordering::Acquire) {
        network.turn();
        while let Some(happened) = network.next() {
            let Happened::Readable(id) = happened else { continue };
            match network.receive(id, &mut buffer) {
                Received::Bytes(count) => {
                    network.send(id, &buffer[..count]);
                }
                Received::Nothing => {}
                Received::Closed => network.close(id),
            }
        }
    }
    network.stop();
}

/// Round trips of one slice in nanoseconds.
fn slice(engine: Engine, connections: usize, cores: &[usize], into: &mut Vec<u64>) {
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), SocketOptions::default()).expect("a free port");
    let address = listener.local_addr().expect("a listener has an address");
    let (network, choice) = open(listener, engine, connections as u32);
    assert_eq!(choice.uring, engine == Engine::Uring, "{choice}");
    let stop = Arc::new(AtomicBool::new(false));
    let server = thread::spawn({
        let (stop, core) = (Arc::clone(&stop), cores.get(1).copied());
        move || {
            core.map(affinity::pin);
            serve(network, &stop);
        }
    });
    let mut clients: Vec<TcpStream> = (0..connections)
        .map(|_| {
            let stream = TcpStream::connect(address).expect("the server listens");
            stream.set_nodelay(true).expect("a socket option");
            stream.set_nonblocking(true).expect("a socket option");
            stream
        })
        .collect();
    let mut seed = 0x5EED_u64;
    for round in 0..WARM_UP + ROUND_TRIPS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let client = &mut clients[(seed >> 33) as usize % connections];
        let begin = Instant::now();
        client.write_all(&[7; MESSAGE_BYTES]).expect("the server reads");
        let (mut read, mut buffer) = (0, [0u8; MESSAGE_BYTES]);
        while read < MESSAGE_BYTES {
            read += client.read(&mut buffer).unwrap_or(0);
        }
        if round >= WARM_UP {
            into.push(begin.elapsed().as_nanos() as u64);
        }
    }
    stop.store(true, Ordering::Release);
    server.join().expect("the server ends");
}

fn main() {
    let cores = affinity::allowed().unwrap_or_default();
    cores.first().map(|&core| affinity::pin(core));
    println!("echo of {MESSAGE_BYTES} bytes over loopback TCP, cores {cores:?}, {SLICES} slices of {ROUND_TRIPS}, ns");
    for connections in CONNECTIONS {
        let mut samples = ENGINES.map(|_| Vec::with_capacity(SLICES * ROUND_TRIPS));
        for _ in 0..SLICES {
            for ((_, engine), samples) in ENGINES.iter().zip(&mut samples) {
                slice(*engine, connections, &cores, samples);
            }
        }
        for ((name, _), samples) in ENGINES.iter().zip(&mut samples) {
            samples.sort_unstable();
            let at = |part: f64| samples[((samples.len() - 1) as f64 * part) as usize];
            let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
            println!("{connections:>3} connections  {name:<9} p50 {p50:>7}  p99 {p99:>7}  p99.9 {p999:>8}");
        }
    }
}
