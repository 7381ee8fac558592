//! How commands find the gateway that runs on a data folder: it leaves its address and a key there, for its owner alone,
//! and takes them away when it goes. Who may read the folder may read the database anyway.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use gateway_domain::Secret;
use serde::{Deserialize, Serialize};

use super::private_file::replace_private;

/// The file in the data folder.
const FILE: &str = "running.json";
/// A larger file is none of ours.
const MAX_BYTES: u64 = 4096;

#[derive(Serialize, Deserialize)]
struct Record {
    address: SocketAddr,
    key: String,
}

/// The note of a gateway that runs.
pub(crate) struct Note {
    path: PathBuf,
    text: String,
}

impl Note {
    /// Leaves the note.
    pub(crate) fn leave(data_dir: &Path, address: SocketAddr, key: &Secret) -> io::Result<Self> {
        let record = Record { address: reachable(address), key: key.expose().clone() };
        let (path, text) = (data_dir.join(FILE), serde_json::to_string(&record)?);
        replace_private(&path, text.as_bytes())?;
        Ok(Self { path, text })
    }

    /// Takes it away, unless another gateway has put its own there.
    pub(crate) fn take_away(self) {
        if std::fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            // One that stays is found to be stale.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Where the gateway of a data folder is said to listen, and the key that opens it. It may be gone.
pub(super) fn find(data_dir: &Path) -> Option<(String, Secret)> {
    let path = data_dir.join(FILE);
    if std::fs::metadata(&path).ok()?.len() > MAX_BYTES {
        return None;
    }
    let record: Record = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    Some((format!("http://{}", record.address), Secret::new(record.key)))
}

/// An address that means every interface is reached on this machine by the loopback.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_found_and_only_taken_away_by_who_left_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(find(folder.path()).is_none());
        let first =
            Note::leave(folder.path(), "0.0.0.0:8080".parse().unwrap(), &Secret::from("one")).unwrap();
        assert_eq!(find(folder.path()), Some(("http://127.0.0.1:8080".into(), Secret::from("one"))));
        let second = Note::leave(folder.path(), "[::]:9".parse().unwrap(), &Secret::from("two")).unwrap();
        first.take_away();
        assert_eq!(find(folder.path()), Some(("http://[::1]:9".into(), Secret::from("two"))));
        second.take_away();
        assert!(find(folder.path()).is_none());
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(find(folder.path()).is_none());
    }
}
