//! The admin API as commands call it: a gateway elsewhere (`--url`), the one that runs on the data folder, or, when none
//! runs, one made for this command over the database. Everything else of a command is the same for the three.
//!
//! Refuses: showing a key, following redirects, waiting without an end.

use std::time::Duration;

use bytes::Bytes;
use gateway_api::{ADMIN_PREFIX, ApiError};
use gateway_domain::Secret;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::local::Local;
use super::{NotFound, running};
use crate::Settings;
use crate::run::StartError;

/// The longest wait for a connection.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// The longest wait for the gateway of this data folder to say that it is there.
const FIND_TIME: Duration = Duration::from_secs(2);
/// The longest wait for an answer: some calls ask an upstream.
const CALL_TIME: Duration = Duration::from_secs(100);
/// What a refusal is called when something is not there.
const GONE: &str = "not_found";
/// The largest answer taken: ten thousand accounts with all they have.
pub(super) const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// What is said about the gateway to call.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Where it is; this machine's otherwise.
    pub(super) url: Option<String>,
    /// The key that opens it.
    pub(super) key: Option<Secret>,
}

/// Which gateway answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The one that was named.
    Elsewhere {
        /// Its address.
        url: String,
    },
    /// The one that runs on this data folder.
    Here {
        /// Its address.
        url: String,
    },
    /// None runs; the database answers.
    Database,
}

/// Why a call did not do what was wanted.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// `--url` without a key.
    #[error(
        "an operator key is needed for {url}: make one there with `switchyard key create LABEL --operator` and set SWITCHYARD_KEY"
    )]
    NoKey {
        /// The gateway.
        url: String,
    },
    /// The key cannot be sent.
    #[error("this is no operator key: one begins with sk-sy-op- and has no spaces")]
    BadKey,
    /// The address cannot be called.
    #[error("`{0}` is no address of a gateway; write it like https://gateway.example")]
    BadUrl(String),
    /// Nobody answers.
    #[error("no gateway answers at {url}: {why}")]
    Unreachable {
        /// The gateway.
        url: String,
        /// Why.
        why: String,
    },
    /// Somebody answers who is no gateway of ours, or one of another version.
    #[error("{url} does not answer like a Switchyard gateway of this version: {why}")]
    Strange {
        /// The gateway.
        url: String,
        /// What was wrong.
        why: String,
    },
    /// What was named is not there.
    #[error("{0}")]
    NotFound(String),
    /// The gateway said no.
    #[error("{message}")]
    Refused {
        /// The field it is about, if one.
        field: Option<String>,
        /// Why.
        message: String,
    },
}

enum Way {
    Http { http: reqwest::Client, url: String, bearer: HeaderValue },
    Local { local: Box<Local>, bearer: HeaderValue },
}

/// A gateway to call.
pub(super) struct Admin {
    way: Way,
    place: Place,
}

impl Admin {
    /// Finds the gateway that is meant.
    pub(super) async fn find(settings: &Settings, wanted: &Wanted) -> anyhow::Result<Self> {
        Self::find_or(settings, wanted, Local::open(settings)).await
    }

    /// The same; one that is made for this command has its extensions loaded.
    pub(super) async fn find_with_extensions(settings: &Settings, wanted: &Wanted) -> anyhow::Result<Self> {
        Self::find_or(settings, wanted, Local::open_with_extensions(settings)).await
    }

    async fn find_or(
        settings: &Settings,
        wanted: &Wanted,
        open: impl Future<Output = Result<Local, StartError>>,
    ) -> anyhow::Result<Self> {
        if let Some(url) = &wanted.url {
            let url = base(url)?;
            let key = wanted.key.as_ref().ok_or_else(|| CallError::NoKey { url: url.clone() })?;
            let way = Way::Http { http: client(CALL_TIME, &url)?, bearer: bearer(key)?, url: url.clone() };
            return Ok(Self { way, place: Place::Elsewhere { url } });
        }
        if let Some(here) = Self::here(settings).await? {
            return Ok(here);
        }
        let local = Box::new(open.await?);
        let bearer = bearer(local.key())?;
        Ok(Self { way: Way::Local { local, bearer }, place: Place::Database })
    }

