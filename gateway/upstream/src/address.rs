//! Addresses that are asked: a base URL as an operator writes it, and what is joined to it. Made once per base, because
//! parsing costs more than sending.

use http::Uri;
use reqwest::Url;

use crate::BuildError;

/// The start of all addresses of one upstream.
#[derive(Debug, Clone)]
pub(crate) struct Base(Url);

/// One address, ready for either client.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) url: Url,
    pub(crate) uri: Uri,
}

impl Base {
    /// Reads a base URL; a slash at its end makes no difference, a query (Azure's `api-version`) is kept.
    pub(crate) fn parse(text: &str) -> Result<Self, BuildError> {
        let bad = |url: &str, why: &str| BuildError::BadUrl { url: url.to_owned(), why: why.to_owned() };
        let mut url = Url::parse(text.trim()).map_err(|error| bad("the address", &error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(text, &format!("the scheme is {}", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(
                url.host_str().unwrap_or_default(),
                "it holds a user name; put credentials into the account's key or headers",
            ));
        }
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// Takes one of these ends off, if it is there: addresses are often pasted whole.
    pub(crate) fn without_end(mut self, ends: &[&str]) -> Self {
        let path = self.path().to_owned();
        if let Some(rest) = ends.iter().find_map(|end| path.strip_suffix(end)) {
            self.0.set_path(rest.trim_end_matches('/'));
        }
        self
    }

    /// The same with another path.
    pub(crate) fn with_path(mut self, path: &str) -> Self {
        self.0.set_path(path);
        self
    }

    /// The path without a slash at its end.
    pub(crate) fn path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// The base with a path joined to it.
    pub(crate) fn at(&self, path: &str) -> Result<Address, BuildError> {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{path}", self.path()));
        Address::new(url)
    }

    /// The same as text, for people and for redirects.
    pub(crate) fn text_at(&self, path: &str) -> String {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{path}", self.path()));
        url.into()
    }
}

impl Address {
    fn new(url: Url) -> Result<Self, BuildError> {
        let uri = url.as_str().parse();
        let uri = uri.map_err(|error: http::uri::InvalidUri| BuildError::BadUrl {
            url: url.to_string(),
            why: error.to_string(),
        })?;
        Ok(Self { url, uri })
    }

    /// The same with a query as somebody wrote it.
    pub(crate) fn with_raw_query(&self, query: &str) -> Result<Self, BuildError> {
        let mut url = self.url.clone();
        url.set_query(Some(query));
        Self::new(url)
    }

    /// The same with one more query parameter.
    pub(crate) fn with_query(&self, name: &str, value: &str) -> Result<Self, BuildError> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair(name, value);
        Self::new(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_whatever_the_base_ends_with() {
        for (base, expected) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1/responses"),
            ("https://api.openai.com/v1///", "https://api.openai.com/v1/responses"),
            (" http://127.0.0.1:11434 ", "http://127.0.0.1:11434/responses"),
            ("http://[::1]:8080/a b/", "http://[::1]:8080/a%20b/responses"),
            (
                "https://x.test/openai/v1?api-version=7#top",
                "https://x.test/openai/v1/responses?api-version=7",
            ),
        ] {
            let address = Base::parse(base).unwrap().at("responses").unwrap();
            assert_eq!(address.url.as_str(), expected, "{base}");
            assert_eq!(address.uri.to_string(), expected, "{base}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_without_its_password() {
        for (base, why) in [
            ("", "relative"),
            ("api.openai.com/v1", "relative"),
            ("ftp://x.test", "ftp"),
            ("file:///etc/passwd", "file"),
            ("http://", "host"),
            ("https://me:hunter2@x.test/v1", "user name"),
        ] {
            let error = Base::parse(base).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("hunter2"), "{base}: {error}");
        }
    }

    #[test]
    fn pasted_ends_are_taken_off() {
        let ends = &["/chat/completions", "/responses"];
        let base = Base::parse("https://x.test/v1/chat/completions").unwrap().without_end(ends);
        assert_eq!(base.path(), "/v1");
        assert_eq!(Base::parse("https://x.test/responses").unwrap().without_end(ends).path(), "");
    }
}
