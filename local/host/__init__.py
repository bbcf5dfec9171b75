"""The local Functions host: timers, queue listeners and HTTP over Microsoft's own worker library. Never deployed.

`python -m local.host` runs the app of a directory; `with FunctionsHost(directory) as host:` does so in this process.
"""

from local.host.errors import HostError
from local.host.host import FunctionsHost

__all__ = ["FunctionsHost", "HostError"]
