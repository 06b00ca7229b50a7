//! Structure of the timelines: what must be there, and that nothing lies on anything else.

use super::*;
use crate::example;
use crate::results::{CheckpointResult, FaultResult, ScenarioResults, Span, TimelinePoint};

/// Every text element of an SVG: its anchor, position, size and content.
fn texts(svg: &str) -> Vec<(String, f64, f64, f64, String)> {
    svg.split("<text ")
        .skip(1)
        .map(|element| {
            let (attributes, rest) = element.split_once('>').unwrap();
            let attribute = |name: &str| {
                let start = attributes.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
                attributes[start..].split('"').next().unwrap().to_owned()
            };
            let number = |name: &str| attribute(name).parse::<f64>().unwrap();
            let content = rest.split("</text>").next().unwrap().trim().to_owned();
            (
                attribute("text-anchor"),
                number("x"),
                number("y"),
                number("font-size"),
                content,
            )
        })
        .collect()
}

/// The box each text fills, with the width of a wide sans-serif font.
fn boxes(svg: &str) -> Vec<([f64; 4], String)> {
    texts(svg)
        .into_iter()
        .filter(|(.., content)| !content.is_empty())
        .map(|(anchor, x, y, size, content)| {
            let width = content.chars().count() as f64 * size * 0.6;
            let left = match anchor.as_str() {
                "start" => x,
                "middle" => x - width / 2.0,
                _ => x - width,
            };
            (
                [left, y - size * 0.55, left + width, y + size * 0.55],
                content,
            )
        })
        .collect()
}

fn assert_no_text_overlaps(svg: &str) {
    assert!(boxes(svg).len() > 10, "only {} texts", boxes(svg).len());
    assert_texts_apart(svg);
}

fn assert_texts_apart(svg: &str) {
    let boxes = boxes(svg);
    for (i, ([left, top, right, bottom], content)) in boxes.iter().enumerate() {
        assert!(
            *left >= 0.0 && *right <= f64::from(WIDTH),
            "beyond the edge: {content}"
        );
        for ([l, t, r, b], other) in &boxes[i + 1..] {
            let apart = right <= l || r <= left || bottom <= t || b <= top;
            assert!(apart, "{content} overlaps {other}");
        }
    }
}

/// A run of `length` seconds with a cutover in its middle that takes 200 ms, and `faults` faults.
fn long_run(length: u32, faults: u32) -> ScenarioResults {
    let mut scenario = example::suite().scenarios.swap_remove(0);
    let at = |seconds: f64| (seconds * 1e9) as u64;
    let whole = f64::from(length);
    scenario.phases = [
        "dual_write_migrating",
        "cutover_draining",
        "cutover_delta_pass",
        "cutover_activate",
    ]
    .iter()
    .enumerate()
    .map(|(i, name)| Span {
        name: (*name).into(),
        start_ns: at(whole / 2.0 + i as f64 * 0.05),
        end_ns: at(whole / 2.0 + (i + 1) as f64 * 0.05),
    })
    .collect();
    scenario.faults = (0..faults)
        .map(|i| {
            let start = whole * f64::from(i) / 14.0;
            FaultResult {
                name: format!("fault-with-a-long-name-{i}"),
                start_ns: at(start),
                end_ns: at(start + whole * f64::from(1 + i % 4) / 12.0),
                ..scenario_fault()
            }
        })
        .collect();
    scenario.stages.clear();
    scenario.checkpoints = vec![CheckpointResult {
        time_ns: at(whole),
        ..example::suite().scenarios[0].checkpoints[0].clone()
    }];
    scenario.timeline = (0..length)
        .map(|second| TimelinePoint {
            second,
            ok: 4_000 + second * 37 % 900,
            failed: if second % 60 > 40 { 80 } else { 0 },
            indeterminate: if second % 97 == 3 { 400 } else { 0 },
            p50_us: 900 + u64::from(second * 53 % 200),
            p99_us: if second % 60 > 40 {
                800_000
            } else {
                20_000 + u64::from(second * 631 % 9_000)
            },
        })
        .collect();
    scenario
}

fn scenario_fault() -> FaultResult {
    example::suite().scenarios[0].faults[0].clone()
}

