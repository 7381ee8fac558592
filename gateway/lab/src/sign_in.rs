//! Sign-ins under way: authorization codes with their PKCE challenge, and device codes waiting for a person.
//! Refuses to issue tokens; the token book does, once a code was traded here.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// An authorization code is good for this long, in seconds.
const CODE_LIFE: i64 = 600;
/// A device code is good for this long, in seconds.
pub(crate) const DEVICE_LIFE: i64 = 900;
/// Sign-ins kept at once; the lab forgets them all beyond it.
const MAX_PENDING: usize = 4_096;
/// A verifier may be this short and this long.
const VERIFIER_LENGTH: std::ops::RangeInclusive<usize> = 43..=128;

/// A code that can be traded once.
#[derive(Debug)]
struct Code {
    account: usize,
    challenge: String,
    /// The redirect that the trade must name; device codes check its end only.
    redirect_uri: Redirect,
    expires_at: i64,
}

#[derive(Debug)]
enum Redirect {
    Exactly(String),
    EndsWith(&'static str),
}

/// A device sign-in.
#[derive(Debug)]
struct Device {
    user_code: String,
    asked_at: Option<i64>,
    expires_at: i64,
    state: DeviceState,
}

#[derive(Debug)]
enum DeviceState {
    Waiting,
    Confirmed { code: String, verifier: String },
    Denied,
}

/// What a device that asks is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DeviceReply {
    Unknown,
    Expired,
    Denied,
    Pending,
    SlowDown,
    Confirmed { code: String, verifier: String },
}

/// Who signs in next, and everything that is under way.
#[derive(Debug, Default)]
pub(crate) struct SignIns {
    /// The account whose person sits at the browser.
    pub(crate) account: usize,
    /// Whether that person says no.
    pub(crate) denies: bool,
    codes: HashMap<String, Code>,
    devices: HashMap<String, Device>,
    serial: u64,
}

impl SignIns {
    /// The person agreed: a code for the browser to carry back.
    pub(crate) fn authorize(
        &mut self,
        account: usize,
        challenge: &str,
        redirect_uri: &str,
        now: i64,
    ) -> String {
        let redirect_uri = Redirect::Exactly(redirect_uri.to_owned());
        self.keep_code(account, challenge.to_owned(), redirect_uri, now)
    }

    fn keep_code(&mut self, account: usize, challenge: String, redirect_uri: Redirect, now: i64) -> String {
        if self.codes.len() >= MAX_PENDING {
            self.codes.clear();
        }
        self.serial += 1;
        let code = format!("ac-lab-{account}.{}", self.serial);
        let expires_at = now.saturating_add(CODE_LIFE);
        self.codes.insert(code.clone(), Code { account, challenge, redirect_uri, expires_at });
        code
    }

    /// Trades a code; whatever comes of it, the code is gone. `None` is what the issuer calls `invalid_grant`.
    pub(crate) fn trade(
        &mut self,
        code: &str,
        verifier: &str,
        redirect_uri: &str,
        now: i64,
    ) -> Option<usize> {
        let found = self.codes.remove(code)?;
        let same_place = match &found.redirect_uri {
            Redirect::Exactly(expected) => expected == redirect_uri,
            Redirect::EndsWith(end) => redirect_uri.ends_with(end),
        };
        let proven = VERIFIER_LENGTH.contains(&verifier.len()) && challenge(verifier) == found.challenge;
        (same_place && proven && now < found.expires_at).then_some(found.account)
    }

    /// A device begins: its handle and what the person types.
    pub(crate) fn begin_device(&mut self, seed: u32, now: i64) -> (String, String) {
        if self.devices.len() >= MAX_PENDING {
            self.devices.clear();
        }
        self.serial += 1;
        let device_auth_id = format!("deviceauth-lab-{seed:x}-{}", self.serial);
        let user_code = user_code(self.serial);
        let expires_at = now.saturating_add(DEVICE_LIFE);
        let device =
            Device { user_code: user_code.clone(), asked_at: None, expires_at, state: DeviceState::Waiting };
        self.devices.insert(device_auth_id.clone(), device);
        (device_auth_id, user_code)
    }

    /// The person typed the code and agreed. Says whether the code was waiting.
    pub(crate) fn confirm_device(&mut self, user_code: &str, account: usize, now: i64) -> bool {
        let verifier = format!("lab-device-verifier-{user_code}-{}", "x".repeat(32));
        let code =
            self.keep_code(account, challenge(&verifier), Redirect::EndsWith("/deviceauth/callback"), now);
        self.settle(user_code, now, DeviceState::Confirmed { code, verifier })
    }

    /// The person typed the code and refused.
    pub(crate) fn deny_device(&mut self, user_code: &str, now: i64) -> bool {
        self.settle(user_code, now, DeviceState::Denied)
    }

