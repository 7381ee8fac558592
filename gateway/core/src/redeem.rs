//! Redeeming a reset credit: by hand, once for each wish, whatever breaks in between.
//!
//! Refuses: redeeming by itself. A credit is the owner's to spend.

use std::collections::HashSet;
use std::time::Duration;

use gateway_domain::{AccountId, AccountKind, FailureKind, Secret, Timestamp};
use gateway_protocol::codex::Redemption;
use parking_lot::Mutex;

use crate::Gateway;
use crate::accounts::AccountError;
use crate::operations::OperationError;
use crate::ports::StoreError;

/// For this long a wish that got no clear answer is the same wish when it is made again.
const SAME_WISH: Duration = Duration::from_secs(3_600);

/// The setting that holds the wish whose answer did not come.
fn setting(id: &AccountId) -> String {
    format!("redeeming-{id}")
}

/// A wish as it is stored: when, and its id.
fn read_wish(stored: &str, now: Timestamp) -> Option<String> {
    let (at, id) = stored.split_once(' ')?;
    let at = Timestamp::from_millis(at.parse().ok()?);
    (at <= now && now < at.plus(SAME_WISH)).then(|| id.to_owned())
}

/// One redemption of an account at a time: two wishes at once would spend two credits.
struct Running<'a> {
    all: &'a Mutex<HashSet<AccountId>>,
    id: AccountId,
}

impl<'a> Running<'a> {
    fn begin(all: &'a Mutex<HashSet<AccountId>>, id: &AccountId) -> Option<Self> {
        all.lock().insert(id.clone()).then(|| Self { all, id: id.clone() })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

impl Gateway {
    /// Redeems one of an account's reset credits: its windows are empty again, and it serves.
    ///
    /// The wish is stored before it is sent and forgotten when it is answered: whoever repeats one whose answer was lost
    /// spends no second credit.
    ///
    /// # Errors
    /// There is no such account or no way to it, it is no ChatGPT account, its upstream refused, or storage did.
    pub async fn redeem_reset_credit(&self, id: &AccountId) -> Result<Redemption, OperationError> {
        let gone =
            || OperationError::Account(AccountError::Store(StoreError::NotFound { what: "the account" }));
        let kind = self.accounts().get(id).map(|account| account.kind).ok_or_else(gone)?;
        if kind != AccountKind::Codex {
            return Err(OperationError::NoResetCredits);
        }
        let _running = Running::begin(&self.redeeming, id).ok_or(OperationError::RedeemRuns)?;
        let (setting, now) = (setting(id), self.now());
        let stored = self.settings.setting(&setting).await?;
        let wish = match stored.and_then(|stored| read_wish(stored.expose(), now)) {
            Some(wish) => wish,
            None => {
                let wish = uuid::Uuid::now_v7().to_string();
                let stored = Secret::new(format!("{} {wish}", now.as_millis()));
                self.settings.put_setting(&setting, stored).await?;
                wish
            }
        };
        let redemption = self.send_wish(id, wish).await?;
        self.settings.put_setting(&setting, Secret::from("")).await?;
        tracing::info!(account.id = %id, answer = redemption.label(), "a reset credit was to be redeemed");
        self.after_redemption(id, redemption).await;
        Ok(redemption)
    }

    async fn send_wish(&self, id: &AccountId, wish: String) -> Result<Redemption, OperationError> {
        let to = self.destination(id).ok_or(OperationError::NoWay)?;
        let no_token = |error: crate::keeper::NoToken| OperationError::NoToken(error.to_string());
        let token = self.keeper.token(id, self.now()).await.map_err(no_token)?;
        let answer = match self.upstream.redeem(to.clone(), token.token, wish.clone()).await {
            Err(failure) if failure.kind == FailureKind::AccountUnauthorized && token.renewable => {
                let renewed = self.keeper.renew(id, token.version).await.map_err(no_token)?;
                self.upstream.redeem(to, renewed.token, wish).await
            }
            answer => answer,
        };
        answer.map_err(OperationError::Upstream)
    }

    /// The numbers are asked for at once, and the usage limit that they end ends.
    async fn after_redemption(&self, id: &AccountId, redemption: Redemption) {
        let Some(account) = self.with_pool(|pool| pool.find(id)) else { return };
        if redemption.did_reset() {
            self.pool.lock().limits_reset(account);
        }
        crate::background::ask_quota(self, id, account).await;
        self.touch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_the_same_for_an_hour() {
        let at = Timestamp::from_secs;
        for (stored, now, wish) in [
            ("1000000 a-b", 1_000, Some("a-b")),
            ("1000000 a-b", 4_599, Some("a-b")),
            ("1000000 a-b", 4_600, None),
            ("1000000 a-b", 999, None),
            ("", 1_000, None),
            ("soon a-b", 1_000, None),
        ] {
            assert_eq!(read_wish(stored, at(now)).as_deref(), wish, "{stored:?} at {now}");
        }
    }
}