fn half_a_second() -> ScenarioResults {
    let mut scenario = example::suite().scenarios.swap_remove(0);
    let ms = 1_000_000;
    let span = |name: &str, start, end| Span {
        name: name.into(),
        start_ns: start * ms,
        end_ns: end * ms,
    };
    scenario.duration_ms = 500;
    scenario.phases = vec![
        span("dual_write_migrating", 100, 320),
        span("cutover_begin", 320, 321),
        span("cutover_draining", 321, 330),
        span("complete", 330, 330),
    ];
    scenario.faults[0].start_ns = 90 * ms;
    scenario.faults[0].end_ns = 330 * ms;
    scenario.checkpoints[0].time_ns = 500 * ms;
    scenario.stages.clear();
    scenario.timeline.truncate(1);
    scenario
}

/// Every shape of scenario, by name.
fn cases() -> Vec<(String, ScenarioResults)> {
    let mut cases: Vec<(String, ScenarioResults)> = example::suite()
        .scenarios
        .into_iter()
        .map(|s| (s.name.clone(), s))
        .collect();
    cases.push(("half-a-second".into(), half_a_second()));
    cases.push(("ten-minutes-without-faults".into(), long_run(600, 0)));
    cases.push(("ten-minutes-with-12-faults".into(), long_run(600, 12)));
    cases.push(("an-hour".into(), long_run(3_600, 3)));
    cases
}

#[test]
fn no_text_lies_on_another_however_short_the_phases_and_many_the_faults() {
    for (name, scenario) in cases() {
        let svg = timeline_svg(&scenario).unwrap();
        println!("{name}");
        assert_no_text_overlaps(&svg);
    }
}

#[test]
fn every_name_is_written_once() {
    for scenario in &example::suite().scenarios {
        let texts: Vec<String> = texts(&timeline_svg(scenario).unwrap())
            .into_iter()
            .map(|text| text.4)
            .collect();
        let times = |wanted: &str| texts.iter().filter(|text| *text == wanted).count();
        for phase in &scenario.phases {
            assert_eq!(times(&phase.name), 1, "{}", phase.name);
        }
        for fault in &scenario.faults {
            assert_eq!(times(&format!("fault {}", fault.name)), 1, "{}", fault.name);
        }
        for checkpoint in &scenario.checkpoints {
            assert_eq!(times(&format!("checkpoint {}", checkpoint.name)), 1);
        }
    }
}

#[test]
fn markup_in_names_is_escaped() {
    let mut scenario = half_a_second();
    scenario.faults[0].name = "<b>&\"'".into();
    let svg = timeline_svg(&scenario).unwrap();
    assert!(svg.contains("&lt;b&gt;&amp;"), "not escaped");
    assert!(!svg.contains("<b>"));
}

#[test]
fn a_run_without_operations_says_so() {
    let mut scenario = half_a_second();
    scenario.timeline.clear();
    assert!(
        timeline_svg(&scenario)
            .unwrap()
            .contains("no operations were recorded")
    );
}

#[test]
fn no_text_of_any_other_picture_lies_on_another() {
    for scenario in example::suite().scenarios {
        for kind in KINDS.iter().filter(|kind| (kind.has)(&scenario)).skip(1) {
            println!("{} of {}", kind.title, scenario.name);
            let svg = (kind.draw)(&scenario).unwrap();
            assert_texts_apart(&svg);
            if let Some(dir) = std::env::var_os("TIMELINES_DIR") {
                let name = format!("{}{}.svg", scenario.name, kind.suffix);
                std::fs::write(std::path::Path::new(&dir).join(name), svg).unwrap();
            }
        }
    }
}

/// Writes the timelines to the directory named by the environment, for looking at.
#[test]
fn timelines_are_whole_documents() {
    let dir = tempfile::tempdir().unwrap();
    let dir = std::env::var_os("TIMELINES_DIR").map_or(dir.path().to_owned(), Into::into);
    for (name, scenario) in cases() {
        let svg = timeline_svg(&scenario).unwrap();
        assert!(svg.starts_with("<svg width=\"1000\""), "{name}");
        assert!(svg.ends_with("</svg>\n"), "{name}");
        assert!(svg.len() < 1_000_000, "{name}: {} bytes", svg.len());
        std::fs::write(dir.join(format!("{name}.svg")), svg).unwrap();
    }
}