    fn settle(&mut self, user_code: &str, now: i64, state: DeviceState) -> bool {
        let waiting = |device: &&mut Device| {
            device.user_code == user_code
                && device.expires_at > now
                && matches!(device.state, DeviceState::Waiting)
        };
        let found = self.devices.values_mut().find(waiting);
        found.map(|device| device.state = state).is_some()
    }

    /// The codes that wait for a person.
    pub(crate) fn waiting(&self, now: i64) -> Vec<String> {
        let waiting = self
            .devices
            .values()
            .filter(|device| device.expires_at > now && matches!(device.state, DeviceState::Waiting));
        let mut codes: Vec<String> = waiting.map(|device| device.user_code.clone()).collect();
        codes.sort();
        codes
    }

    /// The device asks whether it may. `strict` is the interval in seconds that it has to keep, if it has to.
    pub(crate) fn poll(&mut self, id: &str, user_code: &str, strict: Option<u32>, now: i64) -> DeviceReply {
        let Some(device) = self.devices.get_mut(id).filter(|device| device.user_code == user_code) else {
            return DeviceReply::Unknown;
        };
        let asked_at = device.asked_at.replace(now);
        if now >= device.expires_at {
            return DeviceReply::Expired;
        }
        let too_soon = |at: i64, interval: u32| now.saturating_sub(at) < i64::from(interval);
        if asked_at.zip(strict).is_some_and(|(at, interval)| too_soon(at, interval)) {
            return DeviceReply::SlowDown;
        }
        match &device.state {
            DeviceState::Waiting => DeviceReply::Pending,
            DeviceState::Denied => DeviceReply::Denied,
            DeviceState::Confirmed { code, verifier } => {
                DeviceReply::Confirmed { code: code.clone(), verifier: verifier.clone() }
            }
        }
    }
}

/// PKCE S256.
pub(crate) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// Eight letters in two groups, as people type them; no two sign-ins of a lab share one.
fn user_code(serial: u64) -> String {
    const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
    let mut rest = serial;
    let mut code = String::with_capacity(9);
    for at in 0..8 {
        if at == 4 {
            code.push('-');
        }
        let letter = LETTERS.get((rest % 20) as usize).copied().unwrap_or(b'B');
        code.push(char::from(letter));
        rest /= 20;
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-believed-by-anybody";

    #[test]
    fn a_code_is_good_once_and_only_with_its_proof() {
        let mut book = SignIns::default();
        for (verifier, redirect, late, expected) in [
            (VERIFIER, "http://localhost:1455/auth/callback", 0, Some(1)),
            (VERIFIER, "http://localhost:1455/auth/callback", CODE_LIFE, None),
            (VERIFIER, "http://localhost:1455/other", 0, None),
            (
                "another-verifier-that-is-long-enough-to-be-believed",
                "http://localhost:1455/auth/callback",
                0,
                None,
            ),
            ("short", "http://localhost:1455/auth/callback", 0, None),
        ] {
            let code = book.authorize(
                1,
                &challenge(verifier_of(verifier)),
                "http://localhost:1455/auth/callback",
                100,
            );
            assert_eq!(book.trade(&code, verifier, redirect, 100 + late), expected, "{verifier} {redirect}");
            assert_eq!(book.trade(&code, VERIFIER, redirect, 100), None, "gone either way");
        }
    }

    /// The challenge of the real verifier, except for the short one, which must fail by its length.
    fn verifier_of(verifier: &str) -> &str {
        if verifier == "short" { verifier } else { VERIFIER }
    }

    #[test]
    fn a_device_waits_until_somebody_decides() {
        let mut book = SignIns::default();
        let (id, code) = book.begin_device(1, 0);
        assert_eq!(book.waiting(0), std::slice::from_ref(&code));
        assert_eq!(book.poll(&id, &code, Some(5), 0), DeviceReply::Pending);
        assert_eq!(book.poll(&id, &code, Some(5), 1), DeviceReply::SlowDown);
        assert_eq!(book.poll(&id, &code, None, 2), DeviceReply::Pending);
        assert_eq!(book.poll(&id, "OTHER", None, 2), DeviceReply::Unknown);
        assert!(!book.confirm_device("OTHER", 0, 2) && book.confirm_device(&code, 1, 2));
        assert!(!book.deny_device(&code, 3), "decided is decided");
        let DeviceReply::Confirmed { code: traded, verifier } = book.poll(&id, &code, None, 3) else {
            panic!("not confirmed")
        };
        let redirect = "https://issuer/deviceauth/callback";
        assert_eq!(book.trade(&traded, &verifier, redirect, 4), Some(1));
        assert_eq!(book.poll(&id, &code, None, DEVICE_LIFE), DeviceReply::Expired);
        let (id, code) = book.begin_device(1, 0);
        assert!(book.deny_device(&code, 0));
        assert_eq!(book.poll(&id, &code, None, 0), DeviceReply::Denied);
    }
}
