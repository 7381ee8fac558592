//! What is found, and what only looks like it.

use super::*;

const ALL: [Kind; 6] = [Kind::Email, Kind::Key, Kind::PrivateKey, Kind::Card, Kind::Iban, Kind::Ip];

fn found(text: &str) -> Vec<(Kind, &str)> {
    all(text, &ALL).into_iter().map(|one| (one.kind, &text[one.start..one.end])).collect()
}

#[test]
fn each_kind_is_found_to_its_last_character() {
    for (text, expected) in [
        ("write to jo.doe+x@mail.example.com.", (Kind::Email, "jo.doe+x@mail.example.com")),
        ("<a@b.test>", (Kind::Email, "a@b.test")),
        ("schreib an grüße.an@beispiel.test, bitte", (Kind::Email, "e.an@beispiel.test")),
        (
            concat!("key=sk-", "proj-abcDEF0123456789abcd."),
            (Kind::Key, concat!("sk-", "proj-abcDEF0123456789abcd")),
        ),
        (
            concat!("(ghp_", "0123456789abcdefghijABCDEFGHIJ012345)"),
            (Kind::Key, concat!("ghp_", "0123456789abcdefghijABCDEFGHIJ012345")),
        ),
        (concat!("AKIA", "IOSFODNN7EXAMPLE"), (Kind::Key, concat!("AKIA", "IOSFODNN7EXAMPLE"))),
        (
            concat!("Bearer eyJ", "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLXRoaXM!"),
            (Kind::Key, concat!("eyJ", "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLXRoaXM")),
        ),
        ("pay 4111 1111 1111 1111 now", (Kind::Card, "4111 1111 1111 1111")),
        ("5500-0000-0000-0004", (Kind::Card, "5500-0000-0000-0004")),
        ("IBAN DE89 3704 0044 0532 0130 00 BIC", (Kind::Iban, "DE89 3704 0044 0532 0130 00")),
        ("GB82WEST12345698765432.", (Kind::Iban, "GB82WEST12345698765432")),
        ("host 192.168.1.20.", (Kind::Ip, "192.168.1.20")),
    ] {
        assert_eq!(found(text), [expected], "{text}");
    }
    let block = concat!("-----BEGIN RSA ", "PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----");
    assert_eq!(found(&format!("a\n{block}\nb")), [(Kind::PrivateKey, block)]);
    let cut = concat!("-----BEGIN ", "PRIVATE KEY-----\nMIIE");
    assert_eq!(found(cut), [(Kind::PrivateKey, cut)], "one that was cut off is one too");
}

#[test]
fn what_only_looks_like_it_is_left_alone() {
    for text in [
        "",
        concat!("@home and @@ and a@b and a@b", ".c and user@localhost"),
        "sk-learn-is-a-wonderful-library-for-it",
        "sk-short1",
        "4111 1111 1111 1112",
        "0000000000000000",
        "order 4111111111111111234567",
        "DE00 3704 0044 0532 0130 00",
        "DEAD BEEF CAFE 1234",
        "version 1.2.3 and 999.1.1.1",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "eyJ.eyJ.x",
        "你好 👋 ñandú",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn findings_do_not_overlap_and_only_the_wanted_kinds_count() {
    let text = "a@b.example,c@d.example 4111111111111111a@b.example";
    let all_of = found(text);
    assert!(all_of.len() >= 3, "{all_of:?}");
    let places = all(text, &ALL);
    assert!(places.windows(2).all(|pair| pair[0].end <= pair[1].start), "{places:?}");
    assert_eq!(all(text, &[Kind::Iban]), []);
}

#[test]
fn any_bytes_are_searched_without_a_panic() {
    let mut state = 7_u64;
    let pieces =
        ["@", "a", ".com", "sk-", "eyJ", "-----BEGIN ", "PRIVATE KEY-----", "4", "é", "DE8", " ", "."];
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
        }
        for one in all(&text, &ALL) {
            assert!(text.is_char_boundary(one.start) && text.is_char_boundary(one.end), "{text}");
        }
    }
}

#[test]
fn every_prefix_passes_the_first_look() {
    for (prefix, least) in token::PREFIXES {
        let key = format!("{}{}", std::str::from_utf8(prefix).unwrap(), "a1".repeat(least));
        assert_eq!(found(&key), [(Kind::Key, key.as_str())]);
    }
}
