"""The same two endpoints on four stacks, each built as its documentation recommends."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import connexion
import yaml
from fastapi import Cookie, Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from benchmarks.pipeline import handlers
from orderly.factory import connexion_app
from orderly.http import logging
from services import process
from services.configuration import Configuration

CONTRACT = Path(__file__).parent / "contract.yaml"


class Money(BaseModel):
    amount: Annotated[int, Field(ge=0, le=9000000000000)]
    currency: Annotated[str, Field(pattern="^EUR$")]


class Product(BaseModel):
    id: UUID
    sku: Annotated[str, Field(max_length=40)]
    name: Annotated[str, Field(max_length=200)]
    description: Annotated[str, Field(max_length=2000)]
    price: Money
    stock: Annotated[int, Field(ge=0)]


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    product_id: UUID
    quantity: Annotated[int, Field(ge=1, le=10000, strict=True)]


class NewOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    items: Annotated[list[Line], Field(min_length=1, max_length=100)]
    note: Annotated[str, Field(max_length=500)] | None = None


class Order(BaseModel):
    id: UUID
    items: Annotated[list[dict[str, Any]], Field(max_length=100)]
    total: Money


def bare_starlette() -> ASGIApp:
    """Return a Starlette application: only routing and JSON, no validation and no security."""

    async def get_product(request: Request) -> JSONResponse:
        body, status, _ = await handlers.get_product(request.path_params["product_id"])
        return JSONResponse(body, status)

    async def create_order(request: Request) -> JSONResponse:
        body, status, _ = await handlers.create_order(await request.json())
        return JSONResponse(body, status)

    return Starlette(
        routes=[
            Route("/api/v1/products/{product_id}", get_product),
            Route("/api/v1/orders", create_order, methods=["POST"]),
        ]
    )


async def principal(orderly_access: Annotated[str, Cookie()]) -> dict[str, Any]:
    """Verify the session cookie."""
    try:
        return handlers.principal(orderly_access)
    except Exception as error:
        raise HTTPException(401) from error


def fastapi() -> ASGIApp:
    """Return a FastAPI application with Pydantic models for requests and responses."""
    app = FastAPI()

    @app.get("/api/v1/products/{product_id}", response_model=Product)
    async def get_product(product_id: UUID) -> Any:
        return (await handlers.get_product(product_id))[0]

    @app.post("/api/v1/orders", status_code=201, response_model=Order)
    async def create_order(
        body: NewOrder, _who: Annotated[dict[str, Any], Depends(principal)]
    ) -> Any:
        return (await handlers.create_order(body.model_dump(mode="json")))[0]

    return app


def stock_connexion() -> ASGIApp:
    """Return a Connexion application without changes."""
    app = connexion.AsyncApp("benchmarks.pipeline")
    app.add_api(str(CONTRACT), strict_validation=True)
    return app


def orderly() -> ASGIApp:
    """Return Orderly's compiled contract with its request log, problems and security."""
    process.bind(Configuration(signing_key=handlers.KEY))
    # As in production: one JSON line per request, written to /dev/null.
    logging.configure("info", "json", Path(os.devnull).open("wb"))  # noqa: SIM115  # for as long as the process lives
    # There is no database: behave as if the revoked sessions had just been read.
    process.state().revoked_sessions.refreshed_at = math.inf
    return connexion_app(yaml.safe_load(CONTRACT.read_text()), other_routes=Router())


STACKS = {
    "bare Starlette": bare_starlette,
    "FastAPI": fastapi,
    "stock Connexion": stock_connexion,
    "Orderly": orderly,
}
