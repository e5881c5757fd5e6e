//! The byte layouts, from outside: recorded vectors, properties over arbitrary bytes, and independent decoders.

mod independent;
mod ouch_table;
mod properties;
mod vectors;
