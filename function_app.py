"""The function app: registers the functions of `functions/`, and nothing else."""

import azure.functions as func

from functions import http, schedule, sync, tasks

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

for blueprint in (schedule.blueprint, sync.blueprint, tasks.blueprint, http.blueprint):
    app.register_functions(blueprint)
