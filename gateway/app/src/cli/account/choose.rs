//! Which account is meant by what people type: its id, its name, or, when that fits one only, its name in other capitals
//! or its e-mail address.

use anyhow::bail;
use clap::Args;
use gateway_api::{AccountView, MAX_ACCOUNTS_PAGE};

use crate::cli::remote::{Admin, CallError};
use crate::cli::{NotFound, WrongUse};

/// More pages are not asked for: far more than a gateway is made for.
const MAX_PAGES: usize = 1_000;

/// Several accounts, or all.
#[derive(Debug, Args)]
pub(super) struct Chosen {
    /// Accounts, by name, id or e-mail address
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    names: Vec<String>,
    /// All of them
    #[arg(long)]
    all: bool,
}

impl Chosen {
    /// Whether a single account was named.
    pub(super) fn is_one(&self) -> bool {
        self.names.len() == 1
    }

    /// The accounts that are meant, each once.
    pub(super) async fn accounts(&self, admin: &Admin) -> anyhow::Result<Vec<AccountView>> {
        let all = list(admin).await?;
        if self.all {
            return Ok(all);
        }
        let mut chosen: Vec<AccountView> = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let account = pick(&all, name, keys)?;
            if !chosen.iter().any(|one| one.id == account.id) {
                chosen.push(account.clone());
            }
        }
        Ok(chosen)
    }
}

/// All accounts, a page after the other.
pub(in crate::cli) async fn list(admin: &Admin) -> anyhow::Result<Vec<AccountView>> {
    let mut all = Vec::new();
    for _ in 0..MAX_PAGES {
        let path = format!("/accounts?offset={}&limit={MAX_ACCOUNTS_PAGE}", all.len());
        let page: Vec<AccountView> = admin.get(&path).await.map_err(CallError::told)?;
        let is_last = page.len() < MAX_ACCOUNTS_PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
    bail!("the list of accounts does not end")
}

/// The account that is meant.
pub(in crate::cli) async fn one(admin: &Admin, wanted: &str) -> anyhow::Result<AccountView> {
    Ok(pick(&list(admin).await?, wanted, keys)?.clone())
}

/// What an account can be named by.
pub(super) struct Keys<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) email: Option<&'a str>,
}

fn keys(account: &AccountView) -> Keys<'_> {
    Keys { id: &account.id, name: &account.name, email: account.email.as_deref() }
}

/// The one that is meant. An id or a whole name wins over everything that is only similar.
pub(super) fn pick<'a, T>(
    all: &'a [T],
    wanted: &str,
    keys: impl Fn(&T) -> Keys<'_>,
) -> anyhow::Result<&'a T> {
    let exact = all.iter().find(|one| keys(one).id == wanted);
    if let Some(one) = exact.or_else(|| all.iter().find(|one| keys(one).name == wanted)) {
        return Ok(one);
    }
    let folded = wanted.to_lowercase();
    let similar = |one: &&T| {
        let keys = keys(one);
        keys.name.to_lowercase() == folded || keys.email.is_some_and(|email| email.to_lowercase() == folded)
    };
    let similar: Vec<&T> = all.iter().filter(similar).collect();
    match similar.as_slice() {
        [] => Err(NotFound(format!("there is no account `{wanted}`; see `switchyard account list`")).into()),
        [one] => Ok(one),
        several => {
            let ids: Vec<String> =
                several.iter().map(|one| format!("{} ({})", keys(one).name, keys(one).id)).collect();
            Err(WrongUse(format!("`{wanted}` may be any of {}; name one by its id", ids.join(", "))).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (&'static str, &'static str, &'static str);

    const ALL: [Row; 5] = [
        ("acc_1", "ada", "ada@example.test"),
        ("acc_2", "Ada", "grace@example.test"),
        ("acc_3", "work", "me@example.test"),
        ("acc_4", "home", "ME@example.test"),
        ("acc_5", "acc_1", "last@example.test"),
    ];

    fn found(wanted: &str) -> Result<&'static str, String> {
        let found = pick(&ALL, wanted, |row| Keys { id: row.0, name: row.1, email: Some(row.2) });
        found.map(|row| row.0).map_err(|error| error.to_string())
    }

    #[test]
    fn an_account_is_found_by_what_people_type() {
        for (wanted, id) in [
            ("acc_1", "acc_1"),
            ("ada", "acc_1"),
            ("Ada", "acc_2"),
            ("WORK", "acc_3"),
            ("Grace@example.test", "acc_2"),
        ] {
            assert_eq!(found(wanted), Ok(id), "{wanted}");
        }
        let several = found("me@example.test").unwrap_err();
        assert!(several.contains("work (acc_3), home (acc_4)") && several.contains("by its id"), "{several}");
        assert!(found("ADA").unwrap_err().contains("acc_1"));
        assert!(found("nobody").unwrap_err().contains("no account `nobody`"));
    }
}
