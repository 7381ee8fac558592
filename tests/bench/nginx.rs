//! nginx as a keep-alive reverse proxy: the configuration, made for one run in a folder of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{Process, accepts, free_address};

/// Where Debian puts it; not on everybody's path.
const PROGRAM: &str = "/usr/sbin/nginx";

/// Starts nginx in front of `upstream`, with its files in `folder`.
pub(crate) fn start(upstream: SocketAddr, folder: &Path) -> Result<(Process, SocketAddr)> {
    std::fs::create_dir_all(folder)?;
    let address = free_address()?;
    let config = folder.join("nginx.conf");
    std::fs::write(&config, configuration(address, upstream, folder))
        .with_context(|| format!("write {}", config.display()))?;
    let mut command = Command::new(PROGRAM);
    command.arg("-c").arg(&config).arg("-p").arg(folder).arg("-e").arg(folder.join("error.log"));
    let process = Process::start(command, &folder.join("nginx.out"), || accepts(address))
        .context("nginx is compared with; `cargo xtask bench` installs it")?;
    Ok((process, address))
}

/// One process (`master_process off`), so that its CPU time is all there is. Without the limits on requests a
/// connection carries, the run would measure reconnecting.
fn configuration(listen: SocketAddr, upstream: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 64m;
    client_body_buffer_size 128k;
    keepalive_timeout 300s;
    keepalive_requests 100000000;
    tcp_nodelay on;
    upstream lab {{
        server {upstream};
        keepalive 2048;
        keepalive_requests 100000000;
        keepalive_time 1h;
    }}
    server {{
        listen {listen} backlog=4096;
        location / {{
            proxy_pass http://lab;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout 900s;
        }}
    }}
}}
"
    )
}
