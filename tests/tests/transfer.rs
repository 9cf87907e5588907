//! Bulk data through a redirected port arrives whole.

use integration::datapath::Datapath;
use integration::netns::Offloads;
use integration::scale;
use integration::server::{Connection, Listener};
use integration::topology::{LOOPBACK, Lan, SERVER};
use integration::transfer::transfer;

const MIB_OF_A_GIB: u64 = 1024;

/// One download and one upload per case, of so many MiB each. Without offloads every segment
/// is a packet of its own.
#[test]
fn bytes_hash_equal_both_ways() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let _redirected = Datapath::under_test().redirect(&lan.server, &["80:8000"]);
    for (from, [v4, v6], offloads, [mib_v4, mib_v6]) in [
        (
            &lan.client,
            SERVER.both(80),
            Offloads::On,
            [MIB_OF_A_GIB, MIB_OF_A_GIB / 4],
        ),
        (&lan.client, SERVER.both(80), Offloads::Off, [64, 64]),
        (&lan.server, LOOPBACK.both(80), Offloads::On, [256, 64]),
    ] {
        lan.offloads(offloads);
        for (to, mib) in [(v4, scale(mib_v4)), (v6, scale(mib_v6))] {
            let Connection {
                mut client,
                mut server,
            } = Connection::open(from, to, &listener);
            let (sent, received) = transfer(&mut server, &mut client, mib);
            assert_eq!(
                sent, received,
                "download of {mib} MiB, {to}, offloads {offloads:?}"
            );
            let (sent, received) = transfer(&mut client, &mut server, mib);
            assert_eq!(
                sent, received,
                "upload of {mib} MiB, {to}, offloads {offloads:?}"
            );
        }
    }
    lan.assert_no_bad_checksum();
}
