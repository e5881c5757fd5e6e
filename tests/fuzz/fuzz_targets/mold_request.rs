//! Requests for the feed's messages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane::wire::mold::Request;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = Request::parse(bytes) {
        assert_eq!(request.encode()[..], *bytes);
    }
});
