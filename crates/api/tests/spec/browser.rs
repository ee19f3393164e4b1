//! A customer's browser: it has a link, and says where its forms come from.

use reqwest::RequestBuilder;
use serde_json::Value;

use crate::{
    reply::Reply,
    world::{PUBLIC_URL, World},
};

pub(crate) struct Browser {
    http: reqwest::Client,
    origin: String,
    /// The page's path: `/onboarding/{token}`.
    pub(crate) page: String,
}

impl Browser {
    /// A browser that opens the link of an onboarding that was just opened, or given a new link.
    pub(crate) fn with(world: &World, made: &Value) -> Self {
        let link = made["link_url"].as_str().unwrap();
        let page = link.strip_prefix(PUBLIC_URL).unwrap().to_owned();
        // Redirects are looked at, not followed.
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self {
            http: http.build().unwrap(),
            origin: format!("http://{}", world.addr()),
            page,
        }
    }

    /// A browser with the link of a new onboarding.
    pub(crate) async fn of(world: &World, slug: &str) -> Self {
        Self::with(world, &world.opens(slug).await)
    }

    /// What the link carries.
    pub(crate) fn token(&self) -> &str {
        self.page.strip_prefix("/onboarding/").unwrap()
    }

    /// A request for the page, or for what is below it.
    pub(crate) fn asks(&self, path: &str) -> RequestBuilder {
        self.asks_for(&format!("{}{path}", self.page))
    }

    /// A form, sent from the page. No redirect is followed.
    pub(crate) fn sends(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.posts(path, form).header("origin", PUBLIC_URL)
    }

    /// A form that says nothing of where it comes from.
    pub(crate) fn posts(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.http.post(format!("{}{}{path}", self.origin, self.page)).form(form)
    }

    /// A request for a path that need not be the page's.
    pub(crate) fn asks_for(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.origin))
    }

    /// The page.
    pub(crate) async fn sees(&self) -> String {
        let page = Reply::to(self.asks("")).await;
        page.page(200).to_owned()
    }
}

impl Reply {
    /// The page that the answer must be. Whatever is promised of every page is checked here.
    #[track_caller]
    pub(crate) fn page(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "text/html; charset=utf-8");
        self.keeps_to_itself();
        let html = self.text();
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{html}");
        for foreign in [
            " style=\"",
            " onclick=\"",
            " onload=\"",
            "<style",
            "javascript:",
            "src=\"http",
            "@import",
        ] {
            assert!(!html.contains(foreign), "{foreign}: {html}");
        }
        for script in html.split("<script").skip(1) {
            assert!(script.starts_with(" src=\"/onboarding/assets/page-"), "{script}");
        }
        html
    }

    /// Checks the headers that every answer below `/onboarding/` has, but for the files that pages load.
    #[track_caller]
    pub(crate) fn keeps_to_itself(&self) {
        for (name, expected) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-opener-policy", "same-origin"),
            ("x-robots-tag", "noindex, nofollow"),
        ] {
            assert_eq!(self.header(name), expected, "{name}");
        }
        assert!(!self.header("permissions-policy").is_empty());
        let policy = self.header("content-security-policy");
        let directives: Vec<_> = policy.split("; ").collect();
        for expected in [
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "connect-src 'self'",
            "img-src 'self' data:",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(directives.contains(&expected), "{policy}");
        }
        let forms = directives.last().unwrap();
        assert!(
            [
                "form-action 'self'",
                "form-action 'self' https://login.microsoftonline.com"
            ]
            .contains(forms),
            "{policy}"
        );
        assert_eq!(directives.len(), 8, "{policy}");
    }

    /// Where the answer leads to, which must be seen with another request.
    #[track_caller]
    pub(crate) fn leads_to(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.text());
        self.keeps_to_itself();
        self.header("location")
    }
}
