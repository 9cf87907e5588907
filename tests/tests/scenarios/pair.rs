//! Both ends of a connection.

use integration::scenario::{Dial, Peer, Server, Stage};

pub struct Pair {
    pub client: Peer,
    pub server: Peer,
}

impl Pair {
    pub fn of(dial: Dial<'_>, listener: &Server) -> Self {
        let client = dial.connect();
        let server = listener.accept();
        Self { client, server }
    }

    /// From one client port, whichever port it is to.
    pub fn open(stage: &Stage, listener: &Server, port: u16) -> Self {
        Self::of(stage.dial(port).from(stage.source_port(0)), listener)
    }

    /// Not moved.
    pub fn first(stage: &Stage, listener: &Server, port: u16) -> Self {
        let pair = Self::open(stage, listener, port);
        assert_eq!(pair.server.remote(), pair.client.local());
        pair
    }

    pub fn moved(stage: &Stage, listener: &Server, port: u16) -> Self {
        let pair = Self::open(stage, listener, port);
        assert_eq!(pair.server.remote().ip(), pair.client.local().ip());
        assert_ne!(pair.server.remote().port(), pair.client.local().port());
        pair
    }

    pub fn exchange(&self, text: &str) {
        self.client.deliver(&self.server, text.as_bytes());
        self.server
            .deliver(&self.client, text.to_uppercase().as_bytes());
    }

    /// Both ends speak, the server first.
    pub fn goes_on(&self) {
        self.server.deliver(&self.client, b"the server speaks");
        self.exchange("the client speaks");
    }

    /// The server's end waits in TIME-WAIT, the client's port is free.
    pub fn close(self) {
        self.server.shutdown();
        self.client.expect_eof().close();
        self.server.expect_eof().close();
    }
}

/// Each speaks twice, by turns.
pub fn all_go_on(pairs: &[Pair]) {
    for _ in 0..2 {
        for pair in pairs {
            pair.exchange("a request");
        }
        for pair in pairs.iter().rev() {
            pair.goes_on();
        }
    }
}
