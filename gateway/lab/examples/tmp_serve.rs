//! temporary
use gateway_lab::*;
#[tokio::main]
async fn main() {
    let bench = std::env::args().nth(1).as_deref() == Some("bench");
    let l = tokio::net::TcpListener::bind("127.0.0.1:18999").await.unwrap();
    let config = if bench { LabConfig::bench() } else { LabConfig { workspace_backend_origin: "NO_CONSTRAINT".into(), ..LabConfig::demo() } };
    let lab = start(config, l, tokio_util::sync::CancellationToken::new()).unwrap();
    std::fs::write("/tmp/lab-auth.json", lab.issue_auth_json(0).unwrap().to_string()).unwrap();
    std::future::pending::<()>().await;
}
