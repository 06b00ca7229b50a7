//! Filling in the templates of a system file.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

/// Why a template could not be filled in.
#[derive(Debug, thiserror::Error)]
#[error("template `{template}` of the system file: {message}")]
pub struct TemplateError {
    /// The template's text.
    pub template: String,
    /// What is wrong.
    pub message: String,
}

/// A node as templates see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeRef {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its address as it stands before `:PORT`: that of IPv6 in brackets.
    pub host: String,
}

impl NodeRef {
    /// A node known by one address.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        let address = address.into();
        let host = match address.contains(':') {
            true => format!("[{address}]"),
            false => address.clone(),
        };
        NodeRef {
            name: name.into(),
            address,
            host,
        }
    }
}

/// Everything a template can refer to.
#[derive(Debug, Clone, Serialize)]
pub struct TemplateContext {
    /// Nodes by role.
    pub nodes: BTreeMap<String, Vec<NodeRef>>,
    /// Paths of uploaded programs by name.
    pub bin: BTreeMap<String, String>,
    /// The system's settings with the scenario's changes.
    pub settings: serde_json::Value,
    /// The directory of the service on its node.
    pub dir: String,
    /// The node a service or command runs on.
    pub node: Option<NodeRef>,
    /// The scenario's arguments to an action.
    pub with: BTreeMap<String, String>,
    /// Records handed to the predictor.
    pub files: Vec<String>,
}

impl TemplateContext {
    /// Fills in one template. A name that is not defined is an error.
    ///
    /// # Errors
    /// [`TemplateError`] with the template's text.
    pub fn fill(&self, template: &str) -> Result<String, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(
            SyntaxConfig::builder()
                .keep_trailing_newline(true)
                .build()
                .map_err(|error| TemplateError {
                    template: template.to_owned(),
                    message: error.to_string(),
                })?,
        );
        // As TOML, YAML and JSON spell it, not as the template language does.
        environment.set_formatter(|out, state, value| match (value.kind(), value.is_true()) {
            (ValueKind::Bool, true) => Ok(out.write_str("true")?),
            (ValueKind::Bool, false) => Ok(out.write_str("false")?),
            _ => minijinja::escape_formatter(out, state, value),
        });
        environment
            .render_str(template, Serde(self))
            .map_err(|error| TemplateError {
                template: template.to_owned(),
                message: error.to_string(),
            })
    }

    /// Fills in a command line. An argument that is just `{{ files }}` becomes one argument per file.
    ///
    /// # Errors
    /// As [`TemplateContext::fill`].
    pub fn fill_argv(&self, argv: &[String]) -> Result<Vec<String>, TemplateError> {
        let mut filled = Vec::with_capacity(argv.len());
        for argument in argv {
            if argument == "{{ files }}" {
                filled.extend(self.files.iter().cloned());
            } else {
                filled.push(self.fill(argument)?);
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> TemplateContext {
        TemplateContext {
            nodes: BTreeMap::new(),
            bin: BTreeMap::from([("miroir".to_owned(), "/bin/miroir".to_owned())]),
            settings: serde_json::json!({ "safe": false, "pages": 3 }),
            dir: "/var/lib/x".to_owned(),
            node: None,
            with: BTreeMap::new(),
            files: vec!["a".to_owned(), "b".to_owned()],
        }
    }

    #[test]
    fn values_are_written_as_configuration_files_spell_them() {
        let filled = context()
            .fill("safe = {{ settings.safe }}\npages = {{ settings.pages }}\n")
            .unwrap();
        assert_eq!(filled, "safe = false\npages = 3\n");
    }

    #[test]
    fn a_name_that_is_not_defined_is_an_error_that_shows_the_template() {
        let error = context().fill("{{ settings.paegs }}").unwrap_err();
        assert!(error.to_string().contains("settings.paegs"), "{error}");
    }

    #[test]
    fn a_list_of_files_becomes_as_many_arguments() {
        let argv = ["{{ bin.miroir }}".to_owned(), "{{ files }}".to_owned()];
        assert_eq!(
            context().fill_argv(&argv).unwrap(),
            ["/bin/miroir", "a", "b"]
        );
    }
}
