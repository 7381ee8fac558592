//! Where requests may go, and where not.

use super::*;

fn ask(allowed: &[&str], url: &str) -> Result<OutboundRequest, OutboundError> {
    let allowed: Vec<_> = allowed.iter().map(|text| Destination::parse(text).unwrap()).collect();
    check(
        &allowed,
        OutboundRequest {
            method: "POST".to_owned(),
            url: url.to_owned(),
            headers: vec![("x-a".to_owned(), "b".to_owned())],
            body: Vec::new(),
            timeout: Duration::from_mins(1),
        },
    )
}

#[test]
fn only_listed_destinations_are_reached() {
    let allowed = ["https://api.example.com/v1", "http://metrics.example.com:9090"];
    for url in [
        "https://api.example.com/v1",
        "https://API.example.com:443/v1/x?y=z",
        "http://metrics.example.com:9090/anything",
    ] {
        assert_eq!(ask(&allowed, url).unwrap().timeout, MAX_TIMEOUT, "{url}");
    }
    for url in [
        "http://api.example.com/v1",
        "https://api.example.com/v10",
        "https://api.example.com/",
        "https://api.example.com/v1/../admin",
        "https://api.example.com/v1/%2E%2e/admin",
        "https://api.example.com:8443/v1",
        "https://api.example.com@evil.example/v1",
        "https://evil.example/v1",
        "http://metrics.example.com/",
        "file:///etc/passwd",
        "/v1",
        "",
    ] {
        assert!(matches!(ask(&allowed, url), Err(OutboundError::Denied(_))), "{url}");
    }
    assert!(ask(&[], "https://api.example.com/v1").is_err(), "an empty list allows nothing");
}

#[test]
fn a_listed_address_must_still_be_public() {
    assert!(ask(&["https://8.8.8.8"], "https://8.8.8.8/x").is_ok());
    for inside in ["https://127.0.0.1", "https://[::1]", "https://169.254.169.254"] {
        let error = ask(&[inside], inside).unwrap_err();
        assert!(error.to_string().contains("not a public address"), "{error}");
    }
}

#[test]
fn headers_of_the_connection_and_split_lines_are_refused() {
    let allowed = [Destination::parse("https://a.example").unwrap()];
    for (name, value) in [("Host", "b"), ("content-length", "1"), ("x", "a\r\nb: c"), ("a b", "c"), ("", "")]
    {
        let request = OutboundRequest {
            method: "GET".to_owned(),
            url: "https://a.example/".to_owned(),
            headers: vec![(name.to_owned(), value.to_owned())],
            body: Vec::new(),
            timeout: Duration::ZERO,
        };
        assert!(check(&allowed, request).is_err(), "{name}");
    }
}

#[test]
fn entries_of_the_list_are_plain() {
    for text in ["https://u:p@a.example", "https://a.example/?q", "ftp://a.example", "a.example", "https://"]
    {
        assert!(Destination::parse(text).is_err(), "{text}");
    }
}

#[test]
fn addresses_set_apart_are_not_public() {
    for inside in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.8.8.8",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:db8::1",
        "2001::1",
        "fc00::1",
        "fe80::1",
        "ff02::1",
        "3fff::1",
    ] {
        assert!(!is_public(inside.parse().unwrap()), "{inside}");
    }
    for outside in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "192.1.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]
    {
        assert!(is_public(outside.parse().unwrap()), "{outside}");
    }
}
