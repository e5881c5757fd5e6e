//! A whole log file: its header, then records, each following the one before.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane::wire::record::{LogHeader, RECORDS_START, Record};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = LogHeader::parse(bytes) else { return };
    let Some(mut rest) = bytes.get(RECORDS_START..) else { return };
    let mut link = file.link();
    while let Ok(Some(record)) = Record::parse(rest) {
        if record.follows(link).is_err() {
            return;
        }
        link = record.header.link();
        rest = &rest[record.header.record_bytes()..];
    }
});
