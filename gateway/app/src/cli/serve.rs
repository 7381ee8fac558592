//! `switchyard serve`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use gateway_core::ports::SystemClock;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::tell;
use crate::{Refreshing, Settings, demo, start};

/// What `serve` takes.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<String>,
    /// Serve three made-up accounts from a simulated upstream; nothing leaves the machine
    #[arg(long)]
    demo: bool,
}

/// Serves until a signal.
pub(super) async fn run(mut settings: Settings, args: &ServeArgs) -> anyhow::Result<()> {
    let mut stop = signal(SignalKind::terminate()).context("listen for signals")?;
    let lab_stop = CancellationToken::new();
    let lab = if args.demo { Some(demo::prepare(&mut settings, lab_stop.clone()).await?) } else { None };
    let listener = TcpListener::bind(settings.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; is another gateway running? choose another with --listen",
            settings.listen
        )
    })?;
    let running = start(&settings, listener, Arc::new(SystemClock), Refreshing::InChild).await?;
    let accounts = running.gateway.with_pool(|pool| pool.members().count());
    tracing::info!(address = %running.address, accounts, data_dir = %settings.data_dir.display(), "serving");
    if lab.is_some() {
        tell(&demo_help(running.address, &settings.data_dir));
    } else if accounts == 0 {
        tell(&first_steps(running.address));
    }
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = stop.recv() => {}
    }
    tracing::info!("going down; streams may finish");
    running.stop().await;
    lab_stop.cancel();
    tracing::info!("bye");
    Ok(())
}

fn demo_help(address: SocketAddr, data_dir: &Path) -> String {
    let data_dir = data_dir.display();
    format!(
        r#"
Dashboard    http://{address}/
Try it       curl -N http://{address}/v1/responses -H 'content-type: application/json' \
               -d '{{"model":"gpt-5.5","input":"hello","stream":true}}'
Codex CLI    codex -c 'model_provider="switchyard"' -c 'model_providers.switchyard={{name="Switchyard",base_url="http://{address}/v1",wire_api="responses"}}' -m gpt-5.5
Commands     switchyard status --data-dir {data_dir}

The upstream is simulated and its three accounts are made up: nothing leaves this machine.
"#
    )
}

fn first_steps(address: SocketAddr) -> String {
    format!(
        "\nNo account yet. Add one with\n  switchyard account login\n  switchyard account import ~/.codex/auth.json\nor in the dashboard: http://{address}/\n"
    )
}
