"""What a person is told of a request that got no answer."""

import socket

import pytest

from trilens.config_files.http_config import HttpConfig
from trilens.http_out.door import Failed, HttpDoor


def test_nobody_listens_is_said_in_words():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(Failed, match=r"^connection refused$"):
            HttpDoor(HttpConfig()).post(url, b"", 5)
