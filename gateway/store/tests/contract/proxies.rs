//! Cases: egress proxies.

use gateway_core::ports::storage::StoreError;
use gateway_domain::{EgressProxy, Secret};

use crate::fixture::Fixture;
use crate::values::proxy;

pub async fn a_proxy_comes_back_as_it_was_put(fixture: Fixture) {
    let store = fixture.open().await;
    let proxies = store.proxies();
    assert_eq!(proxies.list_proxies().await.unwrap(), []);
    let [zeta, alpha] = [proxy("zeta"), proxy("Alpha")];
    let bare = EgressProxy { enabled: false, groups: [].into(), url: Secret::from(""), ..proxy("bare") };
    for one in [&zeta, &alpha, &bare] {
        proxies.put_proxy(one.clone()).await.unwrap();
    }
    let seen = fixture.open().await.proxies().list_proxies().await.unwrap();
    assert_eq!(seen, [alpha.clone(), bare.clone(), zeta.clone()], "by name, by code point");

    let changed = EgressProxy { id: zeta.id.clone(), enabled: false, ..proxy("beta") };
    proxies.put_proxy(changed.clone()).await.unwrap();
    assert_eq!(proxies.list_proxies().await.unwrap(), [alpha, bare, changed]);
}

pub async fn the_name_of_a_proxy_is_taken_once(fixture: Fixture) {
    let store = fixture.open().await;
    let proxies = store.proxies();
    let [first, second] = [proxy("first"), proxy("second")];
    for one in [&first, &second] {
        proxies.put_proxy(one.clone()).await.unwrap();
    }
    assert_eq!(proxies.put_proxy(proxy("first")).await, Err(StoreError::NameTaken));
    let renamed = EgressProxy { name: "first".to_owned(), ..second.clone() };
    assert_eq!(proxies.put_proxy(renamed.clone()).await, Err(StoreError::NameTaken));
    assert_eq!(proxies.list_proxies().await.unwrap(), [first.clone(), second]);
    proxies.put_proxy(first.clone()).await.expect("its own name is free for it");
    proxies.delete_proxy(&first.id).await.unwrap();
    proxies.put_proxy(renamed.clone()).await.expect("the name is free again");
    assert_eq!(proxies.list_proxies().await.unwrap(), [renamed]);
    let gone = Err(StoreError::NotFound { what: "the proxy" });
    assert_eq!(proxies.delete_proxy(&first.id).await, gone);
}
