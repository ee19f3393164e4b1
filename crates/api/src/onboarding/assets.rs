//! The files that pages load: compiled in, and named by what is in them, so that they may be kept for ever.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderName, header};
use sha2::{Digest, Sha256};

use crate::{
    app::App,
    config::PageConfig,
    problem::{Kind, Problem},
};

/// The files, and where they are.
pub(super) struct Assets {
    style: Asset,
    theme: Asset,
    script: Asset,
}

/// One of them.
struct Asset {
    name: String,
    content_type: &'static str,
    bytes: Bytes,
}

impl Assets {
    /// The files of pages that look so.
    pub(super) fn new(config: &PageConfig) -> Self {
        let PageConfig { accent, on_accent } = config;
        let theme = format!(":root {{\n  --accent: {accent};\n  --on-accent: {on_accent};\n}}\n");
        Self {
            style: Asset::new("page", "css", CSS, Bytes::from_static(STYLE.as_bytes())),
            theme: Asset::new("theme", "css", CSS, theme.into()),
            script: Asset::new("page", "js", JAVASCRIPT, Bytes::from_static(SCRIPT.as_bytes())),
        }
    }

    /// Where the styles are.
    pub(super) fn style(&self) -> String {
        self.style.path()
    }

    /// Where the platform's colours are.
    pub(super) fn theme(&self) -> String {
        self.theme.path()
    }

    /// Where the script is.
    pub(super) fn script(&self) -> String {
        self.script.path()
    }

    fn named(&self, name: &str) -> Option<&Asset> {
        [&self.style, &self.theme, &self.script]
            .into_iter()
            .find(|asset| asset.name == name)
    }
}

impl Asset {
    fn new(name: &str, extension: &str, content_type: &'static str, bytes: Bytes) -> Self {
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        let hash = digest.first_chunk().map_or(0, |head| u64::from_be_bytes(*head));
        Self {
            name: format!("{name}-{hash:016x}.{extension}"),
            content_type,
            bytes,
        }
    }

    fn path(&self) -> String {
        format!("/onboarding/assets/{}", self.name)
    }
}

/// Serves a file. They hold nothing of anybody's.
pub(super) async fn serve(State(app): State<App>, Path(file): Path<String>) -> Result<Response, Problem> {
    let asset = app.pages().and_then(|pages| pages.assets.named(&file));
    let asset = asset.ok_or_else(|| Problem::new(Kind::RouteNotFound))?;
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    Ok((headers, asset.bytes.clone()).into_response())
}

const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = include_str!("../../templates/onboarding/page.css");
const SCRIPT: &str = include_str!("../../templates/onboarding/page.js");
