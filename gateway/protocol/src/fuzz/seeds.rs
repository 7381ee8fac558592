//! What the targets begin with: the fixtures, and texts for what has none.

use std::path::Path;

/// Where a target's seeds are.
pub(crate) enum Seeds {
    /// All files of these folders of `fixtures`.
    Folders(&'static [&'static str]),
    /// The events of all streams in these folders, one by one, and their data.
    Events(&'static [&'static str]),
    /// These texts.
    Texts(&'static [&'static str]),
    /// Texts that have to be put together.
    Made(fn() -> Vec<Vec<u8>>),
}

pub(super) const STREAMS: &[&str] = &["openai-responses/stream", "openai-chat/stream", "messages/streams"];

impl Seeds {
    /// All of them, in an order that does not depend on the machine.
    pub(super) fn read(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Folders(folders) => folders.iter().flat_map(|folder| files(folder)).collect(),
            Self::Events(folders) => {
                folders.iter().flat_map(|folder| files(folder)).flat_map(events).collect()
            }
            Self::Texts(texts) => texts.iter().map(|text| text.as_bytes().to_vec()).collect(),
            Self::Made(make) => make(),
        }
    }
}

fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn events(stream: Vec<u8>) -> Vec<Vec<u8>> {
    let text = String::from_utf8(stream).unwrap();
    let events = text.split("\n\n").filter(|event| !event.is_empty());
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    events.chain(data).map(|text| text.as_bytes().to_vec()).collect()
}
