//! What a trading program links: order entry over TCP and shared memory, the feed with gap fill, the book.
pub mod book;
pub mod depth;
pub mod feed;
pub mod floor;
pub mod operator;
pub mod orders;
