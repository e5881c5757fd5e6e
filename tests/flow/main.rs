//! Flows, judged by a plain book that plays their steps: no exchange, no wire, no clock.

mod book;
mod generator;
mod itch;
mod lobster;
