//! Connections that only try whether they would work.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::kernel;

/// For an answer on this host.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Connects, and ends that at once. The end must be acknowledged as well: a firewall may let the handshake
/// through and nothing after it.
pub fn knock(to: SocketAddr) -> Result<(), String> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)
        .map_err(|error| format!("nobody answers a connection to {to}: {error}"))?;
    if stream.shutdown(Shutdown::Write).is_err() {
        // The application has reset it, hence heard of it.
        return Ok(());
    }
    let start = Instant::now();
    while is_unheard(&stream).map_err(|error| error.to_string())? {
        if start.elapsed() > PATIENCE {
            return Err(format!(
                "a connection to {to} begins, and then what is sent is lost"
            ));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Whether the other end has not acknowledged the end of ours, nor reset it.
fn is_unheard(stream: &TcpStream) -> io::Result<bool> {
    Ok(stream.take_error()?.is_none() && kernel::unacknowledged(stream)? != 0)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_listener_that_accepts_nobody_has_heard_it() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            knock(listener.local_addr().unwrap()).unwrap();
        }
    }

    #[test]
    fn nobody_is_named() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let nobody = nobody.unwrap();
        let error = knock(nobody).unwrap_err();
        assert!(error.contains(&nobody.to_string()), "{error}");
    }
}