    /// The gateway that runs on this data folder, if it answers and takes the key that it left.
    pub(super) async fn here(settings: &Settings) -> Result<Option<Self>, CallError> {
        let Some((url, key)) = running::find(&settings.data_dir) else { return Ok(None) };
        let bearer = bearer(&key)?;
        let look = Way::Http { http: client(FIND_TIME, &url)?, url: url.clone(), bearer: bearer.clone() };
        let found = Self { way: look, place: Place::Here { url: url.clone() } };
        if found.get::<serde::de::IgnoredAny>("/pin").await.is_err() {
            return Ok(None);
        }
        let way = Way::Http { http: client(CALL_TIME, &url)?, url: url.clone(), bearer };
        Ok(Some(Self { way, place: Place::Here { url } }))
    }

    /// Which gateway answers.
    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// Lets go of what a command held open.
    pub(super) async fn close(self) {
        if let Way::Local { local, .. } = self.way {
            local.close().await;
        }
    }

    /// Reads something.
    pub(super) async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, CallError> {
        self.read(&self.send(Method::GET, path, Bytes::new()).await?)
    }

    /// Reads something that is no JSON document.
    pub(super) async fn bytes(&self, path: &str) -> Result<Bytes, CallError> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Changes something, with a body.
    pub(super) async fn send_body<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, CallError> {
        let body = serde_json::to_vec(body).map_err(|error| self.strange(error.to_string()))?;
        self.read(&self.send(method, path, body.into()).await?)
    }

    /// The same, answered with a text of its own.
    pub(super) async fn text(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<String, CallError> {
        let body = serde_json::to_vec(body).map_err(|error| self.strange(error.to_string()))?;
        let answer = self.send(method, path, body.into()).await?;
        String::from_utf8(answer.into()).map_err(|error| self.strange(error.to_string()))
    }

    /// Does something that needs no body.
    pub(super) async fn post<A: DeserializeOwned>(&self, path: &str) -> Result<A, CallError> {
        self.read(&self.send(Method::POST, path, Bytes::new()).await?)
    }

    /// Removes something.
    pub(super) async fn delete(&self, path: &str) -> Result<(), CallError> {
        self.send(Method::DELETE, path, Bytes::new()).await.map(drop)
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, CallError> {
        let path = format!("{ADMIN_PREFIX}{path}");
        let (status, answer) = match &self.way {
            Way::Http { http, url, bearer } => over_http(http, url, bearer, method, &path, body).await?,
            Way::Local { local, bearer } => {
                let request = Request::builder()
                    .method(method)
                    .uri(&path)
                    .header(AUTHORIZATION, bearer)
                    .header(CONTENT_TYPE, "application/json")
                    .body(Full::new(body))
                    .map_err(|error| self.strange(error.to_string()))?;
                let answer = tokio::time::timeout(CALL_TIME, local.answer(request)).await;
                let answer = answer.map_err(|_| self.strange("it takes too long".to_owned()))?;
                let answer = answer.map_err(|why| self.strange(why))?;
                (answer.status(), answer.into_body())
            }
        };
        if status.is_success() { Ok(answer) } else { Err(self.refusal(status, &answer)) }
    }

    fn read<A: DeserializeOwned>(&self, answer: &Bytes) -> Result<A, CallError> {
        serde_json::from_slice(answer).map_err(|error| self.strange(error.to_string()))
    }

    fn refusal(&self, status: StatusCode, answer: &Bytes) -> CallError {
        match serde_json::from_slice::<ApiError>(answer) {
            Ok(error) if error.code == GONE => CallError::NotFound(error.message),
            Ok(error) => CallError::Refused { field: error.field, message: error.message },
            Err(_) => self.strange(format!("it answers {status}")),
        }
    }

    fn strange(&self, why: String) -> CallError {
        let url = match &self.place {
            Place::Elsewhere { url } | Place::Here { url } => url.clone(),
            Place::Database => "the gateway made for this command".to_owned(),
        };
        CallError::Strange { url, why }
    }
}

impl CallError {
    /// The same, told apart by the command line's status.
    pub(super) fn told(self) -> anyhow::Error {
        match self {
            Self::NotFound(message) => NotFound(message).into(),
            other => other.into(),
        }
    }
}

async fn over_http(
    http: &reqwest::Client,
    url: &str,
    bearer: &HeaderValue,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), CallError> {
    let unreachable =
        |error: reqwest::Error| CallError::Unreachable { url: url.to_owned(), why: reason(&error) };
    let request = http
        .request(method, format!("{url}{path}"))
        .header(AUTHORIZATION, bearer.clone())
        .header(CONTENT_TYPE, "application/json")
        .body(body);
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if answer.len() + chunk.len() > MAX_ANSWER_BYTES {
            let why = format!("its answer is larger than {MAX_ANSWER_BYTES} bytes");
            return Err(CallError::Strange { url: url.to_owned(), why });
        }
        answer.extend_from_slice(&chunk);
    }
    Ok((status, answer.into()))
}

/// Whether a gateway answers there.
pub(super) async fn is_healthy(url: &str) -> Result<(), CallError> {
    let answer = client(FIND_TIME, url)?.get(format!("{url}/health")).send().await;
    let answer =
        answer.map_err(|error| CallError::Unreachable { url: url.to_owned(), why: reason(&error) })?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(CallError::Strange { url: url.to_owned(), why: format!("it answers {status}") }),
    }
}

