//! What a system file's parts must agree on, beyond their form.

use std::collections::BTreeSet;

use regex::Regex;

use super::System;
use crate::cluster::packages::is_package_name;
use crate::scenario::{Problem, list};

impl System {
    pub(super) fn validate(&self) -> Result<(), Problem> {
        let mut packages = self.packages.debian.iter();
        if let Some(bad) = packages.find(|name| !is_package_name(name.get_ref())) {
            return Err(Problem::at(bad, "expected the name of a Debian package"));
        }
        self.validate_services()?;
        for event in &self.event {
            match Regex::new(event.pattern.get_ref()) {
                Ok(regex) if regex.capture_names().flatten().any(|name| name == "name") => {}
                Ok(_) => {
                    let message = "expected a group `(?<name>...)` in the pattern";
                    return Err(Problem::at(&event.pattern, message));
                }
                Err(error) => {
                    let message = format!("expected a regular expression: {error}");
                    return Err(Problem::at(&event.pattern, message));
                }
            }
        }
        self.validate_actions()?;
        self.validate_primary()?;
        self.validate_log_rules()?;
        for gauge in &self.gauge {
            let fits = match (&gauge.url, &gauge.command) {
                (Some(_), None) => gauge.pointer.is_some(),
                (None, Some(_)) => true,
                _ => false,
            };
            if !fits {
                let message = "expected `url` with `pointer`, or `command` (with `pointer` if it prints JSON)";
                return Err(Problem::at(&gauge.name, message));
            }
            if gauge.every.0.is_zero() {
                return Err(Problem::at(&gauge.name, "expected an `every` above 0"));
            }
        }
        Ok(())
    }

    fn validate_log_rules(&self) -> Result<(), Problem> {
        for rule in &self.log {
            let ((Some(pattern), None) | (None, Some(pattern))) = (&rule.never, &rule.always)
            else {
                let span = rule.never.as_ref().map_or(0..0, toml::Spanned::span);
                let message = format!(
                    "log of `{}`: expected either `never` or `always`",
                    rule.service
                );
                return Err(Problem { span, message });
            };
            if let Err(error) = Regex::new(pattern.get_ref()) {
                let message = format!("expected a regular expression: {error}");
                return Err(Problem::at(pattern, message));
            }
            if !self
                .service
                .iter()
                .any(|s| *s.name.get_ref() == rule.service)
            {
                let names = list(self.service.iter().map(|s| s.name.get_ref()));
                let message = format!("no service `{}`; expected one of {names}", rule.service);
                return Err(Problem::at(pattern, message));
            }
        }
        Ok(())
    }

    fn validate_primary(&self) -> Result<(), Problem> {
        let Some(primary) = &self.primary else {
            return Ok(());
        };
        let regex = Regex::new(primary.pattern.get_ref()).map_err(|error| {
            Problem::at(
                &primary.pattern,
                format!("expected a regular expression: {error}"),
            )
        })?;
        let groups: BTreeSet<&str> = regex.capture_names().flatten().collect();
        if groups.contains("node") || (groups.contains("role") && groups.contains("index")) {
            return Ok(());
        }
        let message =
            "expected a group `(?<node>...)`, or groups `(?<role>...)` and `(?<index>...)`";
        Err(Problem::at(&primary.pattern, message))
    }

    /// A service of one name may stand in the file for several roles, but each role has it once.
    fn validate_services(&self) -> Result<(), Problem> {
        let mut seen = BTreeSet::new();
        for service in &self.service {
            for role in &service.roles {
                if !seen.insert((service.name.get_ref(), role)) {
                    let message = format!(
                        "role `{role}` has a service `{}` already",
                        service.name.get_ref()
                    );
                    return Err(Problem::at(&service.name, message));
                }
            }
        }
        for service in &self.service {
            if !service.ready.get_ref().is_well_formed() {
                let message = "expected `http://...`, `tcp://HOST:PORT` or `{ command = [...] }`";
                return Err(Problem::at(&service.ready, message));
            }
            if let super::Autostart::Roles(roles) = &service.autostart
                && let Some(other) = roles.iter().find(|r| !service.roles.contains(r))
            {
                let message = format!("`autostart` names `{other}`, which is none of its roles");
                return Err(Problem::at(&service.name, message));
            }
        }
        Ok(())
    }

