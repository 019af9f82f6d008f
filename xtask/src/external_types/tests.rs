use serde_json::json;

use super::*;

/// What rustdoc said of `testdata/leak/lib.rs`, without documentation and without what none of its items names.
fn leaky() -> Value {
    serde_json::from_str(include_str!("../../testdata/leak/api.json")).expect("the stored file is JSON")
}

#[test]
fn every_leak_is_told_with_its_line() {
    let found = leaks("plenary-leak", &leaky(), &[]).unwrap();
    for leak in [
        "plenary-leak: src/lib.rs:1: bytes::buf::buf_impl::Buf is of bytes",
        "plenary-leak: src/lib.rs:7: bytes::bytes::Bytes is of bytes",
        "plenary-leak: src/lib.rs:11: rand_core::TryRng is of rand_core",
        "plenary-leak: src/lib.rs:13: rand_core::TryRng is of rand_core",
        "plenary-leak: src/lib.rs:32: packed is of packed",
    ] {
        assert!(found.iter().any(|line| line == leak), "{leak}");
    }
    // The private field of line 3 and the body of line 28 are no API; what is for all types is not of this crate.
    for line in ["rs:3:", "rs:26:", "rs:27:", "rs:28:", "elsewhere"] {
        assert!(!found.iter().any(|leak| leak.contains(line)), "{line}");
    }
}

#[test]
fn what_is_allowed_is_so_for_one_package() {
    let allowed = [("plenary-leak", "bytes", "a test"), ("plenary-other", "rand_core", "a test")];
    let left = leaks("plenary-leak", &leaky(), &allowed).unwrap();
    assert!(left.iter().any(|leak| leak.ends_with("of rand_core")), "{left:?}");
    assert!(!left.iter().any(|leak| leak.ends_with("of bytes")), "{left:?}");
}

#[test]
fn our_own_crates_and_the_standard_library_may_stand_everywhere() {
    let text = leaky().to_string();
    for ours in ["core", "plenary_wire"] {
        let renamed = text.replace("\"name\":\"bytes\"", &format!("\"name\":\"{ours}\""));
        let left = leaks("plenary-leak", &serde_json::from_str(&renamed).unwrap(), &[]).unwrap();
        assert!(!left.iter().any(|leak| leak.contains("Bytes")), "{left:?}");
    }
}

// A glob or a macro is not always known by path.
#[test]
fn a_reexport_that_is_not_known_by_path_is_told_by_its_first_word() {
    let reexport = |source: &str| {
        let item = json!({"crate_id": 0, "inner": {"use": {"source": source, "id": 7, "is_glob": true}}});
        leaks("plenary-a", &json!({"index": {"1": item}, "paths": {}, "external_crates": {}}), &[]).unwrap()
    };
    assert_eq!(reexport("bytes::buf"), ["plenary-a: bytes::buf is of bytes"]);
    assert_eq!(reexport("::bytes"), ["plenary-a: ::bytes is of bytes"]);
    assert_eq!(reexport("crate::packet"), [""; 0]);
    assert_eq!(reexport("std::fmt"), [""; 0]);
}

#[test]
fn json_of_another_form_is_no_clean_crate() {
    for other in [json!({}), json!({"index": {}, "paths": {}, "external_crates": {}}), json!([1])] {
        assert!(leaks("plenary-a", &other, &[]).is_err());
    }
}
