"""The Helm chart: rendered by Helm, held to Kubernetes' schemas, the service's settings and what operators need."""

import json
import re
import tomllib
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any, get_args

import kubernetes_validate
import pytest
import yaml
from pydantic import SecretStr

from cli import parser
from settings import Settings
from tests.support.helm import CHART, NAMESPACE, RELEASE, run
from web.health import ROUTES as HEALTH

ROOT = Path(__file__).parents[2]
KUBERNETES = ("1.31", "1.37")  # the oldest that Chart.yaml lets in, and the newest that the schemas know
PEER = [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
RULES = (ROOT / "deploy" / "prometheus-rules.yml").read_text("utf-8")
MONTHLY = "0 3 1 * *"
CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "everything": {
        "replicas": 5,
        "image": {"repository": "registry.example.net/training", "tag": "1.2.3", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "settings": {
            "TRAINING_KAFKA_BOOTSTRAP": "a:9093,b:9093",
            "TRAINING_KAFKA_SECURITY_PROTOCOL": "SSL",
            "TRAINING_KAFKA_SSL_CA_FILE": "/run/secrets/training/ca.pem",
            "TRAINING_CORS_ORIGINS": "https://app.example.net",
            "TRAINING_MAX_BODY_BYTES": 5_000_000,
            "TRAINING_RELAY_ENABLED": False,
            "TRAINING_RELAY_INTERVAL": 0.25,
        },
        "secrets": {"worker": "w", "owner": "o"},
        "files": {"secret": "certificates"},
        "archive": {"claim": "archive", "schedule": MONTHLY},
        "stop": {"preStop": 20, "grace": 12.5},
        "disruption": {"maxUnavailable": "25%"},
        "networkPolicy": {
            "to": {name: {"port": 1000 + port, "to": PEER} for port, name in enumerate(("postgresql", "kafka", "otlp"))}
            | {"https": None}
        },
        "prometheus": {"monitor": True, "rules": RULES},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "podAnnotations": {"note": "x"},
    },
    "open": {"networkPolicy": {"enabled": False}},
    "nobody": {"networkPolicy": {"from": {"gateway": [], "prometheus": []}}},
    "unscheduled": {"archive": {"claim": "archive"}},
    "open archive": {"archive": {"claim": "archive", "schedule": "@monthly"}, "networkPolicy": {"enabled": False}},
}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "secret": ({"settings": {"TRAINING_JWT_SECRET": "x" * 32}}, "TRAINING_JWT_SECRET"),
    "database": ({"settings": {"TRAINING_DATABASE_URL": "postgresql://x"}}, "TRAINING_DATABASE_URL"),
    "foreign": ({"settings": {"PATH": "/"}}, "PATH"),
    "unknown": ({"replica": 3}, "replica"),
    "none": ({"replicas": 0}, "replicas"),
    "at once": ({"stop": {"preStop": 0}}, "preStop"),
    "nowhere": ({"archive": {"schedule": MONTHLY}}, "claim"),
    "never": ({"archive": {"claim": "archive", "schedule": "monthly"}}, "schedule"),
    "peer": ({"networkPolicy": {"from": {"gateway": [{}]}}}, "gateway"),
}
OUR_OWN = {"TRAINING_WEB_HOST", "TRAINING_WEB_PORT", "TRAINING_STOP_GRACE", "TRAINING_ARCHIVE_DIR"}  # of the chart
OTHERS = {"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"}  # secrets of a library
URL = "postgresql://somebody@db.example.net/training"


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    return run(CASES | {name: values for name, (values, _) in WRONG.items()})


