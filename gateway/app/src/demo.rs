//! `serve --demo`: the lab as upstream, with three made-up accounts. Nothing leaves the machine.

use anyhow::Context;
use gateway_core::accounts::import_auth_json;
use gateway_core::ports::SystemClock;
use gateway_lab::{Lab, LabConfig};
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::run::open_store;

/// Starts the lab, points the settings at it, and stores its accounts (in a folder of their own, so that real accounts
/// and made-up ones never mix).
pub(crate) async fn prepare(settings: &mut Settings, stopping: CancellationToken) -> anyhow::Result<Lab> {
    let lab = Lab::start_local(LabConfig::demo(), stopping).await.context("start the simulated upstream")?;
    let demo = Settings::for_data_dir(&settings.data_dir.join("demo"));
    settings.data_dir = demo.data_dir;
    settings.database = demo.database;
    settings.chatgpt_url = lab.backend_url();
    settings.oauth_url = lab.base_url().to_owned();
    let store = open_store(settings).await?;
    for index in 0..lab.accounts().count() {
        let auth = lab.issue_auth_json(index).context("the lab has no such account")?;
        import_auth_json(&*store.accounts(), &SystemClock, &auth.to_string(), None).await?;
    }
    store.close().await;
    Ok(lab)
}
