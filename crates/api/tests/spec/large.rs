//! Large bodies are sealed on threads of their own, which nobody's vault can keep.

use serde_json::json;

use crate::{reply::Reply, world::World};

/// Over a megabyte: not sealed where small ones are.
const LARGE: usize = (1 << 20) + 1;

/// Has something large encrypted, and decrypts it.
async fn there_and_back(world: &World, tenant: &str) {
    let send = |operation: &str, body: Vec<u8>| {
        let request = world.data(&format!("{tenant}/{operation}"));
        Reply::to(request.header("content-type", "application/octet-stream").body(body))
    };
    let sealed = send("encrypt", vec![7; LARGE]).await;
    assert_eq!(sealed.status, 200);
    let opened = send("decrypt", sealed.body).await;
    assert!(opened.status == 200 && opened.body == vec![7; LARGE]);
}

#[test]
fn a_vault_that_hangs_takes_no_threads_from_other_tenants() {
    let few_threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .unwrap();
    few_threads.block_on(async {
        let world = World::new().await;
        // With one message to a lease, each request makes a call of its own.
        world.register("hooli", json!({"lease_max_messages": 1})).await;
        world.vault.hangs_at("v-hooli");
        let before = world.vault.calls();
        let hanging: Vec<_> = (0..10)
            .map(|_| {
                let request = world.data("hooli/encrypt");
                let request = request.header("content-type", "application/octet-stream");
                tokio::spawn(Reply::to(request.body(vec![7; LARGE])))
            })
            .collect();
        world.vault.called_since(before + 3).await;
        there_and_back(&world, "globex").await;
        world.vault.goes_on();
        for hanging in hanging {
            assert_eq!(hanging.await.unwrap().status, 200);
        }
    });
}
