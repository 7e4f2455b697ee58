"""A spool whose newest file was torn or altered while the program was down.

Torn is what a crash of the machine leaves: bytes behind the last commit mark, which nobody was
promised. Altered is a disk that fails: what cannot be read is counted, the rest is there.
"""

import random

import pytest

from soaking import Ledger, Mixed, Program, until

ROUNDS = [2, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])]
BATCHES = 40


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    yield ledger
    ledger.close()


def loaded_up_to(program, ledger, count):
    """Send until so many more batches are acknowledged while the engine stands still."""
    engine = program.engine()
    engine.suspend()
    before = ledger.count()
    with Mixed(program, ledger):
        until(lambda: ledger.count() >= before + count, 20, "acknowledgements")
    program.kill()


def newest_files(program):
    """The file each stream wrote last, which holds what the engine was not given."""
    streams = [path for path in (program.data / "spool").iterdir() if path.is_dir()]
    found = [max(stream.glob("*.frames"), default=None) for stream in streams]
    return [path for path in found if path is not None]


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_torn_tail_loses_nothing(tmp_path, ledger, rounds):
    draw = random.Random()
    with Program(tmp_path / "data") as program:
        for _ in range(rounds):
            program.start()
            loaded_up_to(program, ledger, BATCHES)
            for path in newest_files(program):
                whole = path.read_bytes()
                start = draw.randrange(len(whole))
                torn = (draw.randbytes(draw.randrange(1, 5000)), bytes(4096),
                        whole[start : start + draw.randrange(1, 5000)])  # fmt: skip
                with path.open("ab") as file:
                    file.write(torn[draw.randrange(len(torn))])
        program.start()
        ledger.check(program)
        assert program.measure("trilens_spool_damaged_files_total") == 0


@pytest.mark.parametrize("rounds", ROUNDS)
def test_an_altered_bit_costs_what_it_hits_and_is_counted(tmp_path, ledger, rounds):
    draw = random.Random()
    lost = 0
    with Program(tmp_path / "data") as program:
        for _ in range(rounds):
            program.start()
            loaded_up_to(program, ledger, BATCHES)
            altered = newest_files(program)
            for path in altered:
                flip_a_bit(path, draw)
            program.start()
            program.wait_until_loaded()
            missing = ledger.missing(program)
            damaged = program.measure("trilens_spool_damaged_files_total")
            assert len(missing) - lost <= len(altered), "a flipped bit took more than a frame"
            assert len(missing) - lost <= damaged, "what is lost was not counted"
            lost = len(missing)
            assert not ledger.partial(program)
            program.kill()


def flip_a_bit(path, draw):
    place = draw.randrange(path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0] ^ 1 << draw.randrange(8)
        file.seek(place)
        file.write(bytes([byte]))
