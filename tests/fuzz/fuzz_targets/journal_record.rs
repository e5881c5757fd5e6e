//! One record of the journal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane::wire::record::Record;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(record)) = Record::parse(bytes) {
        assert!(record.header.record_bytes() <= bytes.len());
        assert_eq!(record.payload.len(), record.header.length.get() as usize);
    }
});
