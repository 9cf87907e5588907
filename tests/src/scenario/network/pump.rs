use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, poll};

use crate::netns::Namespace;
use crate::system;

/// Carries packets between two tun devices.
pub struct Pump {
    ends: Arc<AtomicBool>,
    carrier: Option<JoinHandle<()>>,
}

impl Pump {
    /// A device of this name on both hosts, up.
    pub fn start(one: &Namespace, other: &Namespace, name: &str) -> Self {
        let devices = [one, other].map(|host| {
            let device = host.enter(|| system::tun(name)).expect("a tun device");
            host.ip(&format!("link set {name} up"));
            device
        });
        let ends = Arc::<AtomicBool>::default();
        let carrier = thread::spawn({
            let ends = ends.clone();
            move || {
                while !ends.load(Ordering::Relaxed) {
                    carry(&devices);
                }
            }
        });
        Self {
            ends,
            carrier: Some(carrier),
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(carrier) = self.carrier.take() {
            carrier.join().expect("the carrier of packets");
        }
    }
}

/// A packet of each device that has one.
fn carry([one, other]: &[File; 2]) {
    const PAUSE: u8 = 20;
    let mut waiting = [one, other].map(|device| PollFd::new(device.as_fd(), PollFlags::POLLIN));
    poll(&mut waiting, PAUSE).expect("poll");
    let is_ready = waiting.map(|each| each.any() == Some(true));
    let mut packet = vec![0; 1 << 16];
    for (is_ready, mut from, mut to) in [(is_ready[0], one, other), (is_ready[1], other, one)] {
        if is_ready && let Ok(length) = from.read(&mut packet) {
            to.write_all(&packet[..length]).expect("a packet");
        }
    }
}
