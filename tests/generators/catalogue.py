"""The generators of clients and the readers of documents that `tox -e generators` tries."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
DIRECTORY: Final = ROOT / "tests/generators"


class Generator(NamedTuple):
    """A generator of clients.

    Attributes:
        name: its name in the table.
        packages: the packages of npm or PyPI whose versions the table shows.
        program: the module that uses the client, in `typescript/` or `python/`.
        command: writes the client of `openapi.json` to `client/`, in Python to `orderly_client/`.
        internal: patterns of files and exports that only the client itself uses, for `any.mjs`.
    """

    name: str
    packages: tuple[str, ...]
    program: str
    command: str
    internal: tuple[str, ...] = ()


TYPESCRIPT: Final = (
    Generator(
        "openapi-typescript, openapi-fetch",
        ("openapi-typescript", "openapi-fetch"),
        "openapi_typescript",
        "openapi-typescript openapi.json --output client/orderly.d.ts",
    ),
    Generator(
        "hey-api",
        ("@hey-api/openapi-ts",),
        "hey_api",
        "openapi-ts --input openapi.json --output client"
        " --plugins @hey-api/typescript @hey-api/sdk @hey-api/client-fetch",
        ("^client/(client|core)/",),
    ),
    Generator(
        "orval, fetch", ("orval",), "orval_fetch", "orval --config orval.config.mjs --project fetch"
    ),
    Generator(
        "orval, zod",
        ("orval", "zod-4"),
        "orval_zod",
        "orval --config orval.config.mjs --project zod",
    ),
    Generator(
        "openapi-generator, typescript-fetch",
        ("openapi-generator-cli",),
        "openapi_generator",
        "openapi-generator-cli generate --input-spec openapi.json --output client"
        " --generator-name typescript-fetch"
        " --type-mappings AnyType=unknown --language-specific-primitives unknown",
        ("^client/runtime", "(From|To)JSON(Typed)?$", "^instanceOf"),
    ),
    Generator(
        "swagger-typescript-api",
        ("swagger-typescript-api",),
        "swagger_typescript_api",
        "swagger-typescript-api generate --path openapi.json --output client --modular"
        " --single-http-client --disable-throw-on-error --enum-style union",
        ("^client/http-client",),
    ),
    Generator(
        "openapi-zod-client",
        ("openapi-zod-client", "zod"),
        "openapi_zod_client",
        "openapi-zod-client openapi.json --output client/orderly.ts --with-alias --export-schemas"
        " --media-type-expr \"['application/json', 'text/csv'].includes(mediaType)\"",
        ("^(api|createApiClient)$",),
    ),
)
PYTHON: Final = (
    Generator(
        "openapi-generator, python",
        ("openapi-generator-cli",),
        "openapi_generator",
        "openapi-generator-cli generate --input-spec openapi.json --output ."
        " --generator-name python --package-name orderly_client",
    ),
    Generator(
        "openapi-python-client",
        ("openapi-python-client",),
        "openapi_python_client",
        "openapi-python-client generate --path openapi.json --config openapi-python-client.yaml"
        " --meta none --fail-on-warning --output-path orderly_client",
    ),
)
JAVA: Final = Generator(
    "openapi-generator, java",
    ("openapi-generator-cli",),
    "",
    "openapi-generator-cli generate --input-spec openapi.json --output client"
    " --generator-name java",
)
POSTMAN: Final = Generator(
    "openapi-to-postmanv2, newman", ("openapi-to-postmanv2", "newman"), "", "run.mjs openapi.json"
)
READERS: Final = (
    ("Swagger UI (`/docs`)", "flask-swagger-ui"),
    ("Redoc", "redoc"),
    ("Scalar", "@scalar/api-reference"),
)


def version_of(*packages: str) -> str:
    """Return the versions of packages in package.json or requirements.lock."""
    npm = json.loads((DIRECTORY / "package.json").read_text())["devDependencies"]
    lock = (ROOT / "requirements.lock").read_text()
    pypi = dict(re.findall(r"^([\w.-]+)==([\w.]+)", lock, re.MULTILINE))
    # `zod-4` is another name for `zod`: "npm:zod@4.6.7".
    return ", ".join(str(npm.get(name) or pypi[name]).rpartition("@")[2] for name in packages)
