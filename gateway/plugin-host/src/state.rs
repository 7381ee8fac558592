//! The data of a store, and the imports a component calls. Each does one bounded thing.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker};

use crate::bindings::switchyard::plugin::{http_out, kv, logging, metrics, secrets};
use crate::grants::Capability;
use crate::lent::{KvRefusal, Lent, LogLevel};
use crate::memory::MemoryCap;
use crate::outbound::{OutboundError, OutboundRequest};

/// What one instance is and has.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) cap: MemoryCap,
    pub(crate) lent: Arc<Lent>,
}

/// A linker that knows these capabilities and nothing else.
pub(crate) fn linker(
    engine: &wasmtime::Engine,
    held: impl IntoIterator<Item = Capability>,
) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    for capability in held {
        match capability {
            Capability::Logging => logging::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?,
            Capability::Metrics => metrics::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?,
            Capability::Kv => kv::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?,
            Capability::Secrets => secrets::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?,
            Capability::HttpOut => http_out::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?,
        }
    }
    Ok(linker)
}

impl logging::Host for State {
    fn log(&mut self, level: logging::Level, message: String) {
        let level = match level {
            logging::Level::Debug => LogLevel::Debug,
            logging::Level::Info => LogLevel::Info,
            logging::Level::Warn => LogLevel::Warn,
            logging::Level::Error => LogLevel::Error,
        };
        self.lent.log.write(level, message);
    }
}

impl metrics::Host for State {
    fn add(&mut self, name: String, value: f64) {
        self.lent.counters.add(&name, value);
    }
}

impl kv::Host for State {
    fn get(&mut self, key: String) -> Option<Vec<u8>> {
        self.lent.kv.get(&key)
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl_ms: Option<u32>) -> Result<(), kv::KvError> {
        self.lent.kv.set(&key, value, ttl_ms.map(millis)).map_err(refused)
    }

    fn delete(&mut self, key: String) {
        self.lent.kv.delete(&key);
    }

    fn increment(&mut self, key: String, delta: i64, ttl_ms: Option<u32>) -> Result<i64, kv::KvError> {
        self.lent.kv.increment(&key, delta, ttl_ms.map(millis)).map_err(refused)
    }
}

fn millis(ms: u32) -> Duration {
    Duration::from_millis(u64::from(ms))
}

fn refused(why: KvRefusal) -> kv::KvError {
    match why {
        KvRefusal::QuotaExceeded => kv::KvError::QuotaExceeded,
        KvRefusal::TooLarge => kv::KvError::TooLarge,
    }
}

impl secrets::Host for State {
    fn get(&mut self, name: String) -> Option<String> {
        self.lent.secrets.get(&name).map(|secret| secret.expose().clone())
    }
}

impl http_out::Host for State {
    fn send(
        &mut self,
        request: http_out::HttpRequest,
    ) -> Result<http_out::HttpResponse, http_out::HttpError> {
        let request = OutboundRequest {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
            timeout: millis(request.timeout_ms),
        };
        match self.lent.send(request) {
            Ok(response) => Ok(http_out::HttpResponse {
                status: response.status,
                headers: response.headers,
                body: response.body,
            }),
            Err(error) => Err(match error {
                OutboundError::Denied(why) => http_out::HttpError::Denied(why),
                OutboundError::TimedOut => http_out::HttpError::Timeout,
                OutboundError::TooLarge => http_out::HttpError::TooLarge,
                OutboundError::Failed(why) => http_out::HttpError::Failed(why),
            }),
        }
    }
}
