//! `contrib/kubernetes`: what Kustomize makes of the base is what the API's schema allows. No cluster is asked.

use std::path::{Path, PathBuf};
use std::process::Command;

use integration::process::run;
use serde_json::Value;

/// The API's version whose schema is asked; the package brings it.
const VERSION: &str = "1.32";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn built() -> String {
    let base = root().join("contrib/kubernetes/base");
    run(Command::new("kubectl").arg("kustomize").arg(base)).success("kubectl kustomize")
}

fn python(arguments: &[&str]) -> Command {
    let mut python = Command::new("python3");
    python
        .args(arguments)
        .env("PYTHONPATH", root().join("target/tools/python"));
    python
}

/// The same documents as JSON.
fn documents(yaml: &str) -> Vec<Value> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("all.yaml");
    std::fs::write(&file, yaml).expect("a file");
    let convert =
        "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let json = run(python(&["-c", convert]).arg(&file)).success("yaml");
    serde_json::from_str(&json).expect("JSON")
}

fn validated(yaml: &str) -> integration::process::Output {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("all.yaml");
    std::fs::write(&file, yaml).expect("a file");
    let arguments = ["-m", "kubernetes_validate", "--strict", "-k", VERSION];
    run(python(&arguments).arg(&file))
}

#[test]
fn the_base_is_valid() {
    let yaml = built();
    for kind in ["Namespace", "ConfigMap", "DaemonSet"] {
        assert!(yaml.contains(&format!("kind: {kind}")), "{kind}: {yaml}");
    }
    let output = validated(&yaml);
    assert_eq!(output.code, Some(0), "{output:#?}");
    // The validator sees something.
    let wrong = validated(&yaml.replace("hostNetwork: true", "hostNetworks: true"));
    assert_ne!(wrong.code, Some(0), "{wrong:#?}");
}

#[test]
fn it_has_two_capabilities_and_the_host_s_network() {
    let documents = documents(&built());
    let set = documents.iter().find(|each| each["kind"] == "DaemonSet");
    let template = &set.expect("a DaemonSet")["spec"]["template"];
    let annotations = &template["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/scrape"], "true", "{annotations}");
    assert_eq!(annotations["prometheus.io/port"], "9180", "{annotations}");
    let pod = &template["spec"];
    assert_eq!(pod["hostNetwork"], true, "{pod}");
    let added = |name: &str| {
        let mut containers = pod["containers"].as_array().expect("containers").iter();
        let container = containers.find(|each| each["name"] == name).expect(name);
        let context = &container["securityContext"];
        assert_eq!(context["capabilities"]["drop"][0], "ALL", "{container}");
        assert_eq!(context["allowPrivilegeEscalation"], false, "{container}");
        context["capabilities"]["add"].clone()
    };
    assert_eq!(added("redirector"), serde_json::json!(["BPF", "NET_ADMIN"]));
    assert_eq!(added("dashboard"), Value::Null);
}
