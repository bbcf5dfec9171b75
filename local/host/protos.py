"""Stands in for the `protos` namespace that azure-functions-runtime expects: plain records instead of generated protobuf.

Only what loading an app needs; invocations go past protobuf. The library version is pinned in `worker.py`.
"""

from types import SimpleNamespace


class BindingInfo(SimpleNamespace):
    undefined = 0
    in_ = 0
    out = 1
    inout = 2


class StatusResult(SimpleNamespace):
    Failure = 0
    Success = 1
    exception: "RpcException | None" = None


class RpcException(SimpleNamespace):
    message: str
    stack_trace: str


class RpcFunctionMetadata(SimpleNamespace):
    name: str
    function_id: str
    raw_bindings: list[str]


class RpcRetryOptions(SimpleNamespace):
    pass


class WorkerMetadata(SimpleNamespace):
    pass


class WorkerInitResponse(SimpleNamespace):
    result: StatusResult


class FunctionMetadataResponse(SimpleNamespace):
    function_metadata_results: list[RpcFunctionMetadata] | None
