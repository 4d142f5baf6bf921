"""Servers that `benchmarks/serve.py` sets beside ours: `python benchmarks/serve_apps.py WHICH [MODEL]`.

    noop       our whole stack with one more route, which reads the body and answers {}
    bare       uvicorn and Starlette as they come, with such a route
    unbatched  what one writes in ten lines: our bundle, a call of the model for each request, in threads
    bert       the same with the ONNX model and tokenizer in the folder MODEL (BERT-Base's size)

Each prints its port once it listens. With FastAPI installed the last two are written for it.
"""

import socket
import sys
import tempfile
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


async def nothing(request: Request):
    await request.body()
    return Response(b"{}", media_type="application/json")


def noop(listener):
    from giantkiller.serve.server import run
    from giantkiller.serve.settings import Settings

    with tempfile.TemporaryDirectory() as state:
        run(Settings(open=True, state=Path(state)), listener, with_noop)


def with_noop(service):
    from giantkiller.serve.app import create

    app = create(service)
    app.router.routes.insert(0, ROUTE)  # the first that is looked at, as the busiest routes of ours
    return app


ROUTE = Route("/noop", nothing, methods=["POST"])


def wrapped(score):
    """The usual wrapper: a plain function, which the framework runs in a pool of threads."""
    try:
        from fastapi import FastAPI
        from pydantic import BaseModel
    except ImportError:

        async def endpoint(request):
            from starlette.concurrency import run_in_threadpool

            body = await request.json()
            return JSONResponse({"scores": await run_in_threadpool(score, body["text"])})

        return Starlette(routes=[Route("/score", endpoint, methods=["POST"])])

    class Comment(BaseModel):
        text: str

    app = FastAPI()

    def scored(comment: Comment):
        return {"scores": score(comment.text)}

    app.post("/score")(scored)
    return app


def unbatched():
    from giantkiller import Screener
    from giantkiller.attributes import ATTRIBUTES

    screener = Screener(threads=1)
    return wrapped(lambda text: dict(zip(ATTRIBUTES, screener.scores([text])[0].tolist(), strict=True)))


def bert(folder):
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(128)
    tokenizer.no_padding()
    session = onnxruntime.InferenceSession(str(folder / "int8.onnx"), providers=["CPUExecutionProvider"])

    def score(text):
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        logits = session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]
        return (1 / (1 + np.exp(-logits))).tolist()

    return wrapped(score)


def main():
    which = sys.argv[1]
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listener.getsockname()[1], flush=True)
    if which == "noop":
        noop(listener)
        return
    if which == "bare":
        app = Starlette(routes=[ROUTE])
    else:
        app = unbatched() if which == "unbatched" else bert(Path(sys.argv[2]))
    config = uvicorn.Config(app, log_level="error", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
