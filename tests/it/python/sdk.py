"""Calls of the real SDK: true ones, and ones that were tampered with after they were signed.

`sdk.py keys` makes hotkeys below $HOME and prints their addresses. `sdk.py calls` makes the calls
to $SERVER and prints one line of JSON for each: its name, the status, and the code of the refusal.
"""

import http.client
import io
import json
import os
import sys
import time
import uuid
import wave
from urllib.parse import urlsplit

import bittensor as bt
import requests
from bittensor import http_auth

VALIDATOR_UID, MINER_UID = 100, 7


def wallet(name):
    return bt.Wallet(name="pithead", hotkey=name)


def keys():
    addresses = {}
    for name in ["validator", "miner", "stranger"]:
        wallet(name).create_new_hotkey(suppress=True)
        addresses[name] = wallet(name).hotkey.ss58_address
    print(json.dumps(addresses))


def tell(name, status, answer):
    code = answer.get("code") if isinstance(answer, dict) else None
    print(json.dumps({"name": name, "status": status, "code": code, "answer": answer}), flush=True)
    return answer


class Calls:
    def __init__(self):
        self.server = os.environ["SERVER"]
        identity = requests.get(self.server + "/api/v1/identity", timeout=30).json()
        self.receiver = identity["hotkey"]

    def prepare(self, method, path, **body):
        return requests.Request(method, self.server + path, **body).prepare()

    def sign(self, who, request, **other):
        signed = {
            "method": request.method,
            "path": request.path_url,
            "body": self.body(request),
            "receiver_ss58": self.receiver,
        }
        headers = http_auth.sign(wallet(who), **{**signed, **other})
        request.headers.update(headers)
        return request

    @staticmethod
    def body(request):
        body = request.body or b""
        return body.encode() if isinstance(body, str) else body

    def send(self, name, request):
        answer = requests.Session().send(request, timeout=60)
        return tell(name, answer.status_code, answer.json())

    def call(self, name, who, method, path, **body):
        return self.send(name, self.sign(who, self.prepare(method, path, **body)))

    def report(self, uid=MINER_UID, **more):
        statuses = [{
            "uid": uid, "hotkey": os.environ["MINER"], "stake": 100.0, "is_serving": True,
            "performance_score": 0.9, "current_load": 0, "max_capacity": 4,
            "task_type_specialization": ["summarization", "tts"],
        }]
        return {"validator_uid": VALIDATOR_UID, "epoch": 1, **more, "miner_statuses": statuses}


def sound(frames=1600):
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(2 * frames))
    return data.getvalue()


def true_calls(calls):
    form = calls.report()
    form["miner_statuses"] = json.dumps(form["miner_statuses"])
    where = "/api/v1/validators/miner-status"
    calls.call("report as a form", "validator", "POST", where, data=form)
    calls.call("report as JSON", "validator", "POST", where, json=calls.report())
    key = {"X-API-Key": os.environ["API_KEY"], "Idempotency-Key": str(uuid.uuid4())}
    text = "The canary sings no more; the miners put down their picks and walk to the pithead."
    task = requests.post(calls.server + "/api/v1/summarization", headers=key, timeout=30,
                         data={"text": text, "redundancy": 1})
    tell("submit", task.status_code, task.json())
    poll = f"/api/v1/miners/{MINER_UID}/tasks?status=assigned&wait=10"
    leases = calls.call("poll with a query", "miner", "GET", poll)
    lease = leases[0]
    answer = {
        "task_id": lease["task_id"], "miner_uid": MINER_UID, "lease_token": lease["lease"]["token"],
        "response_data": {"summary": "Söylenmedi: the canary is silent."},
    }
    beat = f"/api/v1/miner/tasks/{lease['task_id']}/heartbeat"
    calls.call("heartbeat", "miner", "POST", beat, json={"lease_token": lease["lease"]["token"]})
    content = f"/api/v1/miner/summarization/{lease['task_id']}"
    calls.call("content", "miner", "GET", content)
    calls.call("upload", "miner", "POST", "/api/v1/miner/files",
               files={"file": ("speech.wav", sound(), "audio/wav")},
               data={"task_id": lease["task_id"], "miner_uid": MINER_UID})
    calls.call("upload of 5 MB", "miner", "POST", "/api/v1/miner/files?part=1%2F1",
               files={"file": ("spoken words.wav", sound(2_500_000), "audio/wav")},
               data={"task_id": lease["task_id"], "miner_uid": MINER_UID})
    calls.call("encoded path", "miner", "GET", "/api/v1/validators/caf%C3%A9%20%2Fx")
    calls.call("answer", "miner", "POST", "/api/v1/miner/response", json=answer)
    judged = {"evaluations": [{"miner_uid": MINER_UID, "accuracy": 0.9}]}
    calls.call("judgement", "validator", "POST", "/api/v1/validator/evaluation", json={
        "task_id": lease["task_id"], "validator_uid": VALIDATOR_UID, "evaluation_data": judged,
    })


