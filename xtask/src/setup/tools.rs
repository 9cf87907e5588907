//! What the tests run besides our own programs.

use super::apt::Package;
use crate::sys;

struct Tool {
    program: &'static str,
    package: Package,
}

const TOOLS: [Tool; 13] = [
    tool("ip", "iproute2", "namespaces and veth pairs, tc"),
    tool("nft", "nftables", "the oracle, and firewalls in the way"),
    tool("iptables", "iptables", "the rules of the guide"),
    tool("curl", "curl", "a client nobody here wrote"),
    Tool {
        program: "nginx",
        package: Package {
            name: "nginx-light",
            why: "a server nobody here wrote",
            service: Some("nginx"),
            sibling: None,
        },
    },
    tool(
        "tcpdump",
        "tcpdump",
        "checksums as another program sees them",
    ),
    tool("ethtool", "ethtool", "offloads on and off"),
    tool("python3", "python3", "small servers and raw sockets"),
    tool(
        "modprobe",
        "kmod",
        "schedulers and devices built as modules",
    ),
    Tool {
        program: "qemu-system-x86_64",
        package: Package {
            name: "qemu-system-x86",
            why: "kernels that this one is not",
            service: None,
            sibling: Some("qemu-utils"),
        },
    },
    tool("busybox", "busybox-static", "the shell of those machines"),
    tool("cpio", "cpio", "their file system"),
    tool("wg", "wireguard-tools", "tunnels between them"),
];

const fn tool(program: &'static str, name: &'static str, why: &'static str) -> Tool {
    let package = Package {
        name,
        why,
        service: None,
        sibling: None,
    };
    Tool { program, package }
}

pub fn missing() -> impl Iterator<Item = Package> {
    TOOLS
        .iter()
        .filter(|tool| sys::which(tool.program).is_none())
        .map(|tool| tool.package)
}
