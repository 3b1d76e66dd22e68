"""What people do with the `openai` package, one JSON line per call."""

import json
import os
import sys

import openai

TEXT = "a sentence that is long enough to be spoken"
client = openai.OpenAI(
    base_url=os.environ["SERVER"] + "/v1", api_key=os.environ["API_KEY"], max_retries=0
)


def say(name, **more):
    print(json.dumps({"name": name, **more}), flush=True)


def refused(name, call):
    try:
        call()
    except openai.APIStatusError as error:
        body = error.body if isinstance(error.body, dict) else {}
        say(name, raised=type(error).__name__, status=error.status_code, param=body.get("param"),
            code=body.get("code"), message=error.message)
    except openai.APITimeoutError as error:
        say(name, raised=type(error).__name__)
    else:
        say(name, raised=None)


wav = open(sys.argv[1], "rb").read()
sound = ("speech.wav", wav, "audio/wav")
hear = client.audio.transcriptions.create
speak = client.audio.speech.create

say("json", text=hear(model="whisper-1", file=sound).text)
say("text", text=hear(model="whisper-1", file=sound, response_format="text"))
whole = hear(model="whisper-1", file=sound, response_format="verbose_json", language="fr")
say("verbose_json", text=whole.text, language=whole.language, duration=whole.duration)

spoken = speak(model="tts-1", voice="alloy", input=TEXT)
say("speech", same=spoken.read() == wav, content_type=spoken.response.headers["content-type"])
with client.audio.speech.with_streaming_response.create(
    model="tts-1", voice="alloy", input=TEXT + " as an uploaded file"
) as streamed:
    streamed.stream_to_file(sys.argv[2])
say("speech to a file", same=open(sys.argv[2], "rb").read() == wav)

say("models", ids=[model.id for model in client.models.list()])
say("model", id=client.models.retrieve("tts-1").id)

stranger = client.with_options(api_key="pit_nobody_" + "0" * 64)
refused("wrong key", lambda: stranger.models.list())
refused("short input", lambda: speak(model="tts-1", voice="alloy", input="short"))
refused("wrong format", lambda: hear(model="whisper-1", file=sound, response_format="srt"))
refused("no sound", lambda: hear(model="whisper-1", file=("a.png", b"\x89PNG\r\n\x1a\n" + b"0" * 99)))
refused("unknown model", lambda: client.models.retrieve("gpt-9"))
refused("unknown route", lambda: client.chat.completions.create(model="x", messages=[]))
refused("speed", lambda: speak(model="tts-1", voice="alloy", input=TEXT, speed=2.0))
refused("miners fail", lambda: speak(model="tts-1", voice="alloy", input=TEXT + " never to be"))
hasty = client.with_options(timeout=1.0)
refused("time-out", lambda: hasty.audio.speech.create(
    model="tts-1", voice="alloy", input=TEXT + " in a thousand years"))
