//! Any text, read as each of the text formats and checked against every model. The first byte chooses both.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use shakedown_checker::catalogue::{MODELS, Options};
use shakedown_checker::import::{Format, Source};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, text)) = data.split_first() else {
        return;
    };
    let choice = usize::from(choice);
    let format = [Format::Edn, Format::JsonLines, Format::EtcdLog, Format::Lines][choice % 4];
    let model = &MODELS[choice / 4 % MODELS.len()];
    let options = Options {
        memory_bytes: 16 << 20,
        time: Some(Duration::from_millis(200)),
        ..Options::default()
    };
    let text = String::from_utf8_lossy(text).into_owned();
    if let Some(source) = Source::of_text(text, Some(format), options.memory_bytes) {
        let _ = model.check(&source, &options);
    }
});
