"""What the generated requests of `schemathesis.rs` name: things that are there, three times in four.

$KNOWN maps the beginnings of paths to ids. Waits are short, and the server is not drained.
"""

import json
import os
import zlib

import schemathesis

KNOWN = json.loads(os.environ["KNOWN"])


def often(value):
    """Fixed for a value, so that a failure can be found again."""
    return zlib.crc32(repr(value).encode()) % 4 != 0


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    path = context.operation.path
    for name, value in (path_parameters or {}).items():
        known = next((id for start, id in KNOWN.items() if path.startswith(start)), None)
        if path.endswith("/events"):
            # A stream of an open task goes on for minutes.
            path_parameters[name] = KNOWN["ended"]
        elif name == "uid":
            path_parameters[name] = KNOWN["uid"] if often(value) else value
        elif name == "kind":
            path_parameters[name] = "tts" if often(value) else value
        elif name == "id" and known and often(value):
            path_parameters[name] = known
    return path_parameters


@schemathesis.hook
def map_query(context, query):
    if query and "wait" in query and str(query["wait"]).isdigit():
        query["wait"] = min(int(query["wait"]), 1)
    return query


@schemathesis.hook
def map_body(context, body):
    if not isinstance(body, dict):
        return body
    if body.get("draining") in (True, "true", "1"):
        body["draining"] = False
    if "task_id" in body and often(body["task_id"]):
        body["task_id"] = KNOWN["/api/v1/task"]
    if "validator_uid" in body and often(body["validator_uid"]):
        body["validator_uid"] = KNOWN["validator_uid"]
    return body
