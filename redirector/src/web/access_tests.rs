use axum::body::Body;

use super::*;

const SECRET: &str = "0123456789abcdef";

fn request(path: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

#[test]
fn without_a_token_only_loopback_names_lead_in() {
    let access = Access::new(None).unwrap();
    let check = |host: &str| {
        access
            .check(&request("/api/v1/stats", &[("host", host)]))
            .is_ok()
    };
    for host in [
        "localhost",
        "LOCALHOST:9180",
        "127.0.0.1:1",
        "127.9.9.9",
        "[::1]:9180",
        "[::1]",
    ] {
        assert!(check(host), "{host}");
    }
    for host in [
        "",
        "evil.example",
        "evil.example:9180",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.0.2.1:9180",
        "[::2]",
        ":9180",
    ] {
        assert!(!check(host), "{host}");
    }
    assert!(access.check(&request("/", &[])).is_err());
    let two = [("host", "localhost"), ("host", "evil.example")];
    assert!(access.check(&request("/", &two)).is_err());
    let absolute = request("http://evil.example/", &[("host", "localhost")]);
    assert!(access.check(&absolute).is_err());
}

#[test]
fn no_page_of_another_site_reads() {
    let access = Access::new(None).unwrap();
    let check = |site, mode| {
        let headers = [
            ("host", "localhost"),
            ("sec-fetch-site", site),
            ("sec-fetch-mode", mode),
        ];
        access.check(&request("/api/v1/events", &headers)).is_ok()
    };
    assert!(check("same-origin", "cors"));
    assert!(check("none", "navigate"));
    assert!(check("cross-site", "navigate"));
    assert!(!check("cross-site", "no-cors"));
    assert!(!check("same-site", "cors"));
}

#[test]
fn a_token_opens_and_nothing_else_does() {
    let access = Access::new(Some(Token::new(SECRET).unwrap())).unwrap();
    let session = format!("other=1; {COOKIE}={}", access.session.0);
    let bearer = format!("bearer {SECRET}");
    for (name, value, opens) in [
        ("authorization", bearer.as_str(), true),
        ("cookie", session.as_str(), true),
        ("authorization", "Bearer 0123456789abcdeF", false),
        ("authorization", "Bearer ", false),
        ("authorization", SECRET, false),
        ("cookie", "redirector=", false),
        ("cookie", "redirector=0123456789abcdef", false),
        ("host", "localhost", false),
    ] {
        let check = access.check(&request("/metrics", &[(name, value)]));
        assert_eq!(check.is_ok(), opens, "{name}: {value}");
    }
    for path in ["/assets/page.js", "/login", "/healthz"] {
        assert!(access.check(&request(path, &[])).is_ok(), "{path}");
    }
    assert!(matches!(
        access.check(&request("/", &[])),
        Err(Refusal::ToLogin)
    ));
    let other = Access::new(Some(Token::new(SECRET).unwrap())).unwrap();
    assert!(
        other
            .check(&request("/metrics", &[("cookie", &session)]))
            .is_err()
    );
}

#[test]
fn tokens_are_long_and_plain() {
    assert!(matches!(Token::new("short\n"), Err(TokenError::Short(5))));
    assert!(matches!(
        Token::new("0123456789 abcdef"),
        Err(TokenError::Characters)
    ));
    assert!(Token::new(&format!(" {SECRET}\n")).unwrap().is(SECRET));
}
