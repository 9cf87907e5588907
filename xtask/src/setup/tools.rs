//! What tests and benchmarks run besides our own programs.

use std::path::Path;

use super::apt::Package;
use crate::sys;

pub struct Tool {
    /// A program, or the path of a file that is none.
    file: &'static str,
    package: Package,
}

const INTER: &str = "/usr/share/fonts/opentype/inter/Inter-Regular.otf";

/// nginx itself does not know TCP: Debian has that as a module.
pub const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

pub const TESTS: [Tool; 25] = [
    tool("ip", "iproute2", "namespaces and veth pairs, tc"),
    tool("nft", "nftables", "the oracle, and firewalls in the way"),
    tool("iptables", "iptables", "the rules of the guide"),
    tool("curl", "curl", "a client nobody here wrote"),
    NGINX,
    service("haproxy", "haproxy", "the proxies of the documentation"),
    tool("socat", "socat", "commands for a running HAProxy"),
    tool("openssl", "openssl", "a certificate for them"),
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
        file: "qemu-system-x86_64",
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
    tool("chromium", "chromium", "the dashboard, as people see it"),
    tool(INTER, "fonts-inter", "letters on its pictures"),
    Tool {
        file: "promtool",
        package: Package {
            service: Some("prometheus"),
            ..tool("promtool", "prometheus", "metrics and alerts, checked").package
        },
    },
    tool("tmux", "tmux", "a terminal for `redirector top`"),
    tool("debootstrap", "debootstrap", "a Debian for the package"),
    tool("kubectl", "kubernetes-client", "Kustomize, offline"),
    tool(
        "/usr/lib/python3/dist-packages/pip/__init__.py",
        "python3-pip",
        "what validates Kubernetes' documents",
    ),
    tool("systemd-analyze", "systemd", "how exposed the units are"),
    tool("mke2fs", "e2fsprogs", "its disk"),
];

pub const BENCH: [Tool; 9] = [
    tool("ip", "iproute2", "namespaces and veth pairs"),
    tool("nft", "nftables", "a contender"),
    tool("iptables", "iptables", "a contender"),
    NGINX,
    // Like nginx-light it only asks for the same nginx, so that the two go together.
    tool(
        STREAM_MODULE,
        "libnginx-mod-stream",
        "a contender, of nginx",
    ),
    service("haproxy", "haproxy", "a contender"),
    service("rinetd", "rinetd", "a contender"),
    // Its service starts only where one asks for that.
    tool("iperf3", "iperf3", "bulk and small packets"),
    tool("wrk", "wrk", "requests and connections"),
];

pub const PACKAGE: [Tool; 3] = [
    tool("dpkg-deb", "dpkg", "Debian packages"),
    tool("lintian", "lintian", "what is wrong with them"),
    tool("readelf", "binutils", "whether a binary is static"),
];

const NGINX: Tool = service("nginx", "nginx-light", "a server nobody here wrote");

/// A program that its package would also start, under the program's name.
const fn service(program: &'static str, name: &'static str, why: &'static str) -> Tool {
    let mut tool = tool(program, name, why);
    tool.package.service = Some(program);
    tool
}

const fn tool(file: &'static str, name: &'static str, why: &'static str) -> Tool {
    let package = Package {
        name,
        why,
        service: None,
        sibling: None,
    };
    Tool { file, package }
}

impl Tool {
    fn is_there(&self) -> bool {
        if self.file.starts_with('/') {
            Path::new(self.file).is_file()
        } else {
            sys::which(self.file).is_some()
        }
    }
}

pub fn missing(tools: &[Tool]) -> impl Iterator<Item = Package> {
    tools
        .iter()
        .filter(|tool| !tool.is_there())
        .map(|tool| tool.package)
}
