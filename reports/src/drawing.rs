//! Drawings of what models found: made when the history was judged, shown among a scenario's pictures.

use std::path::Path;

use crate::picture::Picture;
use crate::results::{ModelFinding, ModelResult, ScenarioResults};

/// Drawings shown of each model; its page has all.
const SHOWN: usize = 2;
/// A larger drawing is left to the model's page.
const LARGEST_BYTES: u64 = 512 << 10;

/// The drawings of a scenario's findings, read from the run directory `run`; their files will be in `directory`,
/// relative to the report, with names that begin with `name`.
pub(crate) fn drawings(
    scenario: &ScenarioResults,
    run: &Path,
    directory: &str,
    name: &str,
) -> Vec<Picture> {
    let models = scenario.models.iter();
    let shown = models.flat_map(|model| {
        let drawn = model.findings.iter().enumerate();
        let drawn =
            drawn.filter_map(|(at, finding)| Some((at, finding, finding.drawing.as_ref()?)));
        drawn
            .take(SHOWN)
            .map(move |(at, finding, drawing)| (model, at, finding, drawing))
    });
    shown
        .map(|(model, at, finding, drawing)| {
            let path = format!("{directory}/{name}-{}-{}.svg", model.model, at + 1);
            let (svg, failure) = match read(&run.join(drawing)) {
                Ok(svg) => (svg, String::new()),
                Err(reason) => (String::new(), format!("{drawing}: {reason}")),
            };
            picture(model, finding, path, svg, failure)
        })
        .collect()
}

fn picture(
    model: &ModelResult,
    finding: &ModelFinding,
    path: String,
    svg: String,
    failure: String,
) -> Picture {
    Picture {
        title: format!("What {} found: {}", model.model, finding.about),
        alt: finding.reason.clone(),
        path,
        svg,
        failure,
    }
}

fn read(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if size > LARGEST_BYTES {
        return Err(format!("too large to be shown here ({size} bytes)"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn a_drawing_is_shown_from_the_run_directory_and_missed_with_its_reason() {
        let results = example::suite();
        let scenario = results
            .scenarios
            .iter()
            .find(|s| !s.models.is_empty())
            .unwrap();
        let run = tempfile::tempdir().unwrap();
        let missing = drawings(scenario, run.path(), "plots", "set");
        assert_eq!(missing.len(), 1);
        assert!(missing[0].failure.contains("No such file"), "{missing:?}");
        let file = scenario.models[1].findings[0].drawing.as_ref().unwrap();
        let path = run.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "<svg></svg>").unwrap();
        let shown = drawings(scenario, run.path(), "plots", "set");
        assert_eq!(shown[0].svg, "<svg></svg>");
        assert_eq!(shown[0].path, "plots/set-set-full-1.svg");
    }
}
