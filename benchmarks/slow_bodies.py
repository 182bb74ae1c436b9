"""Searches for request bodies that are slow to validate.

`python -m benchmarks.slow_bodies [MINUTES]` parses and validates random bodies of the maximum size,
as the server does on its event loop, and mutates the slowest ones further (hill climbing). For each
operation it prints the maximum size, and the CPU time and memory of the slowest body. It exits with
status 1 if a body takes more than 20 ms or 16 MiB.

Rows of files are validated in a worker thread. For files, the time is the most CPU time that this
thread takes before a timer of 1 ms on the event loop runs.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks.peak_memory import peak_mebibytes
from orderly.contract import document
from orderly.contract.bodies import BodyPlan
from orderly.contract.references import resolve
from orderly.http.problems import Problem

MAX_MILLISECONDS = 20
MAX_MEBIBYTES = 16
_SURVIVORS = 6
_CHUNK = 1 << 16
_JSON = ((b"content-type", b"application/json"),)
_CSV = ((b"content-type", b"text/csv"),)

# Texts that are repeated to fill a part of a body. `#` becomes the number of the repetition.
_FILLERS = (
    *("0,", "1e308,", "null,", '"",', "[],", "{},", "[[[]]],", '{"a":0},', '{"a":{"b":[0]}},'),
    *('"a",', r'"\u0000",', r'"\ud83d\ude00",', '"\U0001f600",', "0.1234567890123456789,"),
    *("0." + "1" * 300 + ",", "9" * 4000 + ",", '"' + "a" * 1000 + '",', "-0,", " 0,", "\n0,"),
)
_MEMBERS = ('"#":0,', '"#":[],', '"#":{},', r'"\u0061#":"",', '"#":' + "9" * 200 + ",")
_CHARACTERS = (
    "a",
    "0",
    "a.",
    "a@",
    "-",
    " ",
    r"\u0000",
    r"\ud83d\ude00",
    "\U0001f600",
    "\\\\",
    "A1",
)
_ROWS = (
    *("A#,a,1,", '"A#\n\n",a,1,', "a#,,,", "#,#,#," + "9" * 300, "\n"),
    '"' + "a" * 60000 + '",,,',
)


class Slow(NamedTuple):
    """A body, the milliseconds to validate it, and the status of the response."""

    milliseconds: float
    body: bytes
    status: int


def main(minutes: float) -> int:
    """Search, print the table, and return the exit status."""
    operations = list(_operations())
    seconds = minutes * 60 / len(operations)
    print("| operation | maximum size | slowest body | status | time | memory |\n|" + "---|" * 6)
    failed = False
    for name, definition, examples in operations:
        plan = BodyPlan(definition)
        if plan.is_file:
            found, memory = _slowest_file(plan, seconds)
        else:
            found = _slowest_body(plan, examples, seconds)
            memory = peak_mebibytes(lambda found=found, plan=plan: _check(plan, found.body))
        failed |= found.milliseconds > MAX_MILLISECONDS or memory > MAX_MEBIBYTES
        start = found.body[:40].decode(errors="replace").replace("\n", "\\n").replace("|", "\\|")
        print(
            f"| {name} | {plan.max_bytes / 1024:.0f} KiB | `{start}`... | {found.status}"
            f" | {found.milliseconds:.2f} ms | {memory:.1f} MiB |",
            flush=True,
        )
    return int(failed)


def _operations() -> Iterator[tuple[str, dict[str, Any], list[Any]]]:
    """Yield the name, the inlined request body and its example values of each operation."""
    loaded = document.load()
    for path in loaded["paths"].values():
        for operation in resolve(loaded, path).values():
            if isinstance(operation, dict) and "requestBody" in operation:
                definition = _inlined(loaded, operation["requestBody"])
                content = next(iter(definition["content"].values()))
                examples = [one["value"] for one in content.get("examples", {}).values()]
                yield operation["operationId"], definition, examples


def _inlined(loaded: dict[str, Any], node: Any) -> Any:
    node = resolve(loaded, node)
    if isinstance(node, dict):
        return {key: _inlined(loaded, value) for key, value in node.items()}
    return [_inlined(loaded, value) for value in node] if isinstance(node, list) else node


def _slowest_body(plan: BodyPlan, examples: list[Any], seconds: float) -> Slow:
    """Return the slowest JSON body that is found in `seconds`."""
    end = time.monotonic() + seconds
    best: list[tuple[Slow, _Recipe]] = []
    while time.monotonic() < end:
        parents = [recipe for _, recipe in best]
        recipe = _changed(random.choice(parents)) if parents and _coin() else _new()
        body = _write(recipe, random.choice(examples), plan.max_bytes)
        best.append((_measured(plan, body), recipe))
        best = sorted(best, key=lambda found: -found[0].milliseconds)[:_SURVIVORS]
    # A single slow measurement may be an interruption: measure the slowest bodies again.
    return max(_measured(plan, found.body, rounds=20) for found, _ in best)


class _Recipe(NamedTuple):
    """How to generate a body: which part of the example is replaced by repeated text, and how."""

    place: int
    filler: str
    kind: str
    depth: int
    keeps_others: bool


def _new() -> _Recipe:
    kind = random.choice(("array", "members", "text"))
    return _Recipe(
        place=random.randrange(100),
        filler=random.choice({"array": _FILLERS, "members": _MEMBERS, "text": _CHARACTERS}[kind]),
        kind=kind,
        depth=random.choice((0, 0, 0, 1, 2, 10, 400)),
        keeps_others=_coin(),
    )


def _changed(recipe: _Recipe) -> _Recipe:
    other = _new()
    if _coin():
        return recipe._replace(filler=other.filler, kind=other.kind)
    return recipe._replace(place=other.place, depth=other.depth, keeps_others=_coin())


def _coin() -> bool:
    return random.choice((True, False))


def _write(recipe: _Recipe, example: Any, size: int) -> bytes:
    """Return a body in which one place of the example is filled up to the size in bytes."""
    mark = "\x00place\x00"
    marked = _with_mark(example, recipe, mark)
    before, _, after = json.dumps(marked, separators=(",", ":")).partition(json.dumps(mark))
    before, after = before + "[" * recipe.depth, "]" * recipe.depth + after
    opening, closing = {"array": "[]", "members": "{}", "text": '""'}[recipe.kind]
    room = size - len((before + after).encode()) - 2
    pieces: list[str] = []
    while room > 0:
        piece = recipe.filler.replace("#", str(len(pieces)))
        pieces.append(piece)
        room -= len(piece.encode())
    text = "".join(pieces[:-1]).removesuffix(",")
    return f"{before}{opening}{text}{closing}{after}".encode()


def _with_mark(example: Any, recipe: _Recipe, mark: str) -> Any:
    """Return the example with the mark at one of its places, perhaps without its other members."""
    places = list(_places(example))
    path = places[recipe.place % len(places)]
    return _replaced(example, path, mark, keeps_others=recipe.keeps_others)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(member, (*path, key))
    if isinstance(value, dict):
        yield (*path, "unknown")


def _replaced(value: Any, path: tuple[Any, ...], mark: str, *, keeps_others: bool) -> Any:
    if not path:
        return mark
    key, *rest = path
    inner = value.get(key) if isinstance(value, dict) else value[key]
    replacement = _replaced(inner, tuple(rest), mark, keeps_others=keeps_others)
    if isinstance(value, list):
        return [replacement if index == key else one for index, one in enumerate(value)]
    return {**(value if keeps_others else {}), key: replacement}


def _measured(plan: BodyPlan, body: bytes, rounds: int = 2) -> Slow:
    times = []
    for _ in range(rounds):
        # The thread's CPU time: other processes do not change it.
        began = time.thread_time()
        status = _check(plan, body)
        times.append(time.thread_time() - began)
    return Slow(min(times) * 1000, body, status)


def _check(plan: BodyPlan, body: bytes) -> int:
    """Parse and check a body as the server does; return the status of the response."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    try:
        # `read` never waits here, so one step of the coroutine completes it.
        plan.read(_JSON, receive).send(None)
    except StopIteration:
        return 200
    except Problem as problem:
        return problem.status
    raise AssertionError("reading the body waited")


