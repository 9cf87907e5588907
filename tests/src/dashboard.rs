//! `redirector dashboard` of an instance, and clients of it that tests hold in their hands.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::netns::Namespace;
use crate::process::Background;
use crate::redirector::{Instance, json};
use crate::wait;

pub struct Dashboard {
    pub address: SocketAddr,
    pub process: Background,
    host: Namespace,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case, `name: value` a line.
    pub headers: String,
    pub body: String,
}

impl Dashboard {
    /// On a free port of the host's loopback.
    pub fn start(instance: &Instance) -> Self {
        Self::of(
            instance,
            &mut instance.command("dashboard", "--listen 127.0.0.1:0"),
        )
    }

    pub fn of(instance: &Instance, command: &mut Command) -> Self {
        let mut process = Background::start(command, Background::directory());
        let address = wait::until_some("the address of the dashboard", || {
            process.assert_running();
            let text = process.stdout();
            let line = text.strip_suffix("/\n")?.strip_prefix("http://")?;
            Some(line.parse().expect("an address"))
        });
        Self {
            address,
            process,
            host: instance.host().clone(),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = self.host.enter(|| TcpStream::connect(self.address));
        let stream = stream.expect("the dashboard");
        stream
            .set_read_timeout(Some(wait::DEADLINE))
            .expect("a read timeout");
        stream
    }

    /// Asks for a document with hardly any room to receive it in.
    pub fn ask_and_take_nothing(&self, path: &str) -> TcpStream {
        let mut stream: TcpStream = self.host.enter(|| {
            let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None);
            let socket = socket.expect("a socket");
            socket.set_recv_buffer_size(4096).expect("a small buffer");
            socket.connect(&self.address.into()).expect("the dashboard");
            socket.into()
        });
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).expect("a request");
        stream
    }

    /// With this host's name, and more headers of the form `name: value`.
    #[track_caller]
    pub fn get(&self, path: &str, headers: &[&str]) -> Answer {
        let host = format!("host: {}", self.address);
        let headers: Vec<_> = [&*host]
            .into_iter()
            .chain(headers.iter().copied())
            .collect();
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nconnection: close\r\n{}\r\n\r\n",
            headers.join("\r\n")
        ))
    }

    #[track_caller]
    pub fn json(&self, path: &str) -> Value {
        let answer = self.get(path, &[]);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        json(&answer.body)
    }

    /// Sends bytes, and reads until the dashboard closes.
    #[track_caller]
    pub fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("a request");
        let mut text = Vec::new();
        // What comes after it has closed is a reset; what came before counts.
        let _ = stream.read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut words = head.split(' ');
        let status = words
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        let headers = head.to_lowercase();
        let body = if headers.contains("transfer-encoding: chunked") {
            unchunk(body)
        } else {
            body.to_owned()
        };
        Answer {
            status,
            headers,
            body,
        }
    }

    /// A stream of events that is read line by line.
    pub fn events(&self) -> BufReader<TcpStream> {
        let mut stream = self.connect();
        let request = format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: {}\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).expect("a request");
        BufReader::new(stream)
    }

    /// Resident memory, in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.pid()));
        let status = status.expect("a running dashboard");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let word = line.and_then(|line| line.split_whitespace().nth(1));
        word.and_then(|word| word.parse().ok()).expect("VmRSS")
    }
}

/// The next event of a kind.
#[track_caller]
pub fn event(stream: &mut impl BufRead, kind: &str) -> Value {
    let mut is_it = false;
    loop {
        let mut line = String::new();
        let read = stream.read_line(&mut line).expect("a line");
        assert_ne!(read, 0, "the stream has ended");
        if let Some(name) = line.strip_prefix("event: ") {
            is_it = name.trim() == kind;
        } else if let Some(data) = line.strip_prefix("data: ").filter(|_| is_it) {
            return json(data);
        }
    }
}

fn unchunk(body: &str) -> String {
    let mut rest = body;
    let mut whole = String::new();
    while let Some((length, more)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a chunk's length");
        whole.push_str(&more[..length]);
        rest = more[length..].trim_start_matches("\r\n");
        if length == 0 {
            break;
        }
    }
    whole
}
