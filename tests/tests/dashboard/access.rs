//! Who gets in, and who does not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use integration::dashboard::Dashboard;
use integration::process::{Background, run};
use integration::redirector::Instance;
use integration::topology::{Lan, SERVER};

use crate::RULES;

#[test]
fn only_this_host_reaches_it_by_its_own_names() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let port = dashboard.address.port();
    for (host, status) in [
        (format!("localhost:{port}"), 200),
        (format!("127.0.0.1:{port}"), 200),
        (format!("evil.example:{port}"), 421),
        ("192.0.2.1".to_owned(), 421),
    ] {
        for path in ["/", "/api/v1/stats", "/metrics", "/healthz"] {
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            assert_eq!(dashboard.ask(&request).status, status, "{host} {path}");
        }
    }
    let foreign = dashboard.get("/api/v1/stats", &["sec-fetch-site: cross-site"]);
    assert_eq!(foreign.status, 403);
    let page = dashboard.get("/", &[]);
    for line in [
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'",
        "x-content-type-options: nosniff",
    ] {
        assert!(page.headers.contains(line), "{line}: {}", page.headers);
    }
    for word in ["<style", " style=", "onclick", "http://", "https://"] {
        assert!(!page.body.contains(word), "{word} in the page");
    }
}

#[test]
fn others_need_a_token() {
    const SECRET: &str = "correct-horse-battery-staple";
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let directory = Background::directory();
    let file = directory.path().join("token");
    fs::write(&file, format!("{SECRET}\n")).expect("a token");
    let file = file.display();
    for (arguments, code, words) in [
        ("--listen 0.0.0.0:9180".to_owned(), 2, "--allow-remote"),
        ("--listen [::]:9180".to_owned(), 2, "--allow-remote"),
        (
            "--listen 0.0.0.0:9180 --allow-remote".to_owned(),
            2,
            "--token-file",
        ),
        ("--token-file /nonexistent".to_owned(), 2, "/nonexistent"),
        ("--listen 9180".to_owned(), 2, "9180"),
    ] {
        let output = instance.run("dashboard", &arguments);
        assert_eq!(output.code, Some(code), "{arguments}: {output:#?}");
        assert!(output.stderr.contains(words), "{arguments}: {output:#?}");
    }
    // Nor does one that cannot be read leave the door open.
    let mut command = instance.command("dashboard", "--listen 127.0.0.1:0");
    let unreadable = OsStr::from_bytes(b"correct-horse-\xff-staple");
    let output = run(command.env("REDIRECTOR_TOKEN", unreadable));
    assert_eq!(output.code, Some(2), "{output:#?}");
    assert!(output.stderr.contains("characters"), "{output:#?}");

    let arguments = format!("--listen 0.0.0.0:0 --allow-remote --token-file {file}");
    let dashboard = Dashboard::of(&instance, &mut instance.command("dashboard", &arguments));
    let to = format!("http://{}:{}", SERVER.v4, dashboard.address.port());
    let curl = |arguments: &[&str]| {
        let mut command = lan.client.command("curl");
        command.args(["--silent", "--noproxy", "*", "--max-time", "10"]);
        let output = run(command.args(arguments));
        output.success("curl")
    };
    let code = |path: &str, arguments: &[&str]| {
        let url = format!("{to}{path}");
        let mut all = vec!["--output", "/dev/null", "--write-out", "%{http_code}", &url];
        all.extend(arguments);
        curl(&all)
    };
    let bearer = format!("authorization: Bearer {SECRET}");
    for path in [
        "/api/v1/status",
        "/api/v1/stats",
        "/api/v1/flows",
        "/api/v1/history",
        "/metrics",
    ] {
        assert_eq!(code(path, &[]), "401", "{path}");
        assert_eq!(
            code(path, &["-H", "authorization: Bearer wrong"]),
            "401",
            "{path}"
        );
        assert_eq!(code(path, &["-H", &bearer]), "200", "{path}");
    }
    assert_eq!(code("/api/v1/events", &[]), "401");
    assert_eq!(code("/healthz", &[]), "200");
    assert_eq!(code("/", &[]), "303");
    assert_eq!(code("/login", &["--data", "token=wrong"]), "401");

    let jar = directory.path().join("jar").display().to_string();
    let login = format!("{to}/login");
    curl(&[
        "--cookie-jar",
        &jar,
        "--data-urlencode",
        &format!("token={SECRET}"),
        &login,
    ]);
    let cookie = fs::read_to_string(&jar).expect("a cookie");
    assert!(cookie.contains("#HttpOnly_"), "{cookie}");
    assert!(!cookie.contains(SECRET), "{cookie}");
    assert_eq!(code("/", &["--cookie", &jar]), "200");
    assert_eq!(code("/api/v1/stats", &["--cookie", &jar]), "200");
    let large = "x".repeat(10_000);
    assert_eq!(
        code("/login", &["--data", &format!("token={large}")]),
        "413"
    );

    // More than ten a minute, by whatever way; the host's own address is another one.
    let guess = |number: u32| match number % 2 {
        0 => code("/login", &["--data", &format!("token=guess-{number}")]),
        _ => code("/metrics", &["-H", "authorization: Bearer wrong"]),
    };
    let answers: Vec<_> = (0..11).map(guess).collect();
    assert_eq!(answers.last().map(String::as_str), Some("429"));
    let page = curl(&["--include", "--data", &format!("token={SECRET}"), &login]);
    assert!(page.contains("429 Too Many Requests"), "{page}");
    assert!(page.to_lowercase().contains("retry-after: "), "{page}");
    assert!(page.contains("too many wrong tokens"), "{page}");
    assert_eq!(code("/metrics", &["-H", &bearer]), "429");
    assert_eq!(code("/metrics", &[]), "401");
    assert_eq!(code("/api/v1/stats", &["--cookie", &jar]), "200");
    assert_eq!(dashboard.get("/metrics", &[&bearer]).status, 200);
}
