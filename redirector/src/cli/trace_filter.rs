//! What `trace` is asked for, in words.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use redirector_common::abi::{Address, NO_PORT, Port, TraceControl};

use crate::stats::trace::TCP_FLAGS;

/// A client, whatever its port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceClient {
    address: IpAddr,
    port: Option<u16>,
}

/// As on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpFlag(pub u32);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceFilterError {
    #[error("client {0:?} is not ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT")]
    Client(String),
    #[error("{0:?} is no TCP flag; these are: {list}", list = TCP_FLAGS.join(", "))]
    Flag(String),
}

impl FromStr for TraceClient {
    type Err = TraceFilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self {
                address,
                port: None,
            });
        }
        match text.parse::<SocketAddr>() {
            Ok(client) if client.port() != 0 => Ok(Self {
                address: client.ip(),
                port: Some(client.port()),
            }),
            _ => Err(TraceFilterError::Client(text.to_owned())),
        }
    }
}

impl FromStr for TcpFlag {
    type Err = TraceFilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        TCP_FLAGS
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text))
            .map(|bit| Self(1 << bit))
            .ok_or_else(|| TraceFilterError::Flag(text.to_owned()))
    }
}

impl From<TraceClient> for TraceControl {
    fn from(client: TraceClient) -> Self {
        let address = match client.address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        Self {
            client: Address::ipv6(address.octets()),
            client_port: client.port.map_or(NO_PORT, Port::new),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_and_flags() {
        for (text, port) in [
            ("203.0.113.9", None),
            ("203.0.113.9:40000", Some(40_000)),
            ("2001:db8::9", None),
            ("[2001:db8::9]:40000", Some(40_000)),
        ] {
            assert_eq!(text.parse::<TraceClient>().unwrap().port, port, "{text}");
        }
        for text in [
            "",
            "web",
            "203.0.113.9:0",
            "203.0.113.9:x",
            "2001:db8::9]:1",
        ] {
            text.parse::<TraceClient>().unwrap_err();
        }
        assert_eq!("syn".parse(), Ok(TcpFlag(2)));
        assert_eq!("RST".parse(), Ok(TcpFlag(4)));
        "SYNACK".parse::<TcpFlag>().unwrap_err();
    }
}
