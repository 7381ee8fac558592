//! The OAuth issuer: fake JWTs, access-token checks, and refresh tokens that are good for one use.
//! Refuses to sign anything: the tokens carry `alg: none` and an `example.test` issuer, so nobody mistakes them.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{CLIENT_ID, LabAccount};

/// What one grant hands out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenSet {
    /// Bearer for the backend.
    pub access_token: String,
    /// Good for one refresh.
    pub refresh_token: String,
    /// Who the account is.
    pub id_token: String,
    /// Seconds the access token lives.
    pub expires_in: u64,
}

/// How long the access token of an issued `auth.json` lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// What the configuration says.
    Normal,
    /// This long.
    For(Duration),
    /// Expired a minute ago.
    Expired,
}

/// What the issuer knows about one account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TokenStats {
    /// Rotations since the last login of this account; zero right after it.
    pub generation: u64,
    /// The refresh token that is good now.
    pub current_refresh_token: Option<String>,
    /// Logins.
    pub logins: u64,
    /// Refreshes that handed out new tokens.
    pub refreshes: u64,
    /// Uses of a spent refresh token that were refused.
    pub reuse_detections: u64,
    /// Uses of a spent refresh token that the leeway forgave.
    pub leeway_replays: u64,
}

/// Why a bearer was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthFailure {
    Missing,
    Unknown,
    Expired,
    Revoked,
    /// The token is fine, the `chatgpt-account-id` beside it names another workspace.
    WrongWorkspace,
}

/// Why a refresh was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshFailure {
    Unknown,
    Reused,
    Expired,
    Revoked,
}

#[derive(Debug)]
struct Access {
    account: usize,
    family: u64,
    expires_at: i64,
    revoked: bool,
}

#[derive(Debug)]
struct Refresh {
    account: usize,
    family: u64,
    state: RefreshState,
}

#[derive(Debug)]
enum RefreshState {
    Current,
    Spent { at_ms: i64, answer: TokenSet },
    Expired,
    Revoked,
}

/// How the issuer behaves; from the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) seed: u32,
    pub(crate) lifetime: Duration,
    pub(crate) leeway: Duration,
    pub(crate) revoke_family_on_reuse: bool,
}

/// Every token the lab ever issued.
#[derive(Debug)]
pub(crate) struct TokenBook {
    rules: Rules,
    accounts: Vec<LabAccount>,
    stats: Vec<TokenStats>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    serial: u64,
}

impl TokenBook {
    pub(crate) fn new(accounts: &[LabAccount], rules: Rules) -> Self {
        Self {
            rules,
            accounts: accounts.to_vec(),
            stats: vec![TokenStats::default(); accounts.len()],
            access: HashMap::new(),
            refresh: HashMap::new(),
            serial: 0,
        }
    }

    pub(crate) fn stats(&self, account: usize) -> Option<TokenStats> {
        self.stats.get(account).cloned()
    }

    /// A login: the start of a new line of refresh tokens. Older lines stay good, as on the real issuer.
    pub(crate) fn login(&mut self, account: usize, lifetime: Lifetime, now: i64) -> Option<TokenSet> {
        self.accounts.get(account)?;
        let family = self.next_serial();
        let tokens = self.issue(account, family, lifetime, now)?;
        let stats = self.stats.get_mut(account)?;
        stats.logins += 1;
        stats.generation = 0;
        stats.current_refresh_token = Some(tokens.refresh_token.clone());
        Some(tokens)
    }

    /// Who a refresh token belongs to, spent or not.
    pub(crate) fn owner(&self, refresh_token: &str) -> Option<usize> {
        self.refresh.get(refresh_token).map(|r| r.account)
    }

    /// Trades a refresh token for new tokens. Each is good for one trade.
    pub(crate) fn rotate(&mut self, refresh_token: &str, now_ms: i64) -> Result<TokenSet, RefreshFailure> {
        let found = self.refresh.get(refresh_token).ok_or(RefreshFailure::Unknown)?;
        let (account, family) = (found.account, found.family);
        match &found.state {
            RefreshState::Expired => return Err(RefreshFailure::Expired),
            RefreshState::Revoked => return Err(RefreshFailure::Revoked),
            RefreshState::Spent { at_ms, answer } => {
                let age = u128::try_from(now_ms.saturating_sub(*at_ms)).unwrap_or(0);
                let answer = answer.clone();
                return self.spent(account, family, answer, age);
            }
            RefreshState::Current => {}
        }
        let now = now_ms.div_euclid(1000);
        let tokens = self.issue(account, family, Lifetime::Normal, now).ok_or(RefreshFailure::Unknown)?;
        if let Some(old) = self.refresh.get_mut(refresh_token) {
            old.state = RefreshState::Spent { at_ms: now_ms, answer: tokens.clone() };
        }
        if let Some(stats) = self.stats.get_mut(account) {
            stats.refreshes += 1;
            stats.generation += 1;
            stats.current_refresh_token = Some(tokens.refresh_token.clone());
        }
        Ok(tokens)
    }

