//! A registration file.

use std::{collections::BTreeSet, fmt::Display, fs, io, path::Path};

use keyferry_client::onboarding::NewOnboarding;
use serde::{Deserialize, Deserializer};

use super::super::answers::{AnswerOptions, EndpointPolicy};
use crate::{
    failure::Failure,
    policy::{DEFAULT_POLICY, PolicyOptions},
};

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The onboardings that there are to be. Of others nothing is said.
    pub(super) onboardings: Vec<Registration>,
}

/// What the file says of one onboarding. What it does not say stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    pub(super) slug: String,
    pub(super) display_name: Option<String>,
    pub(super) cloud: Option<String>,
    pub(super) endpoint_policy: Option<EndpointPolicy>,
    pub(super) allows_public_path: Option<bool>,
    #[serde(default)]
    pub(super) policy: PolicyOptions,
    #[serde(default)]
    pub(super) answers: AnswerOptions,
}

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = if path == Path::new("-") {
            io::read_to_string(io::stdin())
        } else {
            fs::read_to_string(path)
        };
        let wrong = |why: &dyn Display| Failure::usage(format!("{}: {why}", path.display()));
        let text = text.map_err(|error| wrong(&error))?;
        let is_toml = path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("toml"));
        let file = if is_toml { toml(&text) } else { yaml(&text) }.map_err(|why| wrong(&why))?;
        match file.repeated() {
            Some(slug) => Err(wrong(&format!("{slug} is there twice"))),
            None => Ok(file),
        }
    }

    /// A slug that two have.
    fn repeated(&self) -> Option<&str> {
        let mut seen = BTreeSet::new();
        let mut slugs = self.onboardings.iter().map(|registration| registration.slug.as_str());
        slugs.find(|slug| !seen.insert(*slug))
    }
}

impl Registration {
    pub(super) fn into_new(self) -> NewOnboarding {
        NewOnboarding {
            display_name: self.display_name.unwrap_or_else(|| self.slug.clone()),
            slug: self.slug,
            cloud: self.cloud.unwrap_or_else(|| "public".to_owned()),
            policy: self.policy.over(DEFAULT_POLICY),
            endpoint_policy: self.endpoint_policy.map(|policy| policy.slug().to_owned()),
            allows_public_path: self.allows_public_path,
            answers: self.answers.typed(),
        }
    }
}

fn toml(text: &str) -> Result<File, String> {
    let read = toml::Deserializer::parse(text).map_err(|error| error.to_string())?;
    with_path(read)
}

fn yaml(text: &str) -> Result<File, String> {
    // What was wrong is told with its path, which the YAML library's own error would not have.
    let mut told = None;
    let read = serde_saphyr::with_deserializer_from_str(text, |read| {
        serde_path_to_error::deserialize(read).map_err(|error| {
            told = Some(shown(&error));
            error.into_inner()
        })
    });
    read.map_err(|error| told.unwrap_or_else(|| error.to_string()))
}

fn with_path<'de, D: Deserializer<'de, Error: Display>>(read: D) -> Result<File, String> {
    serde_path_to_error::deserialize(read).map_err(|error| shown(&error))
}

fn shown<E: Display>(error: &serde_path_to_error::Error<E>) -> String {
    format!("{}: {}", error.path(), error.inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_say_the_same() {
        let yaml = yaml(
            "onboardings:\n- slug: globex\n  endpoint_policy: off\n  policy: {cache_ttl_seconds: 60}\n  answers: {vault: globex-keys}\n",
        );
        let toml = toml(
            "[[onboardings]]\nslug = \"globex\"\nendpoint_policy = \"off\"\npolicy.cache_ttl_seconds = 60\nanswers.vault = \"globex-keys\"\n",
        );
        assert_eq!(format!("{:?}", yaml.unwrap()), format!("{:?}", toml.unwrap()));
    }

    #[test]
    fn what_is_misspelt_is_refused_and_named_with_its_path() {
        let cases = [
            ("answers: {valut: x}", "onboardings[0].answers.valut"),
            ("policy: {cache_ttl: 60}", "onboardings[0].policy.cache_ttl"),
            ("endpoint_policy: sometimes", "onboardings[0].endpoint_policy"),
            ("allows_public_path: perhaps", "onboardings[0].allows_public_path"),
            ("key: x", "onboardings[0].key"),
        ];
        for (line, path) in cases {
            let refused = yaml(&format!("onboardings:\n- slug: globex\n  {line}\n")).unwrap_err();
            assert!(refused.contains(path), "{refused}");
        }
        let refused = toml("[[onboardings]]\nslug = \"globex\"\nanswers.valut = \"x\"\n").unwrap_err();
        assert!(refused.contains("onboardings[0].answers.valut"), "{refused}");
        assert!(yaml("onboardings:\n- display_name: x\n").unwrap_err().contains("slug"));
        assert!(yaml("").is_err());
        assert!(yaml("onboardings: []\nother: 1\n").unwrap_err().contains("other"));
    }

    #[test]
    fn a_slug_is_there_once() {
        let twice = yaml("onboardings:\n- slug: globex\n- slug: initech\n- slug: globex\n").unwrap();
        assert_eq!(twice.repeated(), Some("globex"));
        let once = yaml("onboardings:\n- slug: globex\n- slug: initech\n").unwrap();
        assert_eq!(once.repeated(), None);
    }
}
