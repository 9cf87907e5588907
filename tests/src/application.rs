//! A web application as one is behind a proxy: keep-alive, chunked responses, WebSocket.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::netns::Namespace;
use crate::wait;

/// Listens until it is dropped.
pub struct Application {
    over: Arc<AtomicBool>,
    host: Namespace,
    address: SocketAddr,
}

impl Application {
    pub fn start(on: &Namespace, port: u16) -> Self {
        let address = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
        let listener = wait::until_bound("the application's port", || {
            on.enter(|| TcpListener::bind(address))
        });
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        let released = Arc::new(AtomicBool::new(false));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let released = released.clone();
                thread::spawn(move || serve(stream, &released));
            }
        });
        Self {
            over,
            host: on.clone(),
            address,
        }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes whoever accepts.
        let to = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), self.address.port());
        let _ = self.host.enter(|| TcpStream::connect(to));
    }
}

/// Ends with the connection, whatever ends that.
fn serve(stream: TcpStream, released: &AtomicBool) {
    let _ = try_to_serve(stream, released);
}

fn try_to_serve(stream: TcpStream, released: &AtomicBool) -> io::Result<()> {
    let mut requests = 0;
    loop {
        if peek_head(&stream)?
            .to_lowercase()
            .contains("upgrade: websocket")
        {
            return echo(stream);
        }
        let Some(request) = Request::read(&stream)? else {
            return Ok(());
        };
        requests += 1;
        match request.path.as_str() {
            "/stream" => stream_until(&stream, released)?,
            path => {
                released.fetch_or(path == "/release", Ordering::Relaxed);
                request.answer(&stream, requests)?;
            }
        }
    }
}

/// What a client asks for, without taking it from the socket.
fn peek_head(stream: &TcpStream) -> io::Result<String> {
    let mut head = [0; 8192];
    loop {
        let length = stream.peek(&mut head)?;
        let text = String::from_utf8_lossy(&head[..length]).into_owned();
        if length == 0 || text.contains("\r\n\r\n") {
            return Ok(text);
        }
        thread::yield_now();
    }
}

/// The second part is sent once somebody has asked for `/release`.
fn stream_until(mut stream: &TcpStream, released: &AtomicBool) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(format!("{head}6\r\nfirst\n\r\n").as_bytes())?;
    wait::until("the rest is asked for", || released.load(Ordering::Relaxed));
    stream.write_all(b"7\r\nsecond\n\r\n0\r\n\r\n")
}

/// Each message comes back.
fn echo(stream: TcpStream) -> io::Result<()> {
    let mut socket = tungstenite::accept(stream).map_err(io::Error::other)?;
    loop {
        let message = socket.read().map_err(io::Error::other)?;
        if message.is_text() {
            socket.send(message).map_err(io::Error::other)?;
        }
    }
}

struct Request {
    path: String,
    version: String,
    forwarded: String,
}

impl Request {
    fn read(stream: &TcpStream) -> io::Result<Option<Self>> {
        let mut lines = BufReader::with_capacity(1, stream);
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        let [_, path, version] = std::array::from_fn(|_| word());
        let mut forwarded = String::new();
        loop {
            let mut header = String::new();
            lines.by_ref().read_line(&mut header)?;
            match header.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("x-forwarded-for") => {
                    forwarded = value.trim().to_owned();
                }
                Some(_) => {}
                None => break,
            }
        }
        Ok(Some(Self {
            path,
            version,
            forwarded,
        }))
    }

    /// What the application sees: the port, the client, who the proxy says it is, and how many requests came
    /// by this connection.
    fn answer(&self, mut stream: &TcpStream, requests: u32) -> io::Result<()> {
        let Self {
            version, forwarded, ..
        } = self;
        let mut body = String::new();
        let _ = writeln!(body, "port {}", stream.local_addr()?.port());
        let _ = writeln!(body, "client {}", stream.peer_addr()?.ip().to_canonical());
        let _ = writeln!(body, "forwarded {forwarded}");
        let _ = writeln!(body, "version {version}");
        let _ = writeln!(body, "request {requests}");
        let mut answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n".to_owned();
        if self.path == "/chunked" && version == "HTTP/1.1" {
            answer += "Transfer-Encoding: chunked\r\n\r\n";
            for line in body.split_inclusive('\n') {
                let _ = write!(answer, "{:x}\r\n{line}\r\n", line.len());
            }
            answer += "0\r\n\r\n";
        } else {
            let _ = write!(answer, "Content-Length: {}\r\n\r\n{body}", body.len());
        }
        stream.write_all(answer.as_bytes())
    }
}
