//! An HTTP/3 client that checks what it is given.

use std::future::poll_fn;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3_quinn::{BidiStream, OpenStreams};
use http::{Method, Request, StatusCode};
use integration::netns::Namespace;
use integration::server::unspecified_like;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, rustls};

use crate::body::{Hasher, body, seen};
use crate::endpoint;
use crate::server::{ALPN, NAME, Server};

/// One connection. Dropping it closes it.
pub struct Client {
    host: Namespace,
    to: SocketAddr,
    endpoint: Endpoint,
    connection: quinn::Connection,
    requests: SendRequest<OpenStreams, Bytes>,
}

impl Client {
    pub async fn connect(from: &Namespace, to: SocketAddr, server: &Server) -> Self {
        let endpoint = endpoint::new(socket(from, to), None);
        let connection = endpoint
            .connect_with(config(server), to, NAME)
            .expect("a client")
            .await
            .unwrap_or_else(|error| panic!("connect to {to}: {error}"));
        let (mut driver, requests) = h3::client::new(h3_quinn::Connection::new(connection.clone()))
            .await
            .unwrap_or_else(|error| panic!("HTTP/3 with {to}: {error}"));
        tokio::spawn(async move { poll_fn(|context| driver.poll_close(context)).await });
        Self {
            host: from.clone(),
            to,
            endpoint,
            connection,
            requests,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.endpoint.local_addr().expect("the client's address")
    }

    pub fn connection(&self) -> &quinn::Connection {
        &self.connection
    }

    /// Goes on from another port.
    pub fn rebind(&self) {
        let socket = socket(&self.host, self.to);
        self.endpoint.rebind(socket).expect("another socket");
    }

    pub async fn get(&self, size: usize, seed: u64) {
        self.download(size, seed).await.finish().await;
    }

    /// A GET of which nothing was read yet.
    pub async fn download(&self, size: usize, seed: u64) -> Download {
        let mut stream = self.request(Method::GET, size, seed).await;
        stream.finish().await.expect("the end of a request");
        assert_ok(&mut stream).await;
        Download {
            stream,
            size,
            seed,
            hasher: Hasher::default(),
        }
    }

    pub async fn put(&self, size: usize, seed: u64) {
        let body = body(size, seed);
        let mut stream = self.request(Method::PUT, size, seed).await;
        stream.send_data(body.clone()).await.expect("an upload");
        stream.finish().await.expect("the end of an upload");
        assert_ok(&mut stream).await;
        let mut answer = Vec::new();
        while let Some(mut chunk) = stream.recv_data().await.expect("an answer") {
            answer.extend(chunk.copy_to_bytes(chunk.remaining()));
        }
        let expected = seen(&body);
        let expected = format!("{} {}", expected.bytes, expected.sha256);
        assert_eq!(String::from_utf8_lossy(&answer), expected, "PUT {size}");
    }

    async fn request(&self, method: Method, size: usize, seed: u64) -> Stream {
        let uri = format!("https://{NAME}/{size}/{seed}");
        let request = Request::builder().method(method).uri(&uri).body(());
        self.requests
            .clone()
            .send_request(request.expect("a request"))
            .await
            .unwrap_or_else(|error| panic!("{uri}: {error}"))
    }
}

type Stream = RequestStream<BidiStream<Bytes>, Bytes>;

pub struct Download {
    stream: Stream,
    size: usize,
    seed: u64,
    hasher: Hasher,
}

impl Download {
    /// Reads on until so many bytes were read in all. The server is ahead by a window at most.
    pub async fn read(&mut self, bytes: usize) {
        while self.hasher.bytes() < bytes {
            assert!(self.read_chunk().await, "GET {}: it ended early", self.size);
        }
    }

    pub async fn finish(mut self) {
        while self.read_chunk().await {}
        let expected = seen(&body(self.size, self.seed));
        assert_eq!(self.hasher.finish(), expected, "GET {}", self.size);
    }

    async fn read_chunk(&mut self) -> bool {
        let chunk = self.stream.recv_data().await;
        let chunk = chunk.unwrap_or_else(|error| panic!("GET {}: {error}", self.size));
        let Some(mut chunk) = chunk else {
            return false;
        };
        self.hasher.add(&chunk.copy_to_bytes(chunk.remaining()));
        true
    }
}

/// A socket with the address that the host would take, so that the server's view can be compared.
fn socket(from: &Namespace, to: SocketAddr) -> UdpSocket {
    let probe = endpoint::socket(from, SocketAddr::new(unspecified_like(to), 0));
    probe.connect(to).expect("a route to the server");
    let address = probe.local_addr().expect("an address").ip();
    endpoint::socket(from, SocketAddr::new(address, 0))
}

fn config(server: &Server) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(server.certificate().clone())
        .expect("the server's certificate");
    let mut tls = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let tls = QuicClientConfig::try_from(tls).expect("TLS 1.3");
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(server.batches().transport());
    config
}

async fn assert_ok(stream: &mut Stream) {
    let response = stream.recv_response().await.expect("a response");
    assert_eq!(response.status(), StatusCode::OK);
}