class Objects:
    """What a release consists of."""

    def __init__(self, texts: dict[str, str]) -> None:
        manifests = [text for name, text in texts.items() if name.endswith(".yaml")]
        self.all: list[dict[str, Any]] = [
            item for text in manifests for item in yaml.safe_load_all(text) if item is not None
        ]

    def one(self, kind: str, name: str = RELEASE) -> dict[str, Any]:
        (found,) = [item for item in self.all if (item["kind"], item["metadata"]["name"]) == (kind, name)]
        return found

    def pods(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """The templates of pods, each with its only container."""
        for item in self.all:
            if item["kind"] in {"Deployment", "Job", "CronJob"}:
                spec = item["spec"]["jobTemplate"]["spec"] if item["kind"] == "CronJob" else item["spec"]
                template = spec["template"]
                (container,) = template["spec"]["containers"]
                yield template, container


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, answers: dict[str, dict[str, Any]]) -> Objects:
    return Objects(answers[request.param]["texts"])


@pytest.fixture(scope="module")
def default(answers: dict[str, dict[str, Any]]) -> Objects:
    return Objects(answers["default"]["texts"])


@pytest.fixture(scope="module")
def everything(answers: dict[str, dict[str, Any]]) -> Objects:
    return Objects(answers["everything"]["texts"])


@pytest.mark.parametrize("name", CASES)
def test_helm_finds_nothing(answers: dict[str, dict[str, Any]], name: str) -> None:
    found = [text for text in answers[name]["found"] if "icon is recommended" not in text]
    assert found == []


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_are_refused_by_name(answers: dict[str, dict[str, Any]], name: str) -> None:
    assert WRONG[name][1] in answers[name]["error"]


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_knows_every_field(case: Objects, version: str) -> None:
    for item in case.all:
        if item["apiVersion"] != "monitoring.coreos.com/v1":  # of an operator, which publishes no schema there
            kubernetes_validate.validate(item, version, strict=True)


def test_the_schemas_find_a_wrong_field(default: Objects) -> None:
    wrong = json.loads(json.dumps(default.one("Deployment")).replace("readOnlyRootFilesystem", "readOnlyRoot"))
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnlyRoot"):
        kubernetes_validate.validate(wrong, KUBERNETES[1], strict=True)


def test_versions_agree() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["name"] == project["name"] == RELEASE
    assert chart["appVersion"] == project["version"]
    assert chart["kubeVersion"] == f">={KUBERNETES[0]}.0-0"


def test_every_object_has_its_labels_and_one_name(case: Objects) -> None:
    names = [(item["kind"], item["metadata"]["name"]) for item in case.all]
    assert len(names) == len(set(names))
    for item in case.all:
        assert item["metadata"]["labels"]["app.kubernetes.io/name"] == RELEASE
        assert "namespace" not in item["metadata"]


def _fits(selector: dict[str, Any], template: dict[str, Any]) -> bool:
    return bool(selector.items() <= template["metadata"]["labels"].items())


def test_names_are_short_enough_for_kubernetes() -> None:
    (answer,) = run({"everything": CASES["everything"]}, "r" * 53).values()  # Helm lets no longer name in
    names = [(item["kind"], item["metadata"]["name"]) for item in Objects(answer["texts"]).all]
    assert {"CronJob", "Job"} <= {kind for kind, _ in names}
    for kind, name in names:
        assert len(name) <= (52 if kind == "CronJob" else 63)
        assert not name.endswith("-")


def test_selectors_find_workers_alone(case: Objects) -> None:
    worker = case.one("Deployment")["spec"]["template"]
    others = [template for template, _ in case.pods() if template != worker]
    assert others
    selectors = [
        case.one("Deployment")["spec"]["selector"]["matchLabels"],
        case.one("Service")["spec"]["selector"],
        case.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *(constraint["labelSelector"]["matchLabels"] for constraint in worker["spec"]["topologySpreadConstraints"]),
    ]
    for selector in selectors:
        assert _fits(selector, worker)
        assert not any(_fits(selector, other) for other in others)
    (port,) = case.one("Service")["spec"]["ports"]
    (exposed,) = worker["spec"]["containers"][0]["ports"]
    assert port["targetPort"] == exposed["name"]
    assert str(exposed["containerPort"]) == case.one("ConfigMap")["data"]["TRAINING_WEB_PORT"]
    assert worker["spec"]["serviceAccountName"] == case.one("ServiceAccount")["metadata"]["name"]


