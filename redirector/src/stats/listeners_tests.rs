use std::net::{Ipv4Addr, TcpListener, TcpStream};

use super::*;

fn listener(limit: u32, asked: Option<u32>) -> Listener {
    Listener {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port: 8000,
        process: Some(Holder {
            pid: 7,
            started: 1,
            name: "app".to_owned(),
        }),
        asked,
        limit,
        depth: 0,
        drops: None,
    }
}

fn hint(limit: u32, somaxconn: u32, earlier: Option<u32>) -> String {
    let bounds = Bounds {
        earlier,
        wanted: 1024,
    };
    let listener = listener(limit, bounds.asked(limit, somaxconn));
    listener.hint(somaxconn, &bounds).unwrap_or_default()
}

#[test]
fn hints_say_what_helps() {
    for (limit, somaxconn, earlier, words) in [
        (
            50,
            4096,
            None,
            "its backlog argument is 50: the application itself is the limit",
        ),
        (
            128,
            1024,
            Some(128),
            "restart the application to use the larger somaxconn of 1024",
        ),
        (
            4096,
            8192,
            Some(4096),
            "restart the application to use the larger somaxconn of 8192",
        ),
        (128, 4096, None, "its own argument, or what somaxconn was"),
        (128, 128, None, "raise that, then restart"),
    ] {
        let hint = hint(limit, somaxconn, earlier);
        assert!(hint.contains(words), "{limit} of {somaxconn}: {hint:?}");
        assert!(hint.contains("app (pid 7)"), "{hint:?}");
    }
    for (limit, somaxconn) in [(4096, 4096), (1024, 4096), (2048, 4096), (1024, 1024)] {
        assert_eq!(hint(limit, somaxconn, None), "", "{limit} of {somaxconn}");
    }
}

#[test]
fn what_was_asked_is_only_told_where_it_is_known() {
    let bounds = Bounds {
        earlier: Some(500),
        wanted: 1024,
    };
    for (limit, asked) in [
        (50, Some(50)),
        (500, None),
        (128, None),
        (4096, None),
        (1000, None),
        (0, Some(0)),
    ] {
        assert_eq!(bounds.asked(limit, 1000), asked, "{limit}");
    }
}

#[test]
fn counters_of_the_namespace() {
    let text = "\
TcpExt: SyncookiesSent SyncookiesRecv SyncookiesFailed ListenOverflows ListenDrops New
TcpExt: 1 2 3 4 5 6
IpExt: InNoRoutes ListenDrops
IpExt: 7 8
";
    let counters = Counters::parse(text).unwrap();
    let expected = Counters {
        overflows: 4,
        drops: 5,
        syncookies_sent: 1,
        syncookies_received: 2,
        syncookies_failed: 3,
    };
    assert_eq!(counters, expected);
    assert_eq!(Counters::parse(""), None);
    let rates = counters.since(
        &Counters {
            drops: 1,
            ..counters
        },
        2.0,
    );
    assert_eq!((rates.drops, rates.overflows), (2.0, 0.0));
}

#[test]
fn own_queue_with_its_owner() {
    let own = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = own.local_addr().unwrap();
    let port = Port::new(address.port()).unwrap();
    let read = |targets: &[(Port, Option<IpAddr>)], before: Option<&Listening>| {
        let targets = targets.iter().copied().collect();
        Listening::of(&targets, &Bounds::default(), before).unwrap()
    };
    let first = read(&[(port, None)], None);
    let [listener] = &first.listeners[..] else {
        panic!("{first:?}")
    };
    assert_eq!(
        (listener.address, listener.port),
        (address.ip(), address.port())
    );
    assert_eq!(
        listener.process.as_ref().unwrap().pid.unsigned_abs(),
        std::process::id()
    );
    assert!(first.per_second.is_none());
    let _waiting = TcpStream::connect(address).unwrap();
    let second = read(&[(port, Some(address.ip()))], Some(&first));
    assert_eq!(second.listeners[0].depth, 1);
    assert_eq!(second.listeners[0].process, listener.process);
    assert!(second.per_second.is_some());
    let elsewhere = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    assert!(read(&[(port, elsewhere)], None).listeners.is_empty());
}
