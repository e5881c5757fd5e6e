//! [`Watched`]: an agent with a last word. When its thread stops it, its end is written down for the closing check.
//!
//! Agents come back from their threads as `dyn Agent`; what the composition root wants to know of each at the end
//! (digests) it learns through a closure that runs on the agent's own thread, after its `stop`.

use crate::runtime::agent::Agent;

/// An agent and what to do with it at the end. The turn is the agent's own; nothing is added to it.
pub struct Watched<A, F> {
    agent: A,
    at_end: F,
}

impl<A: Agent, F: FnMut(&A) + Send> Watched<A, F> {
    /// Has `at_end` look at the agent after it has stopped.
    pub fn new(agent: A, at_end: F) -> Watched<A, F> {
        Watched { agent, at_end }
    }
}

impl<A: Agent, F: FnMut(&A) + Send> Agent for Watched<A, F> {
    fn name(&self) -> &str {
        self.agent.name()
    }

    fn start(&mut self) {
        self.agent.start();
    }

    #[inline]
    fn work(&mut self) -> usize {
        self.agent.work()
    }

    fn stop(&mut self) {
        self.agent.stop();
        (self.at_end)(&self.agent);
    }
}
