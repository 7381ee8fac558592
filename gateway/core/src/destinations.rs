//! Where each account's requests go and by which way they leave, worked out once when something about it changes.
//!
//! Refuses: sending an account straight that was told to use a proxy. Without its proxy it has no destination and is
//! skipped.

use std::collections::HashMap;
use std::sync::Arc;

use gateway_domain::{Account, AccountId, Egress, EgressProxy};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::ports::{Destination, Way};

/// The destinations of all accounts that have one.
pub type Destinations = HashMap<AccountId, Arc<Destination>>;

/// Works them out.
#[must_use]
pub fn destinations<'a>(
    accounts: impl Iterator<Item = &'a Account>,
    proxies: &[EgressProxy],
) -> Destinations {
    accounts
        .filter_map(|account| {
            let way = way(account, proxies)?;
            Some((account.id.clone(), Arc::new(destination(account, way))))
        })
        .collect()
}

/// Where one account's requests go.
#[must_use]
pub fn destination(account: &Account, way: Way) -> Destination {
    Destination {
        account: account.id.clone(),
        kind: account.kind,
        base_url: account.settings.base_url.clone(),
        workspace_id: account.identity.workspace_id.clone(),
        dialects: account.settings.dialects.clone(),
        headers: overrides(account),
        way,
    }
}

/// How an account's requests leave; `None` when its proxy is gone or switched off.
#[must_use]
pub fn way(account: &Account, proxies: &[EgressProxy]) -> Option<Way> {
    let through = |proxy: &EgressProxy| {
        proxy.enabled.then(|| Way::Proxy { id: proxy.id.clone(), url: proxy.url.clone() })
    };
    match &account.settings.egress {
        Egress::Direct => Some(Way::Direct),
        Egress::Proxy { proxy: id } => through(proxies.iter().find(|proxy| proxy.id == *id)?),
        Egress::Inherit => {
            let of_group = account
                .settings
                .groups
                .iter()
                .map(|group| proxies.iter().filter(|proxy| proxy.groups.contains(group)).collect::<Vec<_>>())
                .find(|proxies| !proxies.is_empty());
            match of_group {
                None => Some(Way::Direct),
                // Always the same one of several, so that an account keeps its address; never straight.
                Some(of_group) => {
                    let usable: Vec<_> = of_group.into_iter().filter(|proxy| proxy.enabled).collect();
                    let place = stable(&account.id).checked_rem(usable.len())?;
                    through(usable.get(place)?)
                }
            }
        }
    }
}

/// A number that is always the same for one account (FNV-1a).
fn stable(id: &AccountId) -> usize {
    let hash = id.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from(hash >> 1).unwrap_or(0)
}

/// Headers are checked when they are set; one that is no header after all is left out.
fn overrides(account: &Account) -> HeaderMap {
    account
        .settings
        .headers
        .iter()
        .filter_map(|(name, value)| {
            let mut value = HeaderValue::from_str(value.expose()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::{
        AccountIdentity, AccountKind, AccountSettings, AccountState, ProxyId, Secret, Timestamp,
    };

    fn account(settings: AccountSettings) -> Account {
        Account {
            id: AccountId::parse("acc_1").unwrap(),
            kind: AccountKind::Codex,
            name: "one".into(),
            identity: AccountIdentity::default(),
            plan: None,
            state: AccountState::Active,
            settings,
            created_at: Timestamp::from_secs(0),
        }
    }

    fn proxy(name: &str, enabled: bool, group: Option<&str>) -> EgressProxy {
        EgressProxy {
            id: ProxyId::parse(name).unwrap(),
            name: name.into(),
            url: Secret::new(format!("http://{name}:1")),
            enabled,
            groups: group.map(str::to_owned).into_iter().collect(),
        }
    }

    #[test]
    fn the_ways_out() {
        let of = |egress| AccountSettings { egress, ..AccountSettings::default() };
        let member =
            |group: &str| AccountSettings { groups: [group.to_owned()].into(), ..AccountSettings::default() };
        let named = |name: &str| Egress::Proxy { proxy: ProxyId::parse(name).unwrap() };
        let proxies = [proxy("on", true, None), proxy("off", false, None), proxy("team", true, Some("eu"))];
        let down = [proxy("team", false, Some("eu"))];
        for (settings, proxies, expect) in [
            (of(Egress::Inherit), &proxies[..], Some("direct")),
            (of(named("on")), &proxies[..], Some("on")),
            // Its proxy is off or gone: skipped, never straight.
            (of(named("off")), &proxies[..], None),
            (of(named("gone")), &proxies[..], None),
            (member("eu"), &proxies[..], Some("team")),
            (member("eu"), &down[..], None),
            (member("us"), &proxies[..], Some("direct")),
            (AccountSettings { egress: Egress::Direct, ..member("eu") }, &down[..], Some("direct")),
        ] {
            let got = way(&account(settings), proxies).map(|way| match way {
                Way::Direct => "direct".to_owned(),
                Way::Proxy { id, .. } => id.as_str().to_owned(),
            });
            assert_eq!(got.as_deref(), expect);
        }
    }

    #[test]
    fn header_overrides_become_headers_that_do_not_print() {
        let mut settings = AccountSettings::default();
        settings.headers.insert("x-team".into(), Secret::from("blue"));
        settings.headers.insert("not a header".into(), Secret::from("x"));
        let to = destination(&account(settings), Way::Direct);
        assert_eq!(to.headers.len(), 1);
        assert_eq!(to.headers["x-team"], "blue");
        assert!(!format!("{to:?}").contains("blue"));
    }
}
