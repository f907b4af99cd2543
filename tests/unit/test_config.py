"""The configuration: what it adds up to, and what it refuses."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap import config, config_file, config_keys
from bootstrap.cli import schema as schema_command
from bootstrap.config_file import PoolBlock
from bootstrap.errors import ExitCode, UsageError
from bootstrap.model.node import PoolSpec, RootVolume, Runtime, Taint, WindowsRelease

HEAD = "apiVersion: bootstrap/v1\nkind: WindowsNodes\n"
EXAMPLE = Path(__file__).parents[2] / "config" / "example.yaml"
OVERRIDE = "{name: docker-ee, version: 25.0.8, url: 'https://x.example.com/d.zip'"
"""An artifact without its checksum."""


@pytest.fixture
def write(tmp_path: Path):
    def _write(text: str) -> Path:
        path = tmp_path / "bootstrap.yaml"
        path.write_text(HEAD + textwrap.dedent(text), encoding="utf-8")
        return path

    return _write


def faults_of(path: Path | None, *, flags=None, environ=None) -> list[str]:
    with pytest.raises(config.ConfigError) as caught:
        config.load(path, flags=flags or {}, environ=environ or {})
    where = str(path)
    return [str(fault).replace(where, "FILE") for fault in caught.value.faults]


def settings_of(path: Path | None, *, flags=None, environ=None) -> config.Settings:
    return config.load(path, flags=flags or {}, environ=environ or {}).settings


def test_nothing_given_is_all_defaults() -> None:
    settings = settings_of(None)
    assert settings == config.Settings()
    assert settings.limits.max_unavailable == 1
    assert settings.timeouts.reachable_s == 1500


def test_every_key_of_a_pool_reaches_the_pool(write) -> None:
    path = write("""\
        pools:
          - name: game-servers
            count: 3
            windows: 2022
            runtime: docker-ee
            instanceType: m5.2xlarge
            image: ami-0123456789abcdef0
            subnets: [a, b]
            rootVolume: {sizeGb: 200, type: gp2, encrypted: false}
            labels: {team: game}
            taints: ["team=game:NoExecute", "only:NoSchedule"]
            osTaint: false
            spot: true
            publicIp: true
            prePull: [example.com/game:1]
            kubernetesVersion: 1.34.5
        """)
    assert settings_of(path).pools == (
        PoolSpec(
            name="game-servers",
            count=3,
            windows=WindowsRelease.WS2022,
            runtime=Runtime.DOCKER_EE,
            instance_type="m5.2xlarge",
            image="ami-0123456789abcdef0",
            subnets=("a", "b"),
            root_volume=RootVolume(size_gb=200, type="gp2", encrypted=False),
            labels={"team": "game"},
            taints=(
                Taint(key="team", value="game", effect="NoExecute"),
                Taint(key="only", effect="NoSchedule"),
            ),
            os_taint=False,
            spot=True,
            public_ip=True,
            pre_pull=("example.com/game:1",),
            kubernetes_version="1.34.5",
        ),
    )


def test_the_files_defaults_of_a_pool_are_those_of_the_model() -> None:
    assert PoolBlock(name="p").spec() == PoolSpec(name="p")


def test_flag_beats_environment_beats_file_beats_kops(write) -> None:
    path = write("cluster: file.example.com\n")
    kops = {"KOPS_CLUSTER_NAME": "kops.example.com", "KOPS_STATE_STORE": "s3://kops-store/"}
    ours = {"BOOTSTRAP_CLUSTER": "environment.example.com"}
    flag = {"cluster": "flag.example.com"}
    assert settings_of(None, environ=kops).cluster == "kops.example.com"
    assert settings_of(path, environ=kops).cluster == "file.example.com"
    assert settings_of(path, environ=kops | ours).cluster == "environment.example.com"
    assert settings_of(path, environ=kops | ours, flags=flag).cluster == "flag.example.com"
    assert settings_of(path, environ=kops).state == "s3://kops-store"


def test_each_value_knows_where_it_came_from(write) -> None:
    path = write("limits:\n  maxDeletions: 9\nregion: eu-west-1\n")
    loaded = config.load(
        path,
        flags={"region": "us-east-1"},
        environ={"KOPS_STATE_STORE": "s3://store", "BOOTSTRAP_LIMITS_MAX_UNAVAILABLE": "2"},
    )
    assert loaded.origin(("limits", "maxDeletions")) == f"{path}:4"
    assert loaded.origin(("limits", "maxUnavailable")) == "BOOTSTRAP_LIMITS_MAX_UNAVAILABLE"
    assert loaded.origin(("limits", "maxReplacements")) == "default"
    assert loaded.origin(("state",)) == "KOPS_STATE_STORE"
    assert loaded.origin(("region",)) == "--region"
    assert loaded.settings.limits.max_unavailable == 2


def test_all_faults_are_said_at_once_with_their_lines(write) -> None:
    path = write("""\
        cluster: games
        state: gs://store
        pools:
          - name: A
            cuont: 3
            count: 0
          - name: web
            count: -1
            instance_type: m5.large
            windows: 2016
        limits: 3
        timeout: {}
        """)
    assert faults_of(path) == [
        "FILE:3:1: cluster: must be a name such as games.example.com, not 'games'",
        "FILE:4:1: state: must be a state store s3://BUCKET[/PREFIX], not 'gs://store'",
        "FILE:6:5: pools[0].name: must be a name of lower-case letters, digits and '-', not 'A'",
        "FILE:7:5: pools[0].cuont: unknown key; did you mean 'count'?",
        "FILE:8:5: pools[0].count: must be greater than or equal to 1, not 0",
        "FILE:10:5: pools[1].count: must be greater than or equal to 1, not -1",
        "FILE:11:5: pools[1].instance_type: unknown key; did you mean 'instanceType'?",
        "FILE:12:5: pools[1].windows: must be '2019', '2022' or '2025', not '2016'",
        "FILE:13:1: limits: must be an object, not 3",
        "FILE:14:1: timeout: unknown key; did you mean 'timeouts'?",
    ]


def test_faults_outside_the_file_name_flag_and_variable(write) -> None:
    faults = faults_of(
        write(""), flags={"region": "mars"}, environ={"BOOTSTRAP_LIMITS_MAX_UNAVAILABLE": "many"}
    )
    assert faults == [
        "--region: must be an AWS region such as eu-west-1, not 'mars'",
        "BOOTSTRAP_LIMITS_MAX_UNAVAILABLE: must be a valid integer, not 'many'",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("pools: [{name: a}, {name: a}]", "the name 'a' is taken by pools[0]"),
        ("pools: [{name: a, labels: {a b: c}}]", "'a b' is no valid key"),
        ("pools: [{name: a, labels: {team: 3}}]", "must be text; put it in quotes"),
        ("pools: [{name: a, labels: {team: '-'}}]", "'-' is no valid value of team"),
        ("pools: [{name: a, labels: {kubernetes.io/os: linux}}]", "kubernetes.io/os is reserved"),
        ("pools: [{name: a, labels: {bootstrap.node/pool: b}}]", "bootstrap.node/pool is reserved"),
        ("pools: [{name: a, taints: [a=b]}]", "'a=b' is no taint"),
        ("pools: [{name: a, taints: ['a=b:Never']}]", "'a=b:Never' is no taint"),
        ("pools: [{name: a, taints: ['=b:NoSchedule']}]", "'' is no valid key"),
        ("pools: [{name: a, subnets: [x, x]}]", "listed twice: x"),
        ("pools: [{name: a, kubernetesVersion: 1.30}]", "must be text; put it in quotes"),
        ("pools: [{name: a, spot: 'yes'}]", "must be a valid boolean, not 'yes'"),
        ("pools: [{name: a, rootVolume: {sizeGb: 10}}]", "must be greater than or equal to 30"),
        ("pools: {name: a}", "must be a valid array"),
        ("timeouts: {join: 5x}", "not a duration; write 90s, 25m or 1h30m"),
        ("timeouts: {join: 0s}", "must be greater than 0"),
        ("reach: {via: teleport}", "must be 'direct', 'bastion' or 'ssm'"),
        ("artifacts: {mirror: ftp://x}", "must be a URL"),
        (f"artifacts: {{overrides: [{OVERRIDE}, checksum: 12}}]}}", "quotes"),
        (f"artifacts: {{overrides: [{OVERRIDE}, checksum: ab}}]}}", "a SHA-256 or SHA-512"),
        (f"artifacts: {{overrides: [{OVERRIDE}}}]}}", "missing"),
        ("registries: {proxy: 'http://me:secret@proxy:3128'}", "without user and password"),
        (
            "registries: {mirrors: [{registry: docker.io, urls: ['http://m.example.com']}]}",
            "begins with https://",
        ),
        ("registries: {mirrors: [{registry: docker.io, urls: []}]}", "at least one"),
        (
            "registries: {mirrors: [{registry: 'https://docker.io', urls: ['https://m']}]}",
            "registry's host",
        ),
        (
            "artifacts: {overrides: [{name: docker-ee, version: '1.0', url: "
            "'https://dockermsft.azureedge.net/x.zip', checksum: '" + "a" * 64 + "'}]}",
            "DockerMsftProvider",
        ),
        ("cluster: a.b\ncluster: c.d", "given twice"),
        ("limits: {<<: {maxUnavailable: 0}}", "must be greater than or equal to 1"),
    ],
)
def test_a_wrong_value_is_refused_in_words(write, text: str, fault: str) -> None:
    found = faults_of(write(text))
    assert len(found) == 1 and fault in found[0], found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("apiVersion: bootstrap/v2\nkind: WindowsNodes", "must be 'bootstrap/v1'"),
        ("apiVersion: bootstrap/v1\nkind: Cluster", "must be 'WindowsNodes'"),
        ("apiVersion: bootstrap/v1", "kind: missing"),
        ("a: [", "no YAML: expected the node content"),
        ("a: &a [*a]", "plain data"),
        ("- a", "must be a map of settings"),
        ("just text", "must be a map of settings"),
        ("a: \x00", "no YAML"),
        ("a: !!python/object:os.system x", "no YAML: could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")
    assert any(fault in found for found in faults_of(path))


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no config file") as caught:
        config.load(tmp_path / "none.yaml", flags={}, environ={})
    assert caught.value.command.startswith("bootstrap config init")
    assert caught.value.exit_code is ExitCode.USAGE


def test_required_settings_are_all_named_with_every_way_to_give_them() -> None:
    loaded = config.load(None, flags={}, environ={"BOOTSTRAP_STATE": ""})
    with pytest.raises(config.ConfigError) as caught:
        config.require(loaded, "cluster", "state")
    assert [fault.path for fault in caught.value.faults] == ["cluster", "state"]
    assert "--state, KOPS_STATE_STORE or 'state'" in caught.value.evidence


def test_flags_change_a_pool_under_the_rules_of_the_file() -> None:
    settings = config.Settings(pools=(PoolSpec(name="a", count=2, labels={"x": "1"}),))
    flags = {"count": 5, "labels": {"y": "2"}, "rootVolume": {"sizeGb": 60}}
    pool = config.pool_with(settings, "a", flags)
    assert pool == PoolSpec(
        name="a", count=5, labels={"x": "1", "y": "2"}, root_volume=RootVolume(size_gb=60)
    )
    assert config.pool_with(settings, "new", {}) == PoolSpec(name="new")


def test_faults_of_a_pools_flags_name_the_flags() -> None:
    flags = {"count": -1, "instanceType": "big", "taints": ["x"], "rootVolume": {"sizeGb": 1}}
    with pytest.raises(config.ConfigError) as caught:
        config.pool_with(config.Settings(), "Bad Name", flags)
    assert {fault.where for fault in caught.value.faults} == {
        "--pool",
        "--count",
        "--instance-type",
        "--taint",
        "--root-volume-gb",
    }


def test_durations_are_read_as_seconds(write) -> None:
    timeouts = settings_of(write("timeouts: {join: 1h30m, launch: 45, validate: 90s}")).timeouts
    assert (timeouts.join_s, timeouts.launch_s, timeouts.validate_s) == (5400, 45, 90)


def test_the_example_is_valid_and_mentions_every_key() -> None:
    assert settings_of(EXAMPLE).pools[0].name == "game-servers"
    text = EXAMPLE.read_text(encoding="utf-8")
    blocks = [(), ("pools", 0), ("pools", 0, "rootVolume"), ("limits",), ("reach",)]
    blocks += [("registries",), ("registries", "mirrors", 0)]
    blocks += [("artifacts",), ("artifacts", "overrides", 0), ("credentials",), ("timeouts",)]
    keys = {key for block in blocks for key in config_keys.known_keys(block)}
    assert keys and not {key for key in keys if f"{key}:" not in text}


def test_every_field_is_explained_in_the_schema() -> None:
    schema = config.json_schema()
    blocks = [schema, *schema["$defs"].values()]
    for block in blocks:
        for name, field in block.get("properties", {}).items():
            block_of = schema["$defs"].get(field.get("$ref", "").rsplit("/", 1)[-1], {})
            explained = field.get("description") or block_of.get("description")
            assert explained, f"{block['title']}.{name}"


def test_the_schema_command_knows_the_kind_of_the_file() -> None:
    assert schema_command.CONFIG_KIND == config_file.KIND


def test_users_own_artifacts_are_read_and_their_algorithm_told_by_the_length(write) -> None:
    digest = "'" + "ab" * 64 + "'"
    text = f"artifacts: {{overrides: [{OVERRIDE}, checksum: {digest}}}]}}"
    (own,) = settings_of(write(text)).artifacts.overrides
    assert (own.name, own.version, own.algorithm) == ("docker-ee", "25.0.8", "sha512")


def test_settings_but_for_their_pools_can_key_a_cache(write) -> None:
    text = f"""
    artifacts: {{overrides: [{OVERRIDE}, checksum: '{"a" * 64}'}}]}}
    registries: {{mirrors: [{{registry: docker.io, urls: ['https://m.example.com']}}]}}
    pools: [{{name: a}}]
    """
    settings = replace(settings_of(write(text)), pools=())
    assert len({settings, replace(settings)}) == 1
