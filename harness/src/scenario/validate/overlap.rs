//! Load stages of one key group that would run at the same time for certain.

use std::time::Duration;

use super::Problem;
use super::waits::Waits;
use crate::scenario::{LoadItem, Scenario, Trigger};

impl Scenario {
    /// Refuses two stages of one key group of which the second begins while the first is sure to run:
    /// each key must have one writer.
    pub(super) fn validate_overlaps(&self) -> Result<(), Problem> {
        if self.workload.is_some() {
            // Processes of objects share them.
            return Ok(());
        }
        let waits = Waits::of(self);
        for (number, second) in self.load.iter().enumerate() {
            for (other, first) in self.load.iter().enumerate() {
                if number != other
                    && first.key_group() == second.key_group()
                    && overlap(first, second, &waits)
                {
                    let message = format!(
                        "runs at the same time as `{}`, and both write the keys `{}`; give one of them another \
                         `keys`, or start it when the other has ended",
                        first.name.get_ref(),
                        second.key_group()
                    );
                    return Err(Problem::at(&second.name, message));
                }
            }
        }
        Ok(())
    }
}

/// Whether `second` certainly begins while `first` runs.
fn overlap(first: &LoadItem, second: &LoadItem, waits: &Waits) -> bool {
    let (first_name, second_name) = (first.name.get_ref(), second.name.get_ref());
    let second_start = format!("{second_name}.start");
    let first_start = format!("{first_name}.start");
    let begins_later = waits.follows(&second_start, &first_start);
    let ends_by_until_alone = first.count.is_none() && first.duration.is_none();
    if begins_later && ends_by_until_alone && waits.follows(first_name, &second_start) {
        return true;
    }
    let least = match (first.count, &first.until) {
        (None, None) => first.duration.map_or(Duration::ZERO, |length| length.0),
        _ => Duration::ZERO,
    };
    lead(first, second).is_some_and(|lead| lead.is_zero() || lead < least)
}

/// How long after `first` `second` begins, where the triggers alone say so.
fn lead(first: &LoadItem, second: &LoadItem) -> Option<Duration> {
    let (one, two) = (first.when.get_ref(), second.when.get_ref());
    let delay = |trigger: &Trigger| trigger.delay.map_or(Duration::ZERO, |d| d.0);
    if let Some(after) = &two.after
        && after.get_ref().0 == [format!("{}.start", first.name.get_ref())]
    {
        return Some(delay(two));
    }
    let same = one.after.as_ref().map(|n| n.get_ref()) == two.after.as_ref().map(|n| n.get_ref())
        && one.after_ops == two.after_ops
        && one.phase.as_ref().map(|p| p.get_ref()) == two.phase.as_ref().map(|p| p.get_ref())
        && one.mark.as_ref().map(|m| m.get_ref()) == two.mark.as_ref().map(|m| m.get_ref())
        && one.at.is_some() == two.at.is_some();
    let moment = |trigger: &Trigger| trigger.at.map_or(Duration::ZERO, |at| at.0) + delay(trigger);
    same.then(|| moment(two).checked_sub(moment(one))).flatten()
}

#[cfg(test)]
mod tests {
    use crate::scenario::{Catalogue, Scenario};

    /// A scenario with these items; what is wrong with it, if anything.
    fn problem(items: &str) -> Option<String> {
        let head = r#"
            name = "test"
            description = "test"
            system = "miroir"
            configuration = "test"
            expectation = "test"
            roles = [{ role = "router", nodes = 1 }, { role = "store", nodes = 1 }]
        "#;
        let tail = "\n[expect]\nloss = \"none\"\nwrites_at_least = 1\n";
        let systems = Catalogue::embedded().unwrap().systems;
        let parsed = Scenario::parse("my.toml", &format!("{head}{items}{tail}"), &systems);
        parsed.err().map(|error| error.to_string())
    }

    fn load(name: &str, when: &str, rest: &str) -> String {
        format!("\n[[load]]\nname = \"{name}\"\nwhen = {when}\nmix = {{ insert = 1 }}\n{rest}\n")
    }

    #[test]
    fn stages_that_certainly_write_the_same_keys_at_once_are_refused() {
        let first = load("first", "{ at = \"0s\" }", "for = \"5s\"");
        for (when, rest) in [
            ("{ at = \"3s\" }", "count = 1"),
            ("{ after = \"first.start\", delay = \"4s\" }", "count = 1"),
            ("{ at = \"0s\", delay = \"1s\" }", "count = 1"),
        ] {
            let error = problem(&format!("{first}{}", load("second", when, rest)));
            let error = error.unwrap_or_else(|| panic!("accepted: {when}"));
            assert!(
                error.contains("runs at the same time as `first`"),
                "{error}"
            );
        }
        let waiting = load("first", "{ at = \"0s\" }", "until = { after = \"second\" }");
        let second = load(
            "second",
            "{ after = \"first.start\", delay = \"9s\" }",
            "count = 1",
        );
        assert!(problem(&format!("{waiting}{second}")).is_some());
    }

    #[test]
    fn stages_that_follow_each_other_or_have_keys_of_their_own_are_accepted() {
        let first = load("first", "{ at = \"0s\" }", "for = \"5s\"");
        for (when, rest) in [
            ("{ after = \"first\" }", "count = 1"),
            ("{ at = \"6s\" }", "count = 1"),
            ("{ at = \"3s\" }", "count = 1\nkeys = \"other\""),
            ("{ after_ops = 3 }", "count = 1"),
        ] {
            let found = problem(&format!("{first}{}", load("second", when, rest)));
            assert_eq!(found, None, "{when}");
        }
    }

    #[test]
    fn triggers_in_a_circle_are_refused_and_the_circle_is_shown() {
        let first = load("first", "{ at = \"0s\" }", "until = { after = \"go\" }");
        let go = "\n[[action]]\nname = \"go\"\nrun = \"cutover\"\nwhen = { after = \"first\" }\n";
        let error = problem(&format!("{first}{go}")).unwrap();
        assert!(error.contains("wait for each other"), "{error}");
        assert!(error.contains("`first` waits for `go`"), "{error}");
        let with_own_end = first.replace("until", "count = 5\nuntil");
        assert_eq!(problem(&format!("{with_own_end}{go}")), None);
    }

    #[test]
    fn waiting_for_the_end_of_a_fault_that_lasts_to_the_end_is_refused() {
        let cut = "\n[[fault]]\nname = \"cut\"\nwhen = { at = \"0s\" }\npartition = { from = \"router\", to = \"store\" }\n";
        let after = |when: &str| load("late", &format!("{{ after = \"{when}\" }}"), "count = 1");
        let error = problem(&format!("{cut}{}", after("cut"))).unwrap();
        assert!(
            error.contains("lasts to the end of the scenario"),
            "{error}"
        );
        assert_eq!(problem(&format!("{cut}{}", after("cut.start"))), None);
    }
}
