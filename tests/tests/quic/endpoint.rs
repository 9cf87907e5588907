//! QUIC endpoints over sockets of a host.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use integration::netns::Namespace;
use integration::wait;
use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig};

/// Whether an endpoint gives the kernel many datagrams at once (UDP GSO).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batches {
    On,
    Off,
}

impl Batches {
    pub fn transport(self) -> Arc<TransportConfig> {
        let mut config = TransportConfig::default();
        config.enable_segmentation_offload(self == Self::On);
        Arc::new(config)
    }
}

pub fn new(socket: UdpSocket, server: Option<ServerConfig>) -> Endpoint {
    Endpoint::new(
        EndpointConfig::default(),
        server,
        socket,
        Arc::new(TokioRuntime),
    )
    .expect("an endpoint")
}

pub fn socket(on: &Namespace, address: SocketAddr) -> UdpSocket {
    wait::until_bound(&format!("cannot bind {address}/udp"), || {
        on.enter(|| UdpSocket::bind(address))
    })
}
