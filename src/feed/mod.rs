//! The price feed: committed public events become ITCH 5.0 messages with one number each, kept, sent by multicast,
//! sent again on request, and summed up in a depth cache for programs on the same host.
//!
//! One agent on one thread owns all of it. Like every other output, the numbered messages are a function of the
//! journal: replay feeds the same events in and the same bytes come out, under the same numbers.

pub mod cache;
pub mod depths;
pub mod encoder;
pub mod levels;
pub mod options;
pub mod port;
pub mod publisher;
pub mod rerequest;
pub mod store;
pub mod stream;

pub use cache::DepthCache;
pub use depths::Depths;
pub use encoder::FeedEncoder;
pub use options::{FeedOptions, Hold};
pub use port::{FeedPorts, Port};
pub use publisher::Publisher;
pub use store::{FeedStore, StoreFull};
pub use stream::FeedStream;
