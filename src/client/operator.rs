//! The operator's way in: one request to a running venue over its local socket, one answer back.
//!
//! A line of JSON each way (see `gateway::operator` for the requests). Cold and blocking, for a command line.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longest answer taken: a status of every account and ticker is far below.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// A connection to a running venue.
pub struct OperatorClient {
    stream: BufReader<UnixStream>,
}

impl OperatorClient {
    /// Connects to the socket at `path`; each call waits `limit` at most.
    ///
    /// # Errors
    /// What the system said: nobody listens, or the socket is another user's.
    pub fn connect(path: &Path, limit: Duration) -> io::Result<OperatorClient> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        Ok(OperatorClient { stream: BufReader::new(stream) })
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Errors
    /// `UnexpectedEof` when the venue closed instead of answering (this user may not), `WouldBlock` after the limit,
    /// `InvalidData` when the answer is not JSON.
    pub fn ask(&mut self, request: &Value) -> io::Result<Value> {
        let mut line = request.to_string();
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes())?;
        line.clear();
        let count = io::Read::take(&mut self.stream, ANSWER_BYTES_MAX).read_line(&mut line)?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the venue closed the connection"));
        }
        serde_json::from_str(&line).map_err(io::Error::from)
    }
}

/// One request over a connection of its own.
///
/// # Errors
/// As [`OperatorClient::connect`] and [`OperatorClient::ask`].
pub fn ask(path: &Path, request: &Value, limit: Duration) -> io::Result<Value> {
    OperatorClient::connect(path, limit)?.ask(request)
}