def test_probes_ask_what_they_are_for(case: Objects) -> None:
    (container,) = case.one("Deployment")["spec"]["template"]["spec"]["containers"]
    asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {kind: probe["path"] for kind, probe in asked.items()} == {
        "startup": "/health/live",
        "liveness": "/health/live",
        "readiness": "/health/ready",  # never the pipeline's: an outage of Kafka would take REST away
    }
    assert {probe["port"] for probe in asked.values()} == {"http"}
    probes = {route.path for route in HEALTH if route.method == "GET" and route.probe and not route.auth}
    assert {probe["path"] for probe in asked.values()} <= probes


def test_a_worker_is_given_longer_than_it_needs_to_stop(case: Objects) -> None:
    spec = case.one("Deployment")["spec"]["template"]["spec"]
    wait = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = float(case.one("ConfigMap")["data"]["TRAINING_STOP_GRACE"])
    assert spec["terminationGracePeriodSeconds"] == wait + ceil(grace) + 5


def environment(objects: Objects) -> dict[str, str]:
    data: dict[str, str] = objects.one("ConfigMap")["data"]
    return data


def test_workers_are_told_settings_that_are_valid(case: Objects) -> None:
    told = environment(case)
    given = {"database_url": URL, "jwks_url": "https://identity.example.net/keys"}
    names = {f"TRAINING_{name.upper()}": name for name in Settings.model_fields}
    assert told.keys() <= names.keys()
    settings = Settings(**given | {names[name]: value for name, value in told.items()})
    assert settings.web_host == "0.0.0.0"


def test_numbers_arrive_as_they_were_given(everything: Objects) -> None:
    told = environment(everything)
    assert told["TRAINING_MAX_BODY_BYTES"] == "5000000"
    assert told["TRAINING_RELAY_ENABLED"] == "false"
    assert told["TRAINING_RELAY_INTERVAL"] == "0.25"
    assert told["TRAINING_STOP_GRACE"] == "12.5"
    assert told["TRAINING_ARCHIVE_DIR"] in {
        mount["mountPath"] for _, container in everything.pods() for mount in container["volumeMounts"]
    }


def test_no_secret_can_be_a_plain_setting() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    refused = schema["properties"]["settings"]["propertyNames"]["not"]["enum"]
    secret = {
        f"TRAINING_{name.upper()}"
        for name, field in Settings.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }
    assert sorted(refused) == sorted(secret | OUR_OWN | OTHERS)


def test_secrets_are_named_and_no_worker_has_the_owners(case: Objects) -> None:
    assert not [item for item in case.all if item["kind"] == "Secret"]
    (worker,) = case.one("Deployment")["spec"]["template"]["spec"]["containers"]
    (migration,) = case.one("Job", f"{RELEASE}-migration")["spec"]["template"]["spec"]["containers"]
    of_worker = [source["secretRef"]["name"] for source in worker["envFrom"] if "secretRef" in source]
    of_migration = [source["secretRef"]["name"] for source in migration["envFrom"]]
    assert len(of_worker) == 1
    assert of_migration[:1] == of_worker
    assert len(of_migration) == 2
    assert not set(of_migration[1:]) & set(of_worker)


