//! The API over real sockets, against the lab.

use anyhow::Result;
use gateway_lab::{LabClock, LabConfig};
use switchyard_tests::{InProcess, read_events, turn};

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_comes_back_whole() -> Result<()> {
    let mut config = LabConfig::demo();
    config.clock = LabClock::fixed(1_800_000_000);
    let gateway = InProcess::start(config).await?;
    let response = gateway.post(&turn("hello")).await?;
    assert_eq!(response.status(), 200);
    let events = read_events(response).await?;
    assert_eq!(events.last().map(|event| event.name.as_str()), Some("response.completed"));
    gateway.stop().await
}
