"""Overlaps waiting: one small pool of threads for everything that the stores of an organisation do at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

THREADS = 8


class Parallel:
    """The threads start with the first call that has more than one task. Tasks must not call `each` themselves."""

    def each[T, R](self, function: Callable[[T], R], tasks: Iterable[T]) -> list[R]:
        """The results, in the order of the tasks. All tasks run; then the first error among them is raised."""
        listed = list(tasks)
        if len(listed) < 2:
            return [function(task) for task in listed]
        futures = [self._threads.submit(function, task) for task in listed]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(THREADS, thread_name_prefix="stores")
