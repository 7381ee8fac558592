//! The operator: signs in and calls the admin API.

use anyhow::{Context, Result, ensure};
use gateway_api::{ADMIN_PREFIX, CSRF_HEADER};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::Answer;

/// The password that tests set.
pub const PASSWORD: &str = "correct horse battery";

/// An operator who is signed in.
pub struct Admin {
    http: Client,
    base: String,
    /// The session's cookie, `name=value`.
    pub cookie: String,
}

impl Admin {
    /// Sets the first password of a gateway and is signed in by that.
    ///
    /// # Errors
    /// The gateway refuses it.
    pub async fn set_up(http: &Client, url: &str) -> Result<Self> {
        Self::sign_in_at(http, url, "setup").await
    }

    /// Signs in with the password that is set.
    ///
    /// # Errors
    /// The gateway refuses it.
    pub async fn log_in(http: &Client, url: &str) -> Result<Self> {
        Self::sign_in_at(http, url, "login").await
    }

    async fn sign_in_at(http: &Client, url: &str, place: &str) -> Result<Self> {
        let base = format!("{url}{ADMIN_PREFIX}");
        let request = http.post(format!("{base}/{place}")).header(CSRF_HEADER, "1");
        let answer =
            Answer::read(request.body(json!({ "password": PASSWORD }).to_string()).send().await?).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        let cookie = answer.header("set-cookie").context("no cookie")?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self { http: http.clone(), base, cookie })
    }

    /// Calls the admin API.
    ///
    /// # Errors
    /// No answer came.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = request.header("cookie", &self.cookie).header(CSRF_HEADER, "1");
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        Answer::read(request.send().await?).await
    }

    /// Reads something that must be there.
    ///
    /// # Errors
    /// It is not.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.call(Method::GET, path, None).await?;
        ensure!(answer.status == 200, "GET {path}: {} {}", answer.status, answer.text());
        Ok(answer.json())
    }

    /// Calls the admin API and wants this status.
    ///
    /// # Errors
    /// Another status came.
    pub async fn expect(
        &self,
        status: u16,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let answer = self.call(method.clone(), path, body).await?;
        ensure!(answer.status == status, "{method} {path}: {} {}", answer.status, answer.text());
        Ok(answer.json())
    }

    /// Adds an account that is opened by a key, and returns its id.
    ///
    /// # Errors
    /// The gateway refuses it.
    pub async fn add_key(&self, kind: &str, name: &str, key: &str, settings: Value) -> Result<String> {
        let body = json!({ "kind": kind, "name": name, "key": key, "settings": settings });
        let added = self.expect(201, Method::POST, "/accounts/keys", Some(&body)).await?;
        Ok(added.pointer("/account/id").and_then(Value::as_str).context("no id")?.to_owned())
    }

    /// Changes an account.
    ///
    /// # Errors
    /// The gateway refuses it.
    pub async fn patch_account(&self, id: &str, patch: &Value) -> Result<Value> {
        self.expect(200, Method::PATCH, &format!("/accounts/{id}"), Some(patch)).await
    }

    /// Lets another policy decide.
    ///
    /// # Errors
    /// The gateway refuses it.
    pub async fn choose_policy(&self, id: &str) -> Result<()> {
        let answer = self.call(Method::PUT, "/policy", Some(&json!({ "id": id }))).await?;
        ensure!(answer.status == 200, "policy {id}: {} {}", answer.status, answer.text());
        Ok(())
    }
}
