//! Any file: format found out, decompressed, read as a history of registers.
#![no_main]

use std::io::Write;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use shakedown_checker::catalogue::{self, Options};

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a file can be made");
    file.write_all(data).expect("a file can be written");
    let options = Options {
        memory_bytes: 16 << 20,
        time: Some(Duration::from_millis(200)),
        ..Options::default()
    };
    if let Some(model) = catalogue::find("register") {
        let _ = model.check_file(file.path(), None, &options);
    }
});
