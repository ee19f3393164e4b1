//! `deploy/` is what Docker and Kubernetes take.

use keyferry_tests::repository;
use serde_json::Value;

use crate::command::check;

fn text(name: &str) -> String {
    std::fs::read_to_string(repository().join("deploy").join(name)).unwrap()
}

/// The objects of one of the manifests.
fn manifest(name: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&text(name)).unwrap()
}

fn all() -> Vec<Value> {
    [manifest("kubernetes.yaml"), manifest("kubernetes-migrate.yaml")].concat()
}

fn at<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    object
        .pointer(pointer)
        .unwrap_or_else(|| panic!("no {pointer} in {object}"))
}

#[test]
fn every_container_runs_as_the_images_user_which_is_a_number() {
    let dockerfile = text("Dockerfile");
    let user = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("USER "))
        .next_back();
    let (user, group) = user.unwrap().split_once(':').unwrap();
    // A kubelet starts no container that must not be root and whose user is a name.
    let (user, group): (u32, u32) = (user.parse().unwrap(), group.parse().unwrap());
    assert!(user > 0 && group > 0);
    let mut containers = 0;
    for object in all() {
        let Some(pod) = object.pointer("/spec/template/spec") else {
            continue;
        };
        for container in at(pod, "/containers").as_array().unwrap() {
            assert_eq!(at(container, "/securityContext/runAsNonRoot"), true);
            assert_eq!(at(container, "/securityContext/runAsUser"), user);
            assert_eq!(at(container, "/securityContext/runAsGroup"), group);
            containers += 1;
        }
    }
    assert_eq!(containers, 2);
}

#[test]
fn each_version_has_a_migration_of_its_own_and_before_its_replicas() {
    let migration = manifest("kubernetes-migrate.yaml");
    let [job] = migration.as_slice() else {
        panic!("one job and nothing else")
    };
    assert_eq!(at(job, "/kind"), "Job");
    // What a job does cannot be changed, so a new image needs a new name; and old ones are not to pile up.
    assert_eq!(at(job, "/metadata/name"), "keyferry-migrate-<version>");
    assert!(at(job, "/spec/ttlSecondsAfterFinished").is_u64());
    let container = at(job, "/spec/template/spec/containers/0");
    assert_eq!(at(container, "/args"), &serde_json::json!(["migrate"]));
    let replicas = manifest("kubernetes.yaml");
    let deployment = replicas
        .iter()
        .find(|object| at(object, "/kind") == "Deployment")
        .unwrap();
    let image = at(deployment, "/spec/template/spec/containers/0/image");
    assert_eq!(at(container, "/image"), image);
    assert!(replicas.iter().all(|object| at(object, "/kind") != "Job"));
}

#[test]
fn the_manifests_configuration_is_good_once_it_is_filled_in() {
    let replicas = manifest("kubernetes.yaml");
    let config = replicas
        .iter()
        .find(|object| at(object, "/kind") == "ConfigMap")
        .unwrap();
    let config = at(config, "/data/keyferry.toml").as_str().unwrap();
    let (code, _, error) = check(config);
    assert_eq!(code, 2, "what is to be filled in is asked for");
    assert!(error.contains("a UUID"), "{error}");
    let mut filled_in = String::new();
    for (place, part) in config.split(['<', '>']).enumerate() {
        let is_blank = place % 2 == 1;
        filled_in.push_str(if is_blank {
            "00000000-0000-0000-0000-000000000000"
        } else {
            part
        });
    }
    let (code, _, error) = check(&filled_in);
    assert_eq!(code, 0, "{error}");
}
