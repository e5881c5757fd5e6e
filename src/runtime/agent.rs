//! [`Agent`]: the shape of every stage. One owner of one piece of state, advanced in bounded turns.
//!
//! The same agent runs alone on its core, takes turns with others on one core, or is turned by a test that decides
//! the order: it cannot tell, because all it sees is its links. `work` is hot; `start` and `stop` are not.

/// A stage.
pub trait Agent: Send {
    /// Name in messages, thread names and counters.
    fn name(&self) -> &str;

    /// Runs once on the agent's own thread, pinned, before any agent works: touch memory, make thread-bound objects.
    fn start(&mut self) {}

    /// One turn: takes a bounded amount of input, and says how many pieces it handled. 0 means there was nothing to
    /// do, which lets the thread idle. Never blocks: a full output ends the turn instead.
    fn work(&mut self) -> usize;

    /// Runs once on the same thread when the process ends orderly, after the last turn.
    fn stop(&mut self) {}
}
