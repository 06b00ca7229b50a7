//! Tables in the documentation that come from the code are as the code has them; with `UPDATE_DOCS=1` they are written.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read what it checks should stop"
)]

mod docs;

use shakedown::fault_catalogue::with_tables;

use docs::{pages, read, repository};

#[test]
fn generated_tables_in_the_docs_are_up_to_date() {
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut stale = Vec::new();
    for page in pages() {
        let text = read(&page);
        let fresh = with_tables(&text).unwrap_or_else(|error| panic!("{page}: {error}"));
        if fresh == text {
            continue;
        }
        if update {
            std::fs::write(repository().join(&page), fresh).unwrap();
        } else {
            stale.push(page);
        }
    }
    assert!(
        stale.is_empty(),
        "generated tables are out of date in {}; this writes them: \
         UPDATE_DOCS=1 cargo test -p shakedown --test docs_generated",
        stale.join(", ")
    );
}