    fn spent(
        &mut self,
        account: usize,
        family: u64,
        answer: TokenSet,
        age_ms: u128,
    ) -> Result<TokenSet, RefreshFailure> {
        let unused = self.refresh.get(&answer.refresh_token);
        let unused = unused.is_some_and(|next| matches!(next.state, RefreshState::Current));
        let Some(stats) = self.stats.get_mut(account) else { return Err(RefreshFailure::Unknown) };
        if unused && age_ms < self.rules.leeway.as_millis() {
            stats.leeway_replays += 1;
            return Ok(answer);
        }
        stats.reuse_detections += 1;
        if self.rules.revoke_family_on_reuse {
            self.revoke(|f| f == family);
        }
        Err(RefreshFailure::Reused)
    }

    /// Checks a bearer; the account it stands for, or why not.
    pub(crate) fn verify(&self, bearer: &str, now: i64) -> Result<usize, AuthFailure> {
        let access = self.access.get(bearer).ok_or(AuthFailure::Unknown)?;
        if access.revoked {
            return Err(AuthFailure::Revoked);
        }
        if access.expires_at <= now {
            return Err(AuthFailure::Expired);
        }
        Ok(access.account)
    }

    /// Every access token of the account counts as expired from now on.
    pub(crate) fn expire_access(&mut self, account: usize) {
        for access in self.access.values_mut().filter(|a| a.account == account) {
            access.expires_at = i64::MIN;
        }
    }

    /// Every refresh token of the account counts as expired from now on.
    pub(crate) fn expire_refresh(&mut self, account: usize) {
        for refresh in self.refresh.values_mut().filter(|r| r.account == account) {
            refresh.state = RefreshState::Expired;
        }
    }

    /// Ends all sessions of the account.
    pub(crate) fn revoke_account(&mut self, account: usize) {
        let families: Vec<u64> =
            self.refresh.values().filter(|r| r.account == account).map(|r| r.family).collect();
        self.revoke(|family| families.contains(&family));
    }

