//! Finds libsrtp, and says what to do if it is not there.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let found = Command::new("pkg-config").args(["--exists", "libsrtp2"]).status().is_ok_and(|status| status.success());
    if found {
        println!("cargo::rustc-link-lib=srtp2");
    } else {
        println!("cargo::error=libsrtp is missing; on Debian: apt-get install libsrtp2-dev pkg-config");
    }
}
