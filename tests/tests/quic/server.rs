//! An HTTP/3 server: `GET /SIZE/SEED` gives a body, `PUT /SIZE/SEED` takes one and says what came.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::{Buf, Bytes};
use h3::server::{Connection, RequestStream};
use h3_quinn::BidiStream;
use http::{Method, Request, Response};
use integration::netns::Namespace;
use integration::server::canonical;
use integration::wait;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::rustls;
use quinn::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use quinn::{Endpoint, ServerConfig};

use crate::body::{Hasher, body};
use crate::endpoint::{self, Batches};

/// The name in the server's certificate.
pub const NAME: &str = "server.test";

pub const ALPN: &[u8] = b"h3";

const CHUNK: usize = 1 << 16;

const PAUSE: Duration = Duration::from_millis(2);

type Stream = RequestStream<BidiStream<Bytes>, Bytes>;

/// Ends with the runtime of the test.
pub struct Server {
    certificate: CertificateDer<'static>,
    batches: Batches,
    connections: Arc<Mutex<Vec<quinn::Connection>>>,
}

impl Server {
    /// On every address of a host, both families.
    pub fn start(on: &Namespace, port: u16, batches: Batches) -> Self {
        let identity =
            rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        let certificate = identity.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der());
        let mut tls = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .expect("TLS of the server");
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let tls = QuicServerConfig::try_from(tls).expect("TLS 1.3");
        let mut config = ServerConfig::with_crypto(Arc::new(tls));
        config.transport_config(batches.transport());
        let address = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
        let endpoint = endpoint::new(endpoint::socket(on, address), Some(config));
        let connections = Arc::default();
        tokio::spawn(accept(endpoint, Arc::clone(&connections)));
        Self {
            certificate,
            batches,
            connections,
        }
    }

    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub fn batches(&self) -> Batches {
        self.batches
    }

    /// The server's end of a connection, found by where the client is. The client knows first that
    /// the handshake has ended.
    pub async fn connection_of(&self, client: SocketAddr) -> quinn::Connection {
        let start = Instant::now();
        loop {
            let connections = self.connections.lock().expect("the connections").clone();
            let seen = |connection: &quinn::Connection| canonical(connection.remote_address());
            if let Some(at) = connections.iter().position(|each| seen(each) == client) {
                return connections[at].clone();
            }
            assert!(
                start.elapsed() < wait::DEADLINE,
                "{client} is not among the clients: {:?}",
                connections.iter().map(seen).collect::<Vec<_>>()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn accept(endpoint: Endpoint, connections: Arc<Mutex<Vec<quinn::Connection>>>) {
    while let Some(incoming) = endpoint.accept().await {
        let connections = Arc::clone(&connections);
        tokio::spawn(async move {
            let connection = incoming.await.expect("a handshake");
            connections
                .lock()
                .expect("the connections")
                .push(connection.clone());
            serve(connection).await.expect("an HTTP/3 connection");
        });
    }
}

async fn serve(connection: quinn::Connection) -> anyhow::Result<()> {
    let mut connection = Connection::<_, Bytes>::new(h3_quinn::Connection::new(connection)).await?;
    loop {
        let request = match connection.accept().await {
            Err(error) if !error.is_h3_no_error() => return Err(error.into()),
            Err(_) | Ok(None) => return Ok(()),
            Ok(Some(request)) => request,
        };
        tokio::spawn(async move {
            let (request, stream) = request.resolve_request().await.expect("a request");
            answer(&request, stream).await.expect("an answer");
        });
    }
}

async fn answer(request: &Request<()>, mut stream: Stream) -> anyhow::Result<()> {
    if request.method() == Method::PUT {
        let mut hasher = Hasher::default();
        while let Some(mut chunk) = stream.recv_data().await? {
            hasher.add(&chunk.copy_to_bytes(chunk.remaining()));
        }
        stream.send_response(Response::new(())).await?;
        let seen = hasher.finish();
        let answer = format!("{} {}", seen.bytes, seen.sha256);
        stream.send_data(answer.into()).await?;
    } else {
        let (size, seed) = request.uri().path()[1..]
            .split_once('/')
            .context("/SIZE/SEED")?;
        let mut rest = body(size.parse()?, seed.parse()?);
        stream.send_response(Response::new(())).await?;
        while !rest.is_empty() {
            let chunk = rest.split_to(rest.len().min(CHUNK));
            stream.send_data(chunk).await?;
        }
    }
    Ok(stream.finish().await?)
}
