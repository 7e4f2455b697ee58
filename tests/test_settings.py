"""Settings from flags, environment and file: which wins, what is refused, what is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilens.addresses import HostPort, read_host_port
from trilens.settings import Settings, SettingsError, load


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


@pytest.mark.parametrize(("name", "text", "value"), VALUES)
def test_values(name, text, value):
    read = getattr(load({name: text}, {}).settings, name)
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


@pytest.mark.parametrize("text", ["- a\n- b", "a: [", "just text"])
def test_a_file_that_holds_no_settings_is_refused(tmp_path, text):
    with pytest.raises(SettingsError, match=r"trilens\.yaml"):
        load({}, {}, written(tmp_path, text))


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
def test_any_other_text_is_no_address(text):
    try:
        read = read_host_port(text)
    except ValueError:
        return
    assert 0 <= read.port <= 65_535