/// The innermost cause is the one that helps.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it takes too long".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn client(patience: Duration, url: &str) -> Result<reqwest::Client, CallError> {
    let mut builder = reqwest::Client::builder();
    if is_loopback(url) {
        // A proxy of the environment does not lead to this machine.
        builder = builder.no_proxy();
    }
    builder
        .connect_timeout(CONNECT_TIME.min(patience))
        .timeout(patience)
        // A redirect would take the key elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| CallError::Unreachable { url: "any address".to_owned(), why: reason(&error) })
}

fn is_loopback(url: &str) -> bool {
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| {
        let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    })
}

fn bearer(key: &Secret) -> Result<HeaderValue, CallError> {
    let key = key.expose().trim();
    if !key.starts_with(gateway_core::operator_keys::OPERATOR_KEY_PREFIX) {
        return Err(CallError::BadKey);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| CallError::BadKey)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The gateway's address, without what people paste behind it.
pub(super) fn base(url: &str) -> Result<String, CallError> {
    let bad = || CallError::BadUrl(url.to_owned());
    let parsed = reqwest::Url::parse(url.trim()).map_err(|_| bad())?;
    let plain = matches!(parsed.scheme(), "http" | "https")
        && parsed.host_str().is_some_and(|host| !host.is_empty())
        && parsed.username().is_empty()
        && parsed.password().is_none()
        && parsed.query().is_none()
        && parsed.fragment().is_none();
    if !plain {
        return Err(bad());
    }
    Ok(parsed.as_str().trim_end_matches('/').trim_end_matches("/v1").trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_paste_them() {
        for (text, expect) in [
            ("https://gateway.example", Some("https://gateway.example")),
            (" http://127.0.0.1:8080/ ", Some("http://127.0.0.1:8080")),
            ("http://127.0.0.1:8080/v1/", Some("http://127.0.0.1:8080")),
            ("https://h.example/behind/", Some("https://h.example/behind")),
            ("127.0.0.1:8080", None),
            ("ftp://h.example", None),
            ("https://me:pw@h.example", None),
            ("https://h.example/?x=1", None),
            ("", None),
        ] {
            assert_eq!(base(text).ok().as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn only_operator_keys_are_sent_and_never_shown() {
        let good = bearer(&Secret::from(" sk-sy-op-abc\n")).unwrap();
        assert_eq!(good.to_str().unwrap(), "Bearer sk-sy-op-abc");
        assert!(!format!("{good:?}").contains("abc"));
        for bad in ["", "sk-sy-abc", "sk-sy-op-a\nb", "Bearer sk-sy-op-a"] {
            let error = bearer(&Secret::from(bad)).unwrap_err();
            assert!(bad.is_empty() || !error.to_string().contains("abc"), "{error}");
        }
    }
}
