//! Splits: into groups that the nodes named can fall apart into.

use toml::Spanned;

use super::Problem;
use crate::scenario::{Names, PRIMARY, Scenario, SplitFault, SplitShape};

impl Scenario {
    pub(super) fn validate_split<T>(
        &self,
        split: &SplitFault,
        place: &Spanned<T>,
    ) -> Result<(), Problem> {
        let problem = |message: &str| Err(Problem::at(place, message.to_owned()));
        let (shape, nodes) = match (split.shape, &split.nodes) {
            (Some(shape), Some(nodes)) if split.pairs.is_empty() => (shape, nodes),
            (None, None) if !split.pairs.is_empty() && split.one.is_none() => {
                let meets = |(a, b): &(Spanned<Names>, Spanned<Names>)| {
                    !self.each_node(a).is_disjoint(&self.each_node(b))
                };
                if split.pairs.iter().any(meets) {
                    return problem(
                        "a node can't be cut off from itself: it is on both sides of a pair",
                    );
                }
                return Ok(());
            }
            _ => return problem("expected `nodes` with `shape`, or `pairs`"),
        };
        let all = self.each_node(nodes);
        match (shape, &split.one) {
            // Whether it is one of them shows when it strikes.
            (SplitShape::Isolate, Some(one)) if one.get_ref().0 == [PRIMARY] => {}
            (SplitShape::Isolate, Some(one)) => {
                let one = self.each_node(one);
                if one.len() != 1 || !one.is_subset(&all) {
                    return problem("expected `one` to be one of `nodes`");
                }
            }
            (SplitShape::Isolate, None) => return problem("expected `one`, the node to isolate"),
            (_, Some(_)) => return problem("`one` belongs to `shape = \"isolate\"`"),
            _ => {}
        }
        let fewest = match shape {
            SplitShape::Isolate | SplitShape::Halves => 2,
            SplitShape::MajorityMinority | SplitShape::Bridge => 3,
            SplitShape::MajoritiesRing => 4,
        };
        if all.len() < fewest {
            let message = format!(
                "this shape needs {fewest} nodes or more, {} given",
                all.len()
            );
            return problem(&message);
        }
        Ok(())
    }
}
