//! The simulated upstream as a process of its own, so that its CPU time is nobody else's.
//!
//! It serves the lab's canned answers and stamps every paced event with the time it was sent, as a comment line that
//! proxies pass on, so that the delivery of single events can be measured.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use gateway_lab::{FIVE_HOURS, Lab, LabAccount, LabConfig, LabWindow, Lifetime, WEEK, router};
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use crate::options::LabOptions;

/// How a stamped event begins; the number behind it is nanoseconds since 1970.
pub(crate) const STAMP: &[u8] = b": sent ";
/// Only paced events arrive here one by one and begin like this.
const DELTA: &[u8] = b"event: response.output_text.delta";

/// Serves until the process is ended.
pub(crate) async fn run(options: LabOptions) -> Result<()> {
    let accounts = (0..options.accounts).map(account).collect();
    let lab = Lab::new(LabConfig { accounts, sockets: true, ..LabConfig::bench() });
    let mut all = Vec::with_capacity(options.accounts);
    for index in 0..options.accounts {
        let auth = lab.issue_auth_json_living(index, Lifetime::For(options.lifetime));
        let auth = auth.context("the lab does not have this account")?;
        let file = options.auth_dir.join(format!("{index}.json"));
        std::fs::write(&file, auth.to_string()).with_context(|| format!("write {}", file.display()))?;
        all.push(auth);
    }
    // And all together, for who imports them all.
    std::fs::write(options.auth_dir.join("all.json"), serde_json::to_vec(&all)?)?;
    let listener = TcpListener::bind(options.listen).await?;
    let router = TowerToHyperService::new(router(&lab));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let router = router.clone();
        let service = service_fn(move |request| {
            let answer = router.call(request);
            async move { answer.await.map(|response| response.map(|body| body.map_frame(stamped))) }
        });
        tokio::spawn(async move {
            // A connection that breaks was closed by a client that had seen enough.
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades()
                    .await,
            );
        });
    }
}

/// Accounts differ, so that rankings have something to weigh.
fn account(index: usize) -> LabAccount {
    let used = f64::from(u32::try_from(index * 7 % 80).unwrap_or(0));
    LabAccount::new(&format!("bench-{index}"), "plus").with_windows([
        LabWindow::new(FIVE_HOURS, used, FIVE_HOURS / 2),
        LabWindow::new(WEEK, used / 2.0, WEEK / 2),
    ])
}

fn stamped(frame: Frame<Bytes>) -> Frame<Bytes> {
    frame.map_data(|data| {
        if !data.starts_with(DELTA) {
            return data;
        }
        let mut stamped = BytesMut::with_capacity(data.len() + 32);
        stamped.extend_from_slice(STAMP);
        stamped.extend_from_slice(now_nanos().to_string().as_bytes());
        stamped.extend_from_slice(b"\n");
        stamped.extend_from_slice(&data);
        stamped.freeze()
    })
}

/// The wall clock, the only one that two processes share.
#[expect(clippy::disallowed_methods, reason = "two processes compare their readings of it")]
pub(crate) fn now_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
