"""Settings from flags, environment and file: which wins, what is refused, what is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilens.addresses import HostPort, read_host_port
from trilens.cli import main
from trilens.settings import Settings, SettingsError, load, text


def written(tmp_path, text):
    path = tmp_path / "trilens.yaml"
    path.write_text(text)
    return path


def test_flags_win_over_environment_over_file(tmp_path):
    path = written(tmp_path, "data_dir: /file\nlog_level: error\nquery_seconds_max: 5")
    environ = {"TRILENS_DATA_DIR": "/environment", "TRILENS_LOG_LEVEL": "debug"}
    loaded = load({"data_dir": "/flag"}, environ, path)
    assert str(loaded.settings.data_dir) == "/flag"
    assert loaded.settings.log_level == "debug"
    assert loaded.settings.query_seconds_max == 5
    assert loaded.origins["data_dir"] == "flag"
    assert loaded.origins["log_level"] == "environment"
    assert loaded.origins["query_seconds_max"] == str(path)
    assert loaded.origins["http"] == "default"


def test_the_file_may_be_named_by_the_environment(tmp_path):
    path = written(tmp_path, "spool_bytes_max: 1GiB")
    loaded = load({}, {"TRILENS_CONFIG": str(path)})
    assert loaded.settings.spool_bytes_max == 1 << 30


def test_an_empty_file_sets_nothing(tmp_path):
    assert load({}, {}, written(tmp_path, "# nothing yet\n")).settings == load({}, {}).settings


VALUES = [
    ("retention_logs_s", "7d", 604_800),
    ("retention_logs_s", "90", 90),
    ("retention_logs_s", "off", None),
    ("watch_interval_s", "500ms", 0.5),
    ("memory_bytes_max", "1GiB", 1 << 30),
    ("spool_bytes_max", "2GB", 2_000_000_000),
    ("otlp_grpc", "off", None),
    ("otlp_http", "[::1]:0", HostPort("::1", 0)),
    ("watch_logs", "/a:/b", None),
]


@pytest.mark.parametrize(("name", "given_text", "value"), VALUES)
def test_values(name, given_text, value):
    read = getattr(load({name: given_text}, {}).settings, name)
    assert [str(path) for path in read] == ["/a", "/b"] if name == "watch_logs" else read == value


REFUSED = [
    ({"http": "localhost"}, "no address"),
    ({"http": "127.0.0.1:99999"}, "no address"),
    ({"retention_logs_s": "soon"}, "not a duration"),
    ({"memory_bytes_max": "100MiB"}, "at least"),
    ({"memory_bytes_max": "-1"}, "memory_bytes_max"),
    ({"log_level": "loud"}, "'debug', 'info', 'warning' or 'error'"),
    ({"xray": "127.0.0.1:2000"}, "not offered by this version"),
    ({"fluent_forward": "127.0.0.1:24224"}, "not offered by this version"),
    ({"http": "0.0.0.0:4280"}, "reached from other machines"),
    ({"otlp_grpc": "10.0.0.1:4317"}, "reached from other machines"),
    ({"query_rows_max": "0"}, "query_rows_max = '0' (flag)"),
    ({"engine": "clickhouse:9000"}, "neither `embedded` nor a URL"),
    ({"memory_bytes_max": "plenty"}, "one looks like 512MiB"),
    ({"data_dir": ""}, "data_dir (flag) is empty"),
]


@pytest.mark.parametrize(("flags", "said"), REFUSED)
def test_refused_with_the_reason(flags, said):
    with pytest.raises(SettingsError) as refused:
        load(flags, {})
    assert said in str(refused.value)


@pytest.mark.parametrize("extra", [{"token": "secret"}, {"insecure": "true"}])
def test_an_open_address_needs_a_token_or_a_word(extra):
    settings = load({"http": ":4280", **extra}, {}).settings
    assert settings.http == HostPort("0.0.0.0", 4280)


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(SettingsError, match="did you mean spool_bytes_max"):
        load({}, {}, written(tmp_path, "spool_byte_max: 1"))
    with pytest.raises(SettingsError, match="did you mean TRILENS_DATA_DIR"):
        load({}, {"TRILENS_DATADIR": "x"})


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["check", "--data-dri", "x"], "--data-dri is no flag; did you mean --data-dir?"),
        (["serve", "--otlp_grpc=off"], "did you mean --otlp-grpc?"),
        (["up", "--retention-logs", "3d"], "did you mean --retention-logs-s?"),
        (["sql", "SELECT 1", "--htp", "x"], "did you mean --http?"),
        (["spool", "dump", "x", "--paylod", "1"], "did you mean --payload?"),
        (["sql", "SELECT", "1"], "'1' is one word too many"),
    ],
)
def test_an_unknown_flag_is_refused_with_the_nearest(words, near, capsys):
    assert main(words) == 2
    assert near in capsys.readouterr().err


def test_an_empty_variable_is_one_that_is_not_set():
    loaded = load({}, {"TRILENS_TOKEN": "", "TRILENS_DATA_DIR": ""})
    assert loaded.settings == load({}, {}).settings
    assert loaded.origins["token"] == "default"


def test_a_bare_port_in_the_file_is_told_what_an_address_looks_like(tmp_path):
    with pytest.raises(SettingsError, match="one looks like"):
        load({}, {}, written(tmp_path, "http: 4280"))


def test_check_shows_values_as_they_are_written_and_no_secrets(capsys):
    url = "http://me:hidden@db:8123/?cluster=c"
    assert main(["check", "--engine", url, "--token", "hidden", "--retention-logs-s", "36h"]) == 0
    said = capsys.readouterr().out
    assert "hidden" not in said
    values = {line.split()[0]: line.split()[1] for line in said.splitlines()}
    assert values["engine"] == "http://me:(set)@db:8123/?cluster=c"
    assert (values["retention_logs_s"], values["spool_bytes_max"]) == ("36h", "4GiB")


def test_what_check_shows_of_a_default_reads_back():
    for name in Settings.model_fields.keys() - {"token"}:
        value = getattr(load({}, {}).settings, name)
        assert getattr(load({name: text(name, value)}, {}).settings, name) == value, name


@pytest.mark.parametrize("content", ["- a\n- b", "a: [", "just text"])
def test_a_file_that_holds_no_settings_is_refused(tmp_path, content):
    with pytest.raises(SettingsError, match=r"trilens\.yaml"):
        load({}, {}, written(tmp_path, content))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="No such file"):
        load({}, {}, tmp_path / "absent.yaml")


def test_every_setting_has_a_sentence():
    for name, row in Settings.model_fields.items():
        assert (row.description or "").endswith("."), name


@given(st.builds(HostPort, st.ip_addresses().map(str), st.integers(0, 65_535)))
def test_an_address_reads_back(address):
    assert read_host_port(str(address)) == address


@given(st.text())
def test_any_other_text_is_no_address(given_text):
    try:
        read = read_host_port(given_text)
    except ValueError:
        return
    assert 0 <= read.port <= 65_535
