//! What stands where: the addresses of each kind of upstream, from its base URL to every endpoint. Refuses to send.

use std::collections::HashMap;
use std::sync::Arc;

use gateway_core::ports::{BackendPath, Destination, Endpoint};
use gateway_domain::{AccountKind, Failure, FailureKind, Retry};
use parking_lot::RwLock;

use crate::address::{Address, Base};
use crate::providers::BaseUrls;
use crate::{BuildError, anthropic, api_key, codex, gateway};

/// The addresses of this many own bases are kept; beyond it they are made anew.
const MAX_OWN_SITES: usize = 4_096;

const ENDPOINTS: [Endpoint; 9] = [
    Endpoint::Responses,
    Endpoint::Compact,
    Endpoint::ChatCompletions,
    Endpoint::Messages,
    Endpoint::CountTokens,
    Endpoint::ImageGenerations,
    Endpoint::ImageEdits,
    Endpoint::Transcriptions,
    Endpoint::Embeddings,
];

/// The addresses of one upstream.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) base: Base,
    endpoints: [Option<Address>; ENDPOINTS.len()],
    /// The list of models.
    pub(crate) models: Address,
    /// The quota, for kinds that have one.
    pub(crate) quota: Option<Address>,
    /// Where the paths of the ChatGPT backend begin, for kinds that have them.
    backend: Option<&'static str>,
}

impl Site {
    pub(crate) fn new(kind: AccountKind, base: &str) -> Result<Self, BuildError> {
        let base = Base::parse(base)?;
        let (base, path): (Base, fn(Endpoint) -> Option<&'static str>) = match kind {
            AccountKind::Codex => (base, codex::path),
            AccountKind::OpenAi => (api_key::base(base), api_key::openai_path),
            AccountKind::OpenAiCompatible => (api_key::base(base), api_key::compatible_path),
            AccountKind::Anthropic => (anthropic::base(base), anthropic::path),
            AccountKind::Gateway => (gateway::base(base), gateway::path),
        };
        let (models, quota) = match kind {
            AccountKind::Codex => (codex::MODELS, Some(codex::USAGE)),
            AccountKind::OpenAi | AccountKind::OpenAiCompatible => (api_key::MODELS, None),
            AccountKind::Anthropic => (anthropic::MODELS, None),
            AccountKind::Gateway => (gateway::MODELS, Some(gateway::STATUS)),
        };
        let mut endpoints = [const { None }; ENDPOINTS.len()];
        for (address, endpoint) in endpoints.iter_mut().zip(ENDPOINTS) {
            *address = path(endpoint).map(|path| base.at(path)).transpose()?;
        }
        let models = base.at(models)?;
        let quota = quota.map(|path| base.at(path)).transpose()?;
        let backend = match kind {
            AccountKind::Codex => Some(""),
            AccountKind::Gateway => Some(gateway::BACKEND),
            AccountKind::OpenAi | AccountKind::OpenAiCompatible | AccountKind::Anthropic => None,
        };
        Ok(Self { base, endpoints, models, quota, backend })
    }

    /// Where a path of the ChatGPT backend is; `None` when this kind of upstream has none.
    pub(crate) fn backend(&self, asked: &BackendPath) -> Option<Result<Address, BuildError>> {
        let path = format!("{}{}", self.backend?, asked.path);
        let address = self.base.at(&path);
        Some(match asked.query.as_deref() {
            Some(query) => address.and_then(|address| address.with_raw_query(query)),
            None => address,
        })
    }

    /// Where an endpoint is; `None` when this kind of upstream has none.
    pub(crate) fn endpoint(&self, endpoint: Endpoint) -> Option<&Address> {
        let at = ENDPOINTS.iter().position(|known| *known == endpoint)?;
        self.endpoints.get(at)?.as_ref()
    }
}

/// All of them: the configured ones, and those of accounts with an address of their own.
pub(crate) struct Sites {
    codex: Arc<Site>,
    openai: Arc<Site>,
    anthropic: Arc<Site>,
    own: RwLock<HashMap<AccountKind, HashMap<String, Arc<Site>>>>,
}

impl Sites {
    pub(crate) fn new(urls: &BaseUrls) -> Result<Self, BuildError> {
        let site = |kind, base: &str| Site::new(kind, base).map(Arc::new);
        Ok(Self {
            codex: site(AccountKind::Codex, &urls.chatgpt)?,
            openai: site(AccountKind::OpenAi, &urls.openai)?,
            anthropic: site(AccountKind::Anthropic, &urls.anthropic)?,
            own: RwLock::default(),
        })
    }

    /// The configured ChatGPT backend.
    pub(crate) fn codex(&self) -> &Site {
        &self.codex
    }

