use proptest::prelude::*;

use super::*;

#[test]
fn accepts() {
    for (input, canonical) in [
        ("80:8000", "80:8000/tcp"),
        ("80:8000/TCP", "80:8000/tcp"),
        ("443:4430/udp", "443:4430/udp"),
        ("1:65535/both", "1:65535/both"),
        ("203.0.113.5:80:8000", "203.0.113.5:80:8000/tcp"),
        ("127.0.0.1:80:8000", "127.0.0.1:80:8000/tcp"),
        ("[2001:db8::1]:80:8000", "[2001:db8::1]:80:8000/tcp"),
        ("[2001:DB8:0::1]:80:8000/udp", "[2001:db8::1]:80:8000/udp"),
        ("[::ffff:203.0.113.5]:80:8000", "203.0.113.5:80:8000/tcp"),
        ("[203.0.113.5]:80:8000", "203.0.113.5:80:8000/tcp"),
    ] {
        assert_eq!(input.parse::<RuleSpec>().unwrap().to_string(), canonical);
    }
}

#[test]
fn refuses_with_the_word_and_the_way_out() {
    const SHAPE: &str = "expected [ADDRESS:]FROM:TO[/PROTOCOL], \
                         for example 80:8000 or 203.0.113.5:443:4430/tcp";
    for (input, fault) in [
        ("", SHAPE),
        ("80", SHAPE),
        ("eth0", SHAPE),
        ("1:2:3:4", SHAPE),
        ("[2001:db8::1]80:8000", SHAPE),
        ("80:0", "port \"0\" is not between 1 and 65535"),
        ("0:80", "port \"0\" is not between 1 and 65535"),
        ("65536:80", "port \"65536\" is not between 1 and 65535"),
        (
            "80:http",
            "port \"http\" is not a number between 1 and 65535",
        ),
        ("80:", "port \"\" is not a number between 1 and 65535"),
        (
            "+80:8000",
            "port \"+80\" is not a number between 1 and 65535",
        ),
        (
            "-80:8000",
            "port \"-80\" is not a number between 1 and 65535",
        ),
        (
            "80:8000-8010",
            "\"8000-8010\" is a range of ports; write one rule for each port",
        ),
        (
            "80:80",
            "port 80 is redirected to itself; use another port after the colon, or drop the rule",
        ),
        ("80:8000/", "protocol \"\" is not tcp, udp or both"),
        (
            "80:8000/tpc",
            "protocol \"tpc\" is not tcp, udp or both, did you mean `tcp`?",
        ),
        (
            "2001:db8::1:80:8000",
            "an IPv6 address wants brackets: [2001:db8::1]:80:8000",
        ),
        (
            "::1:80:8000/udp",
            "an IPv6 address wants brackets: [::1]:80:8000",
        ),
        (
            "eth0:80:8000",
            "\"eth0\" is not an IP address; interfaces are named apart, with -i or `interfaces`",
        ),
        (
            "[fe80::1%eth0]:80:8000",
            "address \"fe80::1%eth0\" has a zone; leave it out and name the interface, \
             with -i or `interfaces`",
        ),
        (
            "0.0.0.0:80:8000",
            "0.0.0.0 means every address; leave the address out",
        ),
        (
            "[::]:80:8000",
            ":: means every address; leave the address out",
        ),
        (
            "[::ffff:0.0.0.0]:80:8000",
            "0.0.0.0 means every address; leave the address out",
        ),
        (
            "224.0.0.1:80:8000",
            "224.0.0.1 is not the address of one host; \
             use a unicast address or leave the address out",
        ),
        (
            "255.255.255.255:80:8000",
            "255.255.255.255 is not the address of one host; \
             use a unicast address or leave the address out",
        ),
        (
            "[ff02::1]:80:8000",
            "ff02::1 is not the address of one host; \
             use a unicast address or leave the address out",
        ),
    ] {
        let error = input.parse::<RuleSpec>().unwrap_err().to_string();
        assert_eq!(error, format!("rule {input:?}: {fault}"));
    }
}

#[test]
fn an_error_is_one_line() {
    let error = "80:80\n00".parse::<RuleSpec>().unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
}

fn address() -> impl Strategy<Value = Option<IpAddr>> {
    prop_oneof![
        Just(None),
        any::<Ipv4Addr>().prop_map(|address| Some(address.into())),
        any::<Ipv6Addr>().prop_map(|address| Some(address.into())),
        any::<Ipv4Addr>().prop_map(|address| Some(address.to_ipv6_mapped().into())),
    ]
}

proptest! {
    #[test]
    fn display_round_trips(
        protocol in prop_oneof![Just(Protocols::Tcp), Just(Protocols::Udp), Just(Protocols::Both)],
        address in address(),
        from in any::<Port>(),
        to in any::<Port>(),
    ) {
        if let Ok(rule) = RuleSpec::new(protocol, address, from, to) {
            prop_assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }

    #[test]
    fn never_panics(rule in "[0-9a-f:./\\[\\]%-]{0,24}|\\PC{0,24}") {
        _ = rule.parse::<RuleSpec>();
    }
}