    fn revoke(&mut self, hit: impl Fn(u64) -> bool) {
        for access in self.access.values_mut().filter(|a| hit(a.family)) {
            access.revoked = true;
        }
        for refresh in self.refresh.values_mut().filter(|r| hit(r.family)) {
            // A spent token keeps saying "reused": that is what it is.
            if matches!(refresh.state, RefreshState::Current) {
                refresh.state = RefreshState::Revoked;
            }
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn issue(&mut self, account: usize, family: u64, lifetime: Lifetime, now: i64) -> Option<TokenSet> {
        let serial = self.next_serial();
        let owner = self.accounts.get(account)?;
        let (issued_at, expires_in) = match lifetime {
            Lifetime::Normal => (now, self.rules.lifetime.as_secs()),
            Lifetime::For(span) => (now, span.as_secs()),
            Lifetime::Expired => (now.saturating_sub(3_660), 3_600),
        };
        let expires_at = issued_at.saturating_add_unsigned(expires_in);
        let stamp = Stamp { seed: self.rules.seed, serial, issued_at, expires_at };
        let tokens = TokenSet {
            access_token: access_jwt(owner, &stamp),
            refresh_token: format!("rt-lab-{:x}.{account}.{family}.{serial}", self.rules.seed),
            id_token: id_jwt(owner, &stamp),
            expires_in,
        };
        let access = Access { account, family, expires_at, revoked: false };
        self.access.insert(tokens.access_token.clone(), access);
        let refresh = Refresh { account, family, state: RefreshState::Current };
        self.refresh.insert(tokens.refresh_token.clone(), refresh);
        Some(tokens)
    }
}

/// What makes one JWT differ from the next.
struct Stamp {
    seed: u32,
    serial: u64,
    issued_at: i64,
    expires_at: i64,
}

const ISSUER: &str = "https://auth.lab.example.test";

fn auth_claim(account: &LabAccount) -> Value {
    json!({
        "chatgpt_account_id": account.workspace_id,
        "chatgpt_plan_type": account.plan,
        "chatgpt_user_id": account.user_id,
        "user_id": account.user_id,
    })
}

fn access_jwt(account: &LabAccount, stamp: &Stamp) -> String {
    jwt(&json!({
        "iss": ISSUER,
        "aud": ["https://api.openai.com/v1"],
        "client_id": CLIENT_ID,
        "sub": format!("lab|{}", account.user_id),
        "jti": format!("{:x}-{}", stamp.seed, stamp.serial),
        "iat": stamp.issued_at,
        "nbf": stamp.issued_at,
        "exp": stamp.expires_at,
        "scp": ["openid", "profile", "email", "offline_access"],
        "https://api.openai.com/auth": auth_claim(account),
        "https://api.openai.com/profile": {"email": account.email, "email_verified": true},
    }))
}

fn id_jwt(account: &LabAccount, stamp: &Stamp) -> String {
    jwt(&json!({
        "iss": ISSUER,
        "aud": [CLIENT_ID],
        "sub": format!("lab|{}", account.user_id),
        "jti": format!("{:x}-{}-id", stamp.seed, stamp.serial),
        "iat": stamp.issued_at,
        "exp": stamp.expires_at,
        "email": account.email,
        "email_verified": true,
        "https://api.openai.com/auth": auth_claim(account),
    }))
}

/// Three parts, because Codex refuses two; the third says what it is.
fn jwt(claims: &Value) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = part(r#"{"alg":"none","typ":"JWT"}"#);
    format!("{header}.{}.{}", part(&claims.to_string()), part("unsigned-lab-token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn book(leeway: Duration, revoke: bool) -> TokenBook {
        let accounts = [LabAccount::new("a", "plus"), LabAccount::new("b", "pro")];
        let lifetime = Duration::from_secs(600);
        TokenBook::new(&accounts, Rules { seed: 7, lifetime, leeway, revoke_family_on_reuse: revoke })
    }

    fn claims(token: &str) -> Value {
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    #[test]
    fn the_jwts_carry_what_codex_reads() {
        let mut book = book(Duration::ZERO, false);
        let tokens = book.login(1, Lifetime::Normal, NOW).unwrap();
        let access = claims(&tokens.access_token);
        assert_eq!(access["exp"], NOW + 600);
        assert_eq!(access["https://api.openai.com/auth"]["chatgpt_account_id"], "acc-lab-b");
        assert_eq!(access["https://api.openai.com/auth"]["chatgpt_plan_type"], "pro");
        assert_eq!(access["https://api.openai.com/profile"]["email"], "b@example.test");
        assert_eq!(claims(&tokens.id_token)["email"], "b@example.test");
        assert_eq!(tokens.access_token.split('.').count(), 3);
    }

    #[test]
    fn access_tokens_expire_and_can_be_revoked() {
        let mut book = book(Duration::ZERO, false);
        let first = book.login(0, Lifetime::Normal, NOW).unwrap();
        assert_eq!(book.verify(&first.access_token, NOW + 599), Ok(0));
        assert_eq!(book.verify(&first.access_token, NOW + 600), Err(AuthFailure::Expired));
        assert_eq!(book.verify("nonsense", NOW), Err(AuthFailure::Unknown));
        let expired = book.login(0, Lifetime::Expired, NOW).unwrap();
        assert_eq!(book.verify(&expired.access_token, NOW), Err(AuthFailure::Expired));
        book.revoke_account(0);
        assert_eq!(book.verify(&first.access_token, NOW), Err(AuthFailure::Revoked));
        assert_eq!(book.rotate(&first.refresh_token, NOW * 1000), Err(RefreshFailure::Revoked));
    }

    #[test]
    fn a_refresh_token_is_good_once() {
        let mut book = book(Duration::ZERO, false);
        let first = book.login(0, Lifetime::Normal, NOW).unwrap();
        let second = book.rotate(&first.refresh_token, NOW * 1000).unwrap();
        assert_ne!(first.refresh_token, second.refresh_token);
        assert_ne!(first.access_token, second.access_token);
        assert_eq!(book.rotate(&first.refresh_token, NOW * 1000), Err(RefreshFailure::Reused));
        let stats = book.stats(0).unwrap();
        assert_eq!((stats.refreshes, stats.reuse_detections, stats.generation), (1, 1, 1));
        assert_eq!(stats.current_refresh_token.as_deref(), Some(second.refresh_token.as_str()));
        assert!(book.rotate(&second.refresh_token, NOW * 1000).is_ok(), "reuse kills nothing by default");
        assert_eq!(book.rotate("rt-unknown", 0), Err(RefreshFailure::Unknown));
        assert_eq!(book.owner(&first.refresh_token), Some(0));
    }

    #[test]
    fn reuse_can_kill_the_family_but_no_other_login() {
        let mut book = book(Duration::ZERO, true);
        let first = book.login(0, Lifetime::Normal, NOW).unwrap();
        let other = book.login(0, Lifetime::Normal, NOW).unwrap();
        let second = book.rotate(&first.refresh_token, NOW * 1000).unwrap();
        assert_eq!(book.rotate(&first.refresh_token, NOW * 1000), Err(RefreshFailure::Reused));
        assert_eq!(book.rotate(&second.refresh_token, NOW * 1000), Err(RefreshFailure::Revoked));
        assert_eq!(book.verify(&second.access_token, NOW), Err(AuthFailure::Revoked));
        assert_eq!(book.verify(&other.access_token, NOW), Ok(0));
    }

    #[test]
    fn the_leeway_repeats_the_same_answer_until_it_is_used() {
        let mut book = book(Duration::from_secs(10), false);
        let first = book.login(0, Lifetime::Normal, NOW).unwrap();
        let second = book.rotate(&first.refresh_token, NOW * 1000).unwrap();
        assert_eq!(book.rotate(&first.refresh_token, NOW * 1000 + 9_999), Ok(second.clone()));
        assert_eq!(book.rotate(&first.refresh_token, NOW * 1000 + 10_000), Err(RefreshFailure::Reused));
        book.rotate(&second.refresh_token, NOW * 1000).unwrap();
        assert_eq!(book.rotate(&first.refresh_token, NOW * 1000), Err(RefreshFailure::Reused));
        assert_eq!(book.stats(0).unwrap().leeway_replays, 1);
    }
}
