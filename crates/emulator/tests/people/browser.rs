//! A person with a browser: reads pages, fills in forms, presses buttons. It sends what a browser sends of itself.

use std::collections::BTreeMap;

use reqwest::{Client, RequestBuilder, Response, StatusCode, header, redirect};

pub(crate) struct Browser {
    base: String,
    http: Client,
}

/// A page that was loaded.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: header::HeaderMap,
    pub(crate) text: String,
    path: String,
}

impl Browser {
    /// Of what answers at `base`; by `http`, if that needs another than a plain client.
    pub(crate) fn new(base: &str, http: Option<Client>) -> Self {
        let plain = || Client::builder().redirect(redirect::Policy::none()).no_proxy().build();
        Self {
            base: base.to_owned(),
            http: http.unwrap_or_else(|| plain().unwrap()),
        }
    }

    pub(crate) async fn load(&self, path: &str) -> Page {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Page {
            status,
            headers,
            text: answer.text().await.unwrap(),
            path: path.to_owned(),
        }
    }

    /// Presses a button of a page, with these fields filled in. What is sent is what the page's form says.
    pub(crate) async fn press(&self, page: &Page, button: &str, filled: &[(&str, &str)]) -> Response {
        let (path, fields) = page.form(button, filled);
        self.post(&path, &fields)
            .header("origin", &self.base)
            .header("sec-fetch-site", "same-origin")
            .send()
            .await
            .unwrap()
    }

    /// A post that says nothing of where it comes from.
    pub(crate) fn post(&self, path: &str, fields: &[(String, String)]) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.base)).form(fields)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base))
    }

    /// Loads a page, presses a button, and reads what is said of it on the page that comes next.
    pub(crate) async fn does(&self, path: &str, button: &str, filled: &[(&str, &str)]) -> String {
        let page = self.load(path).await;
        assert_eq!(page.status, 200, "{path}");
        let answer = self.press(&page, button, filled).await;
        assert_eq!(answer.status(), 303, "{path} {button}");
        let next = location(&answer);
        assert!(next.starts_with(&format!("{path}?said=")), "{next}");
        self.load(&next).await.notice()
    }
}

impl Page {
    /// Where the form of a button sends what, if these fields are filled in. Each must be there to be filled in.
    pub(crate) fn form(&self, button: &str, filled: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        let at = self.text.find(&format!("<button id=\"{button}\"")).unwrap_or_else(|| {
            panic!("there is no button {button} on {}", self.path);
        });
        let begin = self.text[..at].rfind("<form ").unwrap();
        let form = &self.text[begin..at + self.text[at..].find("</form>").unwrap()];
        let mut tags = form.split('<').skip(1);
        let action = attribute(tags.next().unwrap(), "action");
        let mut fields = BTreeMap::new();
        for tag in tags.filter(|tag| tag.starts_with("input ")) {
            let unsent = attribute(tag, "type").as_deref() == Some("checkbox") && !tag.contains(" checked");
            if !unsent {
                fields.insert(
                    attribute(tag, "name").unwrap(),
                    attribute(tag, "value").unwrap_or_default(),
                );
            }
        }
        let pressed = format!("<{}", &form[form.find(&format!("button id=\"{button}\"")).unwrap()..]);
        if let Some(name) = attribute(&pressed, "name") {
            fields.insert(name, attribute(&pressed, "value").unwrap());
        }
        let typed = filled.iter().map(|(name, value)| {
            assert!(form.contains(&format!("name=\"{name}\"")), "there is no field {name}");
            ((*name).to_owned(), (*value).to_owned())
        });
        let untouched = fields
            .into_iter()
            .filter(|(name, _)| !filled.iter().any(|(field, _)| field == name));
        (
            action.unwrap_or_else(|| self.path.clone()),
            untouched.chain(typed).collect(),
        )
    }

    /// What is said of what was done.
    fn notice(&self) -> String {
        self.element("notice")
    }

    /// The text of an element of no children, by its id.
    pub(crate) fn element(&self, id: &str) -> String {
        let at = self
            .text
            .find(&format!("id=\"{id}\""))
            .unwrap_or_else(|| panic!("there is no {id}"));
        let text = self.text[at..].split_once('>').unwrap().1;
        text.split_once('<').unwrap().0.to_owned()
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        self.text.contains(text)
    }
}

/// Where an answer leads.
pub(crate) fn location(answer: &Response) -> String {
    answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let tag = tag.split_once('>').map_or(tag, |(tag, _)| tag);
    let (_, value) = tag.split_once(&format!(" {name}=\""))?;
    Some(value.split_once('"')?.0.to_owned())
}
