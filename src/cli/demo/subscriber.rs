//! A feed subscriber on a thread of its own: keeps every message, in order, as it came.

use crate::cli::Failure;
use crate::client::book::BookBuilder;
use crate::client::feed::{FeedCounts, FeedHandler, FeedSource};
use crate::launch::endpoints::Endpoints;
use crate::os::clock::monotonic_ns;
use crate::types::DayNanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Pause when nothing has come: the subscriber shares its core with the player of the orders.
const PAUSE: Duration = Duration::from_micros(500);
/// How long the last messages may take.
const LAST_MAX: Duration = Duration::from_secs(10);

/// What was heard.
#[derive(Default)]
pub struct Heard {
    /// Every message after its length in two bytes, as the venue stores them.
    pub blocks: Vec<u8>,
    /// How many.
    pub messages: u64,
    /// How gaps were filled.
    pub counts: FeedCounts,
    /// What went wrong, if anything.
    pub fault: Option<String>,
}

/// The thread.
pub struct Subscriber {
    thread: JoinHandle<Heard>,
    over: Arc<AtomicBool>,
    messages: Arc<AtomicU64>,
}

impl Subscriber {
    /// Joins the feed from its first message.
    ///
    /// # Errors
    /// The group cannot be joined.
    pub fn start(endpoints: &Endpoints) -> Result<Subscriber, Failure> {
        let mut source = FeedSource::new(endpoints.feed, vec![endpoints.rerequest]);
        source.interface = endpoints.feed_interface;
        source.session = endpoints.session.as_bytes().try_into().ok();
        let handler = FeedHandler::join(&source)
            .map_err(|e| Failure::Fault(format!("joining the feed {}: {e}", source.group)))?;
        let (over, messages) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (is_over, count) = (Arc::clone(&over), Arc::clone(&messages));
        let thread = std::thread::spawn(move || follow(handler, &is_over, &count));
        Ok(Subscriber { thread, over, messages })
    }

    /// Waits until so many messages have come, or for a bounded time.
    pub fn wait_for(&self, messages: u64) {
        let started = Instant::now();
        while self.messages.load(Ordering::Acquire) < messages && started.elapsed() < LAST_MAX {
            std::thread::sleep(PAUSE);
        }
    }

    /// Ends it and takes what it heard.
    ///
    /// # Errors
    /// The thread failed.
    pub fn finish(self) -> Result<Heard, Failure> {
        // Pairs with the load in `follow`.
        self.over.store(true, Ordering::Release);
        self.thread.join().map_err(|_| Failure::Fault("the feed subscriber failed".to_owned()))
    }
}

fn follow(mut handler: FeedHandler, over: &AtomicBool, count: &AtomicU64) -> Heard {
    let mut heard = Heard::default();
    while !over.load(Ordering::Acquire) {
        let keep = |_, message: &[u8]| {
            heard.blocks.extend_from_slice(&(message.len() as u16).to_be_bytes());
            heard.blocks.extend_from_slice(message);
            heard.messages += 1;
        };
        match handler.poll(monotonic_ns(), keep) {
            Ok(0) => std::thread::sleep(PAUSE),
            Ok(_) => count.store(heard.messages, Ordering::Release),
            Err(fault) => {
                heard.fault = Some(fault.to_string());
                break;
            }
        }
    }
    heard.counts = handler.counts();
    heard
}

/// The messages of what was heard, with their times.
pub fn messages(blocks: &[u8]) -> impl Iterator<Item = (DayNanos, &[u8])> {
    let mut rest = blocks;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (message, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = after;
        let time = message.get(5..11).map_or(0, |t| t.iter().fold(0, |n, b| n << 8 | u64::from(*b)));
        Some((DayNanos(time), message))
    })
}

/// The books at the end of what was heard.
pub fn books(blocks: &[u8]) -> BookBuilder {
    let mut builder = BookBuilder::new();
    messages(blocks).for_each(|(_, message)| builder.on_message(message));
    builder
}
