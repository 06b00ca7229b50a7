//! Filling in the templates of a system file.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
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
                .map_err(|error| TemplateError { template: template.to_owned(), message: error.to_string() })?,
        );
        environment
            .render_str(template, Serde(self))
            .map_err(|error| TemplateError { template: template.to_owned(), message: error.to_string() })
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