    fn validate_actions(&self) -> Result<(), Problem> {
        let roles = self.roles();
        for (name, action) in &self.action {
            if action.deed().is_none() {
                let message = format!(
                    "action `{name}`: expected `on` with one of `argv`, `start`, `restart`, `upgrade`, or `copy` alone"
                );
                let span = (action.on.as_ref().map(|on| on.span()))
                    .or(action.starts().map(|(_, span)| span))
                    .or(action.copy.as_ref().map(|c| c.span()));
                let span = span.unwrap_or(0..0);
                return Err(Problem { span, message });
            }
            for target in action.targets() {
                let role = target.split('[').next().unwrap_or(target);
                if !roles.contains(role) {
                    let message = format!(
                        "action `{name}`: no service runs in a role `{role}`; expected one of {}",
                        list(&roles)
                    );
                    let span = (action.on.as_ref().map(|on| on.span()))
                        .or(action.copy.as_ref().map(|c| c.span()));
                    let span = span.unwrap_or(0..0);
                    return Err(Problem { span, message });
                }
            }
            if let (Some((service, span)), Some(on)) = (action.starts(), &action.on) {
                let role = on.get_ref().split('[').next().unwrap_or_default();
                let there = |s: &&super::ServiceSpec| {
                    s.name.get_ref() == service && s.roles.iter().any(|r| r == role)
                };
                if self.service.iter().find(there).is_none() {
                    let message = format!(
                        "action `{name}`: no service `{service}` for role `{role}`; add the role to the \
                         service, and its `autostart`"
                    );
                    return Err(Problem { span, message });
                }
            }
            if let Some(upgrade) = &action.upgrade
                && !self.upload.contains(&upgrade.get_ref().bin)
            {
                let message = format!(
                    "action `{name}`: no program `{}` is uploaded; expected one of {}",
                    upgrade.get_ref().bin,
                    list(&self.upload)
                );
                return Err(Problem::at(upgrade, message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIROIR: &str = include_str!("../../systems/miroir.toml");

    fn problem(addition: &str) -> String {
        let text = format!("{MIROIR}\n{addition}");
        System::parse("my.toml", &text).unwrap_err().to_string()
    }

    #[test]
    fn an_action_of_two_forms_or_none_is_refused() {
        let error = problem(
            "[action.x]\non = \"router\"\nargv = [\"true\"]\nstart = \"router\"\nwithin = \"1s\"\n",
        );
        assert!(error.contains("expected `on` with one of"), "{error}");
        let error = problem("[action.x]\nstart = \"router\"\nwithin = \"1s\"\n");
        assert!(error.contains("expected `on` with one of"), "{error}");
        let error = problem(
            "[action.x]\non = \"store\"\nrestart = \"node\"\nupgrade = { service = \"node\", bin = \"miroir\", to = \"new\" }\nwithin = \"1s\"\n",
        );
        assert!(error.contains("expected `on` with one of"), "{error}");
    }

    #[test]
    fn an_upgrade_of_a_program_that_is_not_uploaded_is_refused() {
        let error = problem(
            "[action.x]\non = \"store\"\nupgrade = { service = \"node\", bin = \"other\", to = \"new\" }\nwithin = \"1s\"\n",
        );
        assert!(error.contains("no program `other`"), "{error}");
    }

    #[test]
    fn the_start_of_a_service_that_the_role_does_not_have_is_refused() {
        let error = problem("[action.x]\non = \"store\"\nstart = \"router\"\nwithin = \"1s\"\n");
        assert!(
            error.contains("no service `router` for role `store`"),
            "{error}"
        );
    }

    #[test]
    fn a_pattern_without_a_name_is_refused_with_its_place() {
        let error = problem("[[event]]\nlane = \"x\"\nservice = \"router\"\npattern = 'a(b)'\n");
        assert!(
            error.starts_with("my.toml:") && error.contains("(?<name>...)"),
            "{error}"
        );
    }

    #[test]
    fn a_readiness_that_cannot_be_asked_is_refused_with_its_place() {
        for (ready, good) in [
            ("\"ftp://x/\"", false),
            ("\"{{ node.address }}:1\"", false),
            ("{ command = [] }", false),
            ("\"tcp://{{ node.address }}:1\"", true),
            ("{ command = [\"true\"] }", true),
        ] {
            let text = MIROIR.replacen(
                "ready = \"http://{{ node.host }}:7700/health\"",
                &format!("ready = {ready}"),
                1,
            );
            let parsed = System::parse("my.toml", &text);
            assert_eq!(parsed.is_ok(), good, "{ready}: {parsed:?}");
            if let Err(error) = parsed {
                let error = error.to_string();
                assert!(error.contains("`tcp://HOST:PORT`"), "{error}");
            }
        }
    }

    #[test]
    fn a_package_by_no_name_is_refused() {
        let text = format!("packages = {{ debian = [\"-y\"] }}\n{MIROIR}");
        let error = System::parse("my.toml", &text).unwrap_err().to_string();
        assert!(error.contains("name of a Debian package"), "{error}");
    }

    #[test]
    fn a_gauge_without_a_source_is_refused() {
        let error = problem("[[gauge]]\nname = \"x\"\nunit = \"s\"\n");
        assert!(error.contains("expected `url` with `pointer`"), "{error}");
    }
}