def test_the_migration_comes_first_and_leans_on_nothing_of_the_release(case: Objects) -> None:
    hooks = {
        (item["kind"], item["metadata"]["name"]): item["metadata"]["annotations"]
        for item in case.all
        if "helm.sh/hook" in item["metadata"].get("annotations", {})
    }
    job = ("Job", f"{RELEASE}-migration")
    assert {annotations["helm.sh/hook"] for annotations in hooks.values()} == {"pre-install,pre-upgrade"}
    assert max(hooks, key=lambda name: int(hooks[name]["helm.sh/hook-weight"])) == job
    assert all("before-hook-creation" in annotations["helm.sh/hook-delete-policy"] for annotations in hooks.values())
    text = json.dumps(case.one(*job)["spec"])
    for item in case.all:
        if (item["kind"], item["metadata"]["name"]) not in hooks:
            assert f'"name": "{item["metadata"]["name"]}"' not in text
    assert "serviceAccountName" not in text
    assert "configMapRef" not in text
    told = {
        entry["name"]: entry["value"] for entry in case.one(*job)["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert told == environment(case)


def test_pods_run_commands_that_there_are(case: Objects) -> None:
    commands = [container["command"] for _, container in case.pods()]
    archive = [["training", "archive", "--before", "2y"]]
    scheduled = [item for item in case.all if item["kind"] == "CronJob"]
    assert sorted(commands) == [*archive * len(scheduled), ["training", "migrate"], ["training", "worker"]]
    for _, *arguments in commands:
        assert parser().parse_args(arguments).command.endswith(f":{arguments[0]}")
    image = (ROOT / "Dockerfile").read_text()
    assert 'CMD ["training", "worker"]' in image
    assert "ENTRYPOINT" not in image


def test_the_archive_is_moved_where_and_when_it_is_asked_for(
    everything: Objects, answers: dict[str, dict[str, Any]]
) -> None:
    cron = everything.one("CronJob", f"{RELEASE}-archive")["spec"]
    assert (cron["schedule"], cron["timeZone"], cron["concurrencyPolicy"]) == (MONTHLY, "Etc/UTC", "Forbid")
    job = cron["jobTemplate"]["spec"]
    assert job["backoffLimit"] == 2
    assert job["activeDeadlineSeconds"] == 24 * 60 * 60
    spec = job["template"]["spec"]
    assert spec["restartPolicy"] == "Never"
    worker = everything.one("Deployment")["spec"]["template"]["spec"]
    same = ("volumes", "securityContext", "imagePullSecrets", "nodeSelector", "tolerations", "serviceAccountName")
    assert {name: spec[name] for name in same} == {name: worker[name] for name in same}
    assert {"name": "archive", "persistentVolumeClaim": {"claimName": "archive"}} in spec["volumes"]
    (container,) = spec["containers"]
    (migration,) = everything.one("Job", f"{RELEASE}-migration")["spec"]["template"]["spec"]["containers"]
    for name in ("image", "imagePullPolicy", "resources", "volumeMounts"):
        assert container[name] == worker["containers"][0][name]
    assert container["envFrom"] == [*worker["containers"][0]["envFrom"], migration["envFrom"][1]]
    for name, schedules in (("default", []), ("unscheduled", []), ("open archive", ["@monthly"])):
        found = Objects(answers[name]["texts"]).all
        assert [item["spec"]["schedule"] for item in found if item["kind"] == "CronJob"] == schedules


def test_pods_are_restricted(case: Objects) -> None:
    """By Kubernetes' Pod Security Standard of that name, and with a root that nobody writes to."""
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    for template, container in case.pods():
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsGroup"]) == (
            int(user[1]),
            int(user[2]),
        )
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False  # or a Service `training-web` would set TRAINING_WEB_PORT
        assert {volume["name"] for volume in spec["volumes"]} == {mount["name"] for mount in container["volumeMounts"]}
        for volume in spec["volumes"]:
            assert volume.keys() - {"name"} <= {"emptyDir", "secret", "persistentVolumeClaim"}
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_memory_is_what_was_measured(default: Objects) -> None:
    report = (ROOT / "docs" / "benchmarks.md").read_text()
    measured = re.findall(
        r"^\| (?:resident )?memory of the worker[^|]*\| [\d,]+ \| [\d,]+ to ([\d,]+) \| MB", report, re.MULTILINE
    )
    assert len(measured) >= 3
    most = max(int(text.replace(",", "")) for text in measured)
    for _, container in default.pods():
        resources = container["resources"]
        assert most * 1e6 < int(resources["requests"]["memory"].removesuffix("Mi")) * 2**20
        assert 3 * most * 1e6 < int(resources["limits"]["memory"].removesuffix("Mi")) * 2**20
        assert "cpu" not in resources["limits"]


def test_a_roll_out_takes_no_worker_away_before_another_is_there(case: Objects) -> None:
    assert case.one("Deployment")["spec"]["strategy"] == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    annotations = case.one("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert re.fullmatch(r"[0-9a-f]{64}", annotations["checksum/settings"])


def test_a_changed_setting_replaces_the_workers(default: Objects, everything: Objects) -> None:
    sums = [item.one("Deployment")["spec"]["template"]["metadata"]["annotations"] for item in (default, everything)]
    assert sums[0]["checksum/settings"] != sums[1]["checksum/settings"]


def test_who_reaches_workers_and_what_they_reach(default: Objects) -> None:
    policy = default.one("NetworkPolicy")["spec"]
    worker = default.one("Deployment")["spec"]["template"]
    assert _fits(policy["podSelector"]["matchLabels"], worker)
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["from"][0]["namespaceSelector"]["matchLabels"] for rule in policy["ingress"]] == [
        {"kubernetes.io/metadata.name": name} for name in ("kong", "monitoring")
    ]
    assert [rule["ports"] for rule in policy["ingress"]] == [[{"protocol": "TCP", "port": "http"}]] * 2
    names, *others = policy["egress"]
    assert names["to"][0]["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}
    assert {(port["protocol"], port["port"]) for port in names["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert [rule["ports"][0]["port"] for rule in others] == [5432, 9092, 443]


def test_a_rule_is_narrowed_and_taken_away(everything: Objects, answers: dict[str, dict[str, Any]]) -> None:
    _, *others = everything.one("NetworkPolicy")["spec"]["egress"]
    assert [(rule["ports"][0]["port"], rule["to"]) for rule in others] == [(1000, PEER), (1001, PEER), (1002, PEER)]
    migration = everything.one("Job", f"{RELEASE}-migration")["spec"]["template"]
    archive = everything.one("CronJob", f"{RELEASE}-archive")["spec"]["jobTemplate"]["spec"]["template"]
    for name, template, other in (("migration", migration, archive), ("archive", archive, migration)):
        policy = everything.one("NetworkPolicy", f"{RELEASE}-{name}")["spec"]
        assert _fits(policy["podSelector"]["matchLabels"], template)
        assert not _fits(policy["podSelector"]["matchLabels"], other)
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert [rule["ports"][0]["port"] for rule in policy["egress"]] == [53, 1000]
        assert policy["egress"][1]["to"] == PEER
        assert "ingress" not in policy
    for name in ("open", "open archive"):
        assert not [item for item in Objects(answers[name]["texts"]).all if item["kind"] == "NetworkPolicy"]
    unscheduled = [item for item in Objects(answers["unscheduled"]["texts"]).all if item["kind"] == "NetworkPolicy"]
    assert sorted(item["metadata"]["name"] for item in unscheduled) == [RELEASE, f"{RELEASE}-migration"]
    nobody = Objects(answers["nobody"]["texts"]).one("NetworkPolicy")["spec"]
    assert not nobody["ingress"]
    assert "Ingress" in nobody["policyTypes"]


def test_prometheus_finds_the_measures_and_gets_the_rules(default: Objects, everything: Objects) -> None:
    monitor = everything.one("ServiceMonitor")["spec"]
    service = everything.one("Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] in {route.path for route in HEALTH}
    assert everything.one("PrometheusRule")["spec"] == yaml.safe_load(RULES)
    assert not [item for item in default.all if item["apiVersion"].startswith("monitoring")]


def test_the_gateway_asks_the_charts_service(default: Objects) -> None:
    kong = yaml.safe_load((ROOT / "deploy" / "kong.yml").read_text())
    targets = [target["target"] for upstream in kong["upstreams"] for target in upstream["targets"]]
    service = default.one("Service")
    assert targets == [f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"]


def test_the_notes_name_the_service(answers: dict[str, dict[str, Any]]) -> None:
    (notes,) = [text for name, text in answers["everything"]["texts"].items() if name.endswith("NOTES.txt")]
    assert f"http://{RELEASE}.{NAMESPACE}:8080" in notes
    assert "65 connections" in notes
