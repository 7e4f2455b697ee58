"""What holds for all tests."""

from datetime import timedelta

from hypothesis import settings

# Against an example that never ends. The usual 0.2 s say more about what else the machine does.
settings.register_profile("trilens", deadline=timedelta(seconds=2))
settings.load_profile("trilens")
