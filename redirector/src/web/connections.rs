//! Connections, each with its limits, so that nobody can keep what others need.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time,
};

/// More wait in the listener's backlog.
const CONNECTIONS: usize = 512;
/// For a request's headers, and between two requests.
const HEADER_LIMIT: Duration = Duration::from_secs(10);
/// After which a connection ends whose client takes nothing.
const STUCK: Duration = Duration::from_secs(30);
/// Of one connection in this process, in bytes; also the limit of a request's headers.
const BUFFER: usize = 32 * 1024;
/// Of one connection in the kernel, in bytes; by itself it would grow to megabytes.
const SEND_BUFFER: usize = 128 * 1024;

/// Who sends a request, among its extensions.
#[derive(Clone, Copy)]
pub struct Peer(pub IpAddr);

pub async fn serve(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Never closed, hence always some.
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                // Out of descriptors, or a client that has gone already.
                time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let router = router.clone();
        tokio::spawn(async move {
            if let Ok(peer) = prepare(&stream) {
                converse(stream, peer, router).await;
            }
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, peer: Peer, router: Router) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    // A client that goes, or sends what is not HTTP, is no trouble of ours.
    _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn prepare(stream: &TcpStream) -> io::Result<Peer> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(STUCK))?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    Ok(Peer(stream.peer_addr()?.ip()))
}
