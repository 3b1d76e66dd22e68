"""What the generated requests of `schemathesis.rs` name: things that are there, three times in four.

$KNOWN maps the beginnings of paths to ids. Waits are short, streams are those of a task that has
ended, no caller's key is revoked, and the server is not drained.
"""

import json
import os
import zlib

import schemathesis

KNOWN = json.loads(os.environ["KNOWN"])


def often(value):
    """Fixed for a value, so that a failure can be found again."""
    return zlib.crc32(repr(value).encode()) % 4 != 0


def place(path, name, value):
    if path.endswith("/events"):
        return KNOWN["ended"]
    if "/admin/keys/" in path:
        # Nobody's; those of the callers go on.
        return KNOWN["key"]
    if not often(value):
        return value
    if name == "uid":
        return KNOWN["validator_uid" if "/validator/" in path else "uid"]
    if name == "kind":
        return "tts"
    if name == "id":
        return next((id for start, id in KNOWN.items() if path.startswith(start)), value)
    return value


@schemathesis.hook
def before_call(context, case, kwargs):
    path, names = case.operation.path, case.path_parameters
    for name in names or {}:
        names[name] = place(path, name, names[name])
    query, body = case.query, case.body
    if isinstance(query, dict) and str(query.get("wait", "0")).isdigit() and "wait" in query:
        query["wait"] = min(int(query["wait"]), 1)
    if not isinstance(body, dict):
        return
    if str(body.get("draining")).lower() in ("true", "1"):
        body["draining"] = False
    for name, known in [("task_id", "/api/v1/task"), ("validator_uid", "validator_uid")]:
        if name in body and often(body[name]):
            body[name] = KNOWN[known]
