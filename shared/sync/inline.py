"""An executor without threads: runs what is submitted at once, on the caller's own thread."""

from collections.abc import Callable
from concurrent.futures import Executor, Future


class InlineExecutor(Executor):
    """For one-threaded programs and for tests: the order of calls is the order in which they are written."""

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 # an executor hands every exception to whoever asks for the result
            future.set_exception(error)
        return future
