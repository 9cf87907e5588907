use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::log::{Notes, digest, errno};
use crate::server::canonical;

const TIMEOUT: Duration = Duration::from_secs(5);

/// One end of a connection. Dropping it closes it without a note.
pub struct Peer {
    stream: Mutex<Option<Arc<TcpStream>>>,
    name: String,
    notes: Notes,
}

impl Peer {
    pub(super) fn new(stream: TcpStream, name: String, notes: Notes) -> Self {
        stream.set_nonblocking(false).expect("a blocking socket");
        for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
            set(&stream, Some(TIMEOUT)).expect("a timeout");
        }
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream: Mutex::new(Some(Arc::new(stream))),
            name,
            notes,
        }
    }

    #[track_caller]
    pub fn send(&self, bytes: &[u8]) -> &Self {
        if let Err(error) = self.try_send(bytes) {
            panic!("{}: send: {error}", self.name);
        }
        self
    }

    /// Sends what may fail.
    ///
    /// # Errors
    /// Those of `write`, noted too.
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<()> {
        let outcome = (&*self.stream()).write_all(bytes);
        self.note(match &outcome {
            Ok(()) => format!("sent {}", digest(bytes)),
            Err(error) => format!("send {}", errno(error)),
        });
        outcome
    }

    /// Receives exactly these bytes.
    #[track_caller]
    pub fn expect(&self, bytes: &[u8]) -> &Self {
        let received = self.receive(bytes.len());
        assert!(received == bytes, "{}: other bytes arrived", self.name);
        self
    }

    /// Receives a number of bytes.
    #[track_caller]
    pub fn receive(&self, length: usize) -> Vec<u8> {
        let mut buffer = vec![0; length];
        if let Err(error) = (&*self.stream()).read_exact(&mut buffer) {
            self.note(format!("receive {}", errno(&error)));
            panic!("{}: receive {length} bytes: {error}", self.name);
        }
        self.note(format!("received {}", digest(&buffer)));
        buffer
    }

    /// Bytes to the other end, more than the buffers hold if need be.
    #[track_caller]
    pub fn deliver(&self, to: &Self, bytes: &[u8]) -> &Self {
        thread::scope(|scope| {
            scope.spawn(|| self.send(bytes));
            to.expect(bytes);
        });
        self
    }

    /// The other end has sent its last byte.
    #[track_caller]
    pub fn expect_eof(&self) -> &Self {
        assert_eq!(self.read_one(), "end", "{}", self.name);
        self
    }

    /// The other end has aborted the connection.
    #[track_caller]
    pub fn expect_reset(&self) -> &Self {
        assert_eq!(self.read_one(), "ECONNRESET", "{}", self.name);
        self
    }

    /// Nothing arrives within `patience`, and the connection lives.
    #[track_caller]
    pub fn expect_silence(&self, patience: Duration) -> &Self {
        let limit = |limit| {
            self.stream()
                .set_read_timeout(Some(limit))
                .expect("a limit")
        };
        limit(patience);
        let read = self.read_one();
        limit(TIMEOUT);
        assert_eq!(read, "EAGAIN", "{}", self.name);
        self
    }

    /// Sends a FIN and goes on receiving.
    #[track_caller]
    pub fn shutdown(&self) -> &Self {
        self.note("shut down");
        self.stream().shutdown(Shutdown::Write).expect("shutdown");
        self
    }

    pub fn close(&self) {
        self.note("closed");
        self.stream.lock().expect("a stream").take();
    }

    /// Sends an RST.
    pub fn abort(&self) {
        self.note("aborted");
        SockRef::from(&*self.stream())
            .set_linger(Some(Duration::ZERO))
            .expect("linger");
        self.stream.lock().expect("a stream").take();
    }

    pub fn note(&self, what: impl AsRef<str>) {
        self.notes
            .log
            .note(format!("{}: {}", self.name, what.as_ref()));
    }

    /// # Panics
    /// Once it is closed.
    #[track_caller]
    pub fn stream(&self) -> Arc<TcpStream> {
        let stream = self.stream.lock().expect("a stream").clone();
        stream.unwrap_or_else(|| panic!("{}: closed by the test", self.name))
    }

    pub fn local(&self) -> SocketAddr {
        canonical(self.stream().local_addr().expect("an address"))
    }

    /// The other end as this one sees it.
    pub fn remote(&self) -> SocketAddr {
        canonical(self.stream().peer_addr().expect("the peer's address"))
    }

    fn read_one(&self) -> String {
        let mut byte = [0];
        let what = match (&*self.stream()).read(&mut byte) {
            Ok(0) => "end".to_owned(),
            Ok(_) => format!("byte {:02x}", byte[0]),
            Err(error) => errno(&error),
        };
        self.note(format!("receive {what}"));
        what
    }
}