    /// The site of an account.
    pub(crate) fn of(&self, to: &Destination) -> Result<Arc<Site>, Failure> {
        let Some(base) = to.base_url.as_deref() else {
            return match to.kind {
                AccountKind::Codex => Ok(self.codex.clone()),
                AccountKind::OpenAi => Ok(self.openai.clone()),
                AccountKind::Anthropic => Ok(self.anthropic.clone()),
                AccountKind::OpenAiCompatible | AccountKind::Gateway => {
                    Err(unusable("the account has no base URL; set one".to_owned()))
                }
            };
        };
        let known = self.own.read().get(&to.kind).and_then(|sites| sites.get(base)).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let made = Site::new(to.kind, base).map_err(|error| unusable(error.to_string()))?;
        let made = Arc::new(made);
        let mut own = self.own.write();
        let sites = own.entry(to.kind).or_default();
        if sites.len() >= MAX_OWN_SITES {
            sites.clear();
        }
        sites.insert(base.to_owned(), made.clone());
        Ok(made)
    }
}

fn unusable(why: String) -> Failure {
    Failure::gateway(FailureKind::Unreachable, why).retry(Retry::OtherAccount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::ports::Way;
    use gateway_domain::AccountId;

    fn url(kind: AccountKind, base: &str, endpoint: Endpoint) -> Option<String> {
        Some(Site::new(kind, base).unwrap().endpoint(endpoint)?.url.to_string())
    }

    #[test]
    fn every_kind_has_its_endpoints_where_they_belong() {
        use AccountKind::{Anthropic, Codex, Gateway, OpenAi, OpenAiCompatible};
        use Endpoint::{
            ChatCompletions, Compact, CountTokens, Embeddings, ImageGenerations, Messages, Responses,
            Transcriptions,
        };
        let chatgpt = "https://chatgpt.com/backend-api";
        for (kind, base, endpoint, expected) in [
            (Codex, chatgpt, Responses, Some("https://chatgpt.com/backend-api/codex/responses")),
            (Codex, chatgpt, Compact, Some("https://chatgpt.com/backend-api/codex/responses/compact")),
            (Codex, chatgpt, Transcriptions, Some("https://chatgpt.com/backend-api/transcribe")),
            (
                Codex,
                chatgpt,
                ImageGenerations,
                Some("https://chatgpt.com/backend-api/codex/images/generations"),
            ),
            (Codex, chatgpt, Messages, None),
            (OpenAi, "https://api.openai.com", Responses, Some("https://api.openai.com/v1/responses")),
            (OpenAi, "https://api.openai.com/v1/", Embeddings, Some("https://api.openai.com/v1/embeddings")),
            (OpenAi, "https://api.openai.com/v1", Messages, None),
            (
                OpenAiCompatible,
                "http://box:11434",
                ChatCompletions,
                Some("http://box:11434/v1/chat/completions"),
            ),
            (
                OpenAiCompatible,
                "https://openrouter.ai/api/v1",
                Messages,
                Some("https://openrouter.ai/api/v1/messages"),
            ),
            (
                OpenAiCompatible,
                "https://x.test/api/v1/chat/completions",
                Responses,
                Some("https://x.test/api/v1/responses"),
            ),
            (Anthropic, "https://api.anthropic.com", Messages, Some("https://api.anthropic.com/v1/messages")),
            (
                Anthropic,
                "https://x.test/anthropic/v1",
                CountTokens,
                Some("https://x.test/anthropic/v1/messages/count_tokens"),
            ),
            (Anthropic, "https://api.anthropic.com", Responses, None),
            (Gateway, "http://box:8765", Responses, Some("http://box:8765/v1/responses")),
            (Gateway, "http://box:8765/v1", Messages, Some("http://box:8765/v1/messages")),
            (
                Gateway,
                "http://box:8765/lb/backend-api/codex",
                Compact,
                Some("http://box:8765/lb/v1/responses/compact"),
            ),
        ] {
            assert_eq!(url(kind, base, endpoint).as_deref(), expected, "{} {base}", kind.as_str());
        }
    }

    #[test]
    fn an_account_without_an_address_has_the_configured_one_or_none() {
        let sites = Sites::new(&BaseUrls::default()).unwrap();
        let to = |kind, base: Option<&str>| Destination {
            account: AccountId::parse("acc_1").unwrap(),
            kind,
            base_url: base.map(str::to_owned),
            workspace_id: None,
            dialects: Default::default(),
            headers: http::HeaderMap::new(),
            way: Way::Direct,
        };
        let openai = sites.of(&to(AccountKind::OpenAi, None)).unwrap();
        assert_eq!(openai.models.url.as_str(), "https://api.openai.com/v1/models");
        for kind in [AccountKind::OpenAiCompatible, AccountKind::Gateway] {
            assert!(sites.of(&to(kind, None)).unwrap_err().message.contains("base URL"));
        }
        let own = to(AccountKind::Gateway, Some("http://child:1"));
        let (first, second) = (sites.of(&own).unwrap(), sites.of(&own).unwrap());
        assert!(Arc::ptr_eq(&first, &second), "made once");
        let wrong = sites.of(&to(AccountKind::OpenAi, Some("nonsense"))).unwrap_err();
        assert_eq!((wrong.kind, wrong.retry), (FailureKind::Unreachable, Retry::OtherAccount));
    }
}