def _slowest_file(plan: BodyPlan, seconds: float) -> tuple[Slow, float]:
    """Return the CSV file that delays a timer the most, and the most memory that a file needs."""
    slowest, memory = Slow(0, b"", 200), 0.0
    per_row = seconds / len(_ROWS)
    for row in _ROWS:
        body = _file(row, plan.max_bytes)
        delays: list[float] = []
        read = _reading(plan, body, delays, per_row)
        memory = max(memory, peak_mebibytes(read))
        slowest = max(slowest, Slow(max(delays) * 1000, body, 200))
    return slowest, memory


def _file(row: str, size: int) -> bytes:
    lines, room = ["sku,name,price,stock"], size - 30
    while room > 0:
        line = row.replace("#", str(len(lines)))
        lines.append(line)
        room -= len(line) + 1
    return "\n".join(lines).encode()[:size]


def _reading(
    plan: BodyPlan, body: bytes, delays: list[float], seconds: float
) -> Callable[[], None]:
    """Return a function that reads a file and iterates its rows in a thread."""

    async def read() -> None:
        starts = iter(range(0, len(body), _CHUNK))

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0)
            start = next(starts)
            more = start + _CHUNK < len(body)
            return {"type": "http.request", "body": body[start : start + _CHUNK], "more_body": more}

        async def watch() -> None:
            while True:
                # The CPU time of the process: what the worker thread computes while the timer is
                # due. Other processes do not change it.
                began = time.process_time()
                await asyncio.sleep(0.001)
                delays.append(time.process_time() - began)

        watching = asyncio.ensure_future(watch())
        rows = await plan.read(_CSV, receive)
        await asyncio.to_thread(lambda: sum(1 for _ in rows))
        watching.cancel()

    def repeat() -> None:
        end = time.monotonic() + seconds
        asyncio.run(read())
        while time.monotonic() < end:
            asyncio.run(read())

    return repeat


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10))
