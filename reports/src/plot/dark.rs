//! Colours that follow the viewer's setting: rules in the SVG itself replace the palette where dark is preferred.

/// Every colour of the palette, and what takes its place on a dark page.
const PALETTE: [(&str, &str); 19] = [
    ("#FFFFFF", "#16181B"),
    ("#000000", "#FFFFFF"),
    ("#222222", "#E4E4E4"),
    ("#666666", "#A5A9AE"),
    ("#DDDDDD", "#34383D"),
    ("#5B84B1", "#7FA9D6"),
    ("#B23A1E", "#FF8A6B"),
    ("#005FA8", "#6CB6FF"),
    ("#C01C1C", "#FF7B72"),
    ("#8A4F9E", "#D2A8FF"),
    ("#A65E00", "#F0B35A"),
    ("#2E7D5B", "#6FCF9F"),
    ("#7A6A00", "#D9C94F"),
    ("#B0447F", "#FF9BCB"),
    ("#4F6D7A", "#9FC3D1"),
    ("#F6D5CC", "#5A2A1F"),
    ("#E8917A", "#A64A32"),
    ("#E3EDE7", "#22352B"),
    ("#F5E9C4", "#4A3F1B"),
];

/// The picture with the rules added. Presentation attributes yield to any rule, so the light colours stay as
/// they are for viewers that know no style sheets.
pub(super) fn follow_viewer(svg: &str) -> String {
    let mut rules = String::from("<style>@media (prefers-color-scheme: dark){");
    for (light, dark) in PALETTE {
        for attribute in ["fill", "stroke"] {
            rules.push_str(&format!("[{attribute}=\"{light}\"]{{{attribute}:{dark}}}"));
        }
    }
    rules.push_str("}</style>");
    match svg.find('>') {
        Some(end) => format!("{}\n{rules}{}", &svg[..=end], &svg[end + 1..]),
        None => svg.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::example;
    use crate::plot::KINDS;

    #[test]
    fn every_colour_of_every_picture_has_a_dark_counterpart() {
        let known: BTreeSet<&str> = super::PALETTE.iter().map(|(light, _)| *light).collect();
        for scenario in example::suite().scenarios {
            for kind in KINDS.iter().filter(|kind| (kind.has)(&scenario)) {
                let svg = (kind.draw)(&scenario).unwrap();
                let (_, drawing) = svg.split_once("</style>").unwrap();
                for part in drawing.split("=\"#").skip(1) {
                    let colour = format!("#{}", &part[..6]);
                    assert!(known.contains(colour.as_str()), "{}: {colour}", kind.title);
                }
            }
        }
    }
}
