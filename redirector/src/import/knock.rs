//! Connections that only try whether they would work.

use std::{
    io::{self, Read},
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use procfs::net::{TcpNetEntry, TcpState};

/// For an answer on this host.
const PATIENCE: Duration = Duration::from_secs(3);
const SOON: Duration = Duration::from_millis(200);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Connects, and ends that at once. The end must be acknowledged as well: a firewall may let the handshake
/// through and nothing after it.
pub fn knock(to: SocketAddr) -> Result<(), String> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)
        .map_err(|error| format!("nobody answers a connection to {to}: {error}"))?;
    let own = stream.local_addr().map_err(|error| error.to_string())?;
    if stream.shutdown(Shutdown::Write).is_err() {
        // The application has reset it, hence heard of it.
        return Ok(());
    }
    // Most applications answer it by their own end, and a list of all sockets can be long.
    let answer = stream
        .set_read_timeout(Some(SOON))
        .and_then(|()| (&stream).read(&mut [0]));
    let waits = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
    if !answer.is_err_and(|error| waits.contains(&error.kind())) {
        return Ok(());
    }
    let start = Instant::now();
    while is_unheard(own, to).map_err(|error| error.to_string())? {
        if start.elapsed() > PATIENCE {
            return Err(format!(
                "a connection to {to} begins, and then what is sent is lost"
            ));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Whether the other end has not acknowledged the end of ours.
fn is_unheard(own: SocketAddr, to: SocketAddr) -> procfs::ProcResult<bool> {
    let sockets = match own {
        SocketAddr::V4(_) => procfs::net::tcp(),
        SocketAddr::V6(_) => procfs::net::tcp6(),
    }?;
    let is_it = |socket: &TcpNetEntry| {
        let ends = [socket.local_address, socket.remote_address];
        ends.map(plain) == [own, to].map(plain)
    };
    let unheard = [TcpState::Established, TcpState::FinWait1, TcpState::Closing];
    Ok(sockets
        .iter()
        .any(|socket| is_it(socket) && unheard.contains(&socket.state)))
}

/// Without what only one of the two knows.
fn plain(address: SocketAddr) -> (std::net::IpAddr, u16) {
    (address.ip(), address.port())
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
