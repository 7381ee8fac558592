//! One chromedriver with one headless Chromium behind it; both end with this, however the test ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What chromedriver prints once it listens.
const LISTENS: &str = "started successfully on port ";
/// The longest that it may take to end a browser.
const FAREWELL: Duration = Duration::from_secs(5);

/// A browser.
pub(super) struct Chromium {
    pub(super) client: Client,
    http: reqwest::Client,
    port: u16,
    session: String,
    driver: Child,
    _profile: TempDir,
}

impl Chromium {
    /// Starts chromedriver on a port of its own choice, and a browser that nobody has used before.
    pub(super) async fn start() -> Result<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("chromedriver does not start; run `cargo xtask test` (or `cargo xtask setup`)")?;
        let port = match port_of(&mut driver) {
            Ok(port) => port,
            Err(error) => {
                driver.kill()?;
                driver.wait()?;
                return Err(error);
            }
        };
        let profile = tempfile::tempdir()?;
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(&profile));
        let connected = builder.connect(&format!("http://127.0.0.1:{port}")).await;
        let client = match connected {
            Ok(client) => client,
            Err(error) => {
                driver.kill()?;
                driver.wait()?;
                return Err(error).context("chromium does not start; run `cargo xtask setup`");
            }
        };
        let session = client.session_id().await?.context("no session")?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { client, http, port, session, driver, _profile: profile })
    }

    /// A command of the browser's own protocol.
    pub(super) async fn devtools(&self, command: &str, parameters: Value) -> Result<Value> {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    /// What the console said since the last time: level and message.
    pub(super) async fn console(&self) -> Result<Vec<(String, String)>> {
        let entries = self.post("se/log", &json!({ "type": "browser" })).await?;
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let entries = entries.as_array().context("no log")?;
        Ok(entries.iter().map(|entry| (text(entry, "level"), text(entry, "message"))).collect())
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("http://127.0.0.1:{}/session/{}/{path}", self.port, self.session);
        let answer = self.http.post(url).body(body.to_string()).send().await?.error_for_status()?;
        let answer: Value = serde_json::from_slice(&answer.bytes().await?)?;
        Ok(answer["value"].clone())
    }

    /// Ends the browser. Chromedriver, when killed, would leave it behind.
    fn end_browser(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(FAREWELL))?;
        let request = format!(
            "DELETE /session/{} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
            self.session
        );
        stream.write_all(request.as_bytes())?;
        // The answer comes when the browser is gone; the connection then stays open.
        stream.read(&mut [0; 1024]).map(drop)
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        drop(self.end_browser());
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

fn port_of(driver: &mut Child) -> Result<u16> {
    let mut lines = BufReader::new(driver.stdout.take().context("no output")?).lines();
    let port = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| line.split_once(LISTENS)?.1.trim_end_matches('.').parse().ok())
        .context("chromedriver ended before it listened")?;
    // Read on, or it would stop at a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Ok(port)
}

fn capabilities(profile: &TempDir) -> serde_json::Map<String, Value> {
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,900",
    ];
    let profile = format!("--user-data-dir={}", profile.path().display());
    let arguments: Vec<String> = arguments.map(str::to_owned).into_iter().chain([profile]).collect();
    let wanted = json!({
        "browserName": "chrome",
        "goog:chromeOptions": { "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL" },
    });
    wanted.as_object().cloned().unwrap_or_default()
}