def tampered_calls(calls):
    where = "/api/v1/validators/miner-status"
    # Uid 99 is in these reports only: nothing of them may have had an effect.
    signed = lambda **other: calls.sign(
        "validator", calls.prepare("POST", where, json=calls.report(uid=99)), **other)
    bent = signed()
    bent.body = bent.body.replace(b"0.9", b"0.8")
    calls.send("body", bent)
    calls.send("path", signed(path="/api/v1/validators/mark-task-seen"))
    poll = calls.prepare("GET", f"/api/v1/miners/{MINER_UID}/tasks?status=assigned&wait=0")
    calls.send("query", calls.sign("miner", poll, path=poll.path_url.replace("wait=0", "wait=1")))
    encoded = calls.prepare("GET", "/api/v1/validators/caf%C3%A9")
    calls.send("decoded path", calls.sign("miner", encoded, path="/api/v1/validators/café"))
    calls.send("method", signed(method="PUT"))
    calls.send("unsigned", calls.prepare("POST", where, json=calls.report(uid=99)))
    bent = signed()
    del bent.headers["X-Bittensor-Signature"]
    calls.send("no signature", bent)
    calls.send("receiver", signed(receiver_ss58=os.environ["STRANGER"]))
    calls.send("no receiver", signed(receiver_ss58=None))
    bent = signed()
    bent.headers["X-Bittensor-Hotkey"] = os.environ["MINER"]
    calls.send("hotkey", bent)
    bent = signed()
    last = bent.headers["X-Bittensor-Signature"][-1]
    bent.headers["X-Bittensor-Signature"] = (
        bent.headers["X-Bittensor-Signature"][:-1] + ("0" if last != "0" else "1"))
    calls.send("signature", bent)
    calls.send("stale", signed(nonce_ns=time.time_ns() - 11_000_000_000))
    calls.send("future", signed(nonce_ns=time.time_ns() + 8_000_000_000))
    twice(calls)
    upload = calls.prepare("POST", "/api/v1/miner/files",
                           files={"file": ("speech.wav", sound(), "audio/wav")})
    calls.sign("miner", upload)
    upload.body = upload.body.replace(bytes(64), bytes(63) + b"\1", 1)
    calls.send("upload body", upload)
    stranger = calls.prepare("POST", where, json=calls.report(uid=99))
    calls.send("stranger", calls.sign("stranger", stranger))
    known = calls.prepare("GET", "/api/v1/miners/99/consensus")
    calls.send("no effect", calls.sign("validator", known))


def twice(calls):
    """A replay, and a header that occurs twice: the latter only `http.client` can send."""
    view = calls.sign("miner", calls.prepare("GET", f"/api/v1/miners/{MINER_UID}/view"))
    calls.send("first", view)
    calls.send("replay", view)
    view = calls.sign("miner", calls.prepare("GET", f"/api/v1/miners/{MINER_UID}/view"))
    connection = http.client.HTTPConnection(urlsplit(calls.server).netloc, timeout=30)
    connection.putrequest("GET", view.path_url)
    for name, value in view.headers.items():
        connection.putheader(name, value)
    connection.putheader("X-Bittensor-Nonce", view.headers["X-Bittensor-Nonce"])
    connection.endheaders()
    answer = connection.getresponse()
    tell("duplicate header", answer.status, json.loads(answer.read()))


if sys.argv[1] == "keys":
    keys()
else:
    calls = Calls()
    true_calls(calls)
    tampered_calls(calls)
