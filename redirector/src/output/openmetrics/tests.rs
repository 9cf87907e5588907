use super::*;

#[test]
fn what_is_not_loaded_has_metrics_too() {
    let status = status::Document::not_loaded("web".parse().unwrap());
    let text = text(&status, None).unwrap();
    assert!(text.contains("redirector_loaded{name=\"web\"} 0"), "{text}");
    assert!(text.contains("redirector_build_info{version=\""), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn no_series_is_there_twice() {
    let interface = |attached| status::Interface {
        name: "eth0".to_owned(),
        ifindex: Some(2),
        hook: Some("tcx"),
        attached,
        help: None,
        neighbours: Vec::new(),
        neighbours_unread: Vec::new(),
    };
    let mut status = status::Document::not_loaded("web".parse().unwrap());
    status.interfaces = vec![interface(false), interface(true)];
    let text = text(&status, None).unwrap();
    let mut lines = text
        .lines()
        .filter(|line| line.starts_with("redirector_interface_attached"));
    assert!(lines.next().unwrap().ends_with(" 0.0"), "{text}");
    assert_eq!(lines.next(), None);
}
