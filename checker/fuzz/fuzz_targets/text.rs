//! Any text, read as each of the text formats and checked against every model. The first two bytes choose the
//! format and the model.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use shakedown_checker::catalogue::{self, Options};
use shakedown_checker::import::{Format, Source};

fuzz_target!(|data: &[u8]| {
    let [format, model, text @ ..] = data else {
        return;
    };
    let format = [Format::Edn, Format::JsonLines, Format::EtcdLog, Format::Lines][usize::from(*format) % 4];
    let model = usize::from(*model) % catalogue::all().count();
    let options = Options {
        memory_bytes: 16 << 20,
        time: Some(Duration::from_millis(200)),
        ..Options::default()
    };
    let text = String::from_utf8_lossy(text).into_owned();
    let Some(source) = Source::of_text(text, Some(format), options.memory_bytes) else {
        return;
    };
    if let Some(model) = catalogue::all().nth(model) {
        let _ = model.check(&source, &options);
    }
});
