"""What the FastAPI servers have in common: the models of bodies, and the access token."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Annotated
from uuid import UUID

import jwt
from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

_KEY = os.environ["PEER_SIGNING_KEY"].encode("latin-1")
_bearer = HTTPBearer()


class Money(BaseModel):
    amount: Annotated[int, Field(ge=0)]
    currency: Annotated[str, Field(pattern="^EUR$")] = "EUR"


class Product(BaseModel):
    id: UUID
    sku: str
    name: str
    description: str
    price: Money
    stock: int
    version: int
    created_at: datetime
    updated_at: datetime


class ProductPage(BaseModel):
    items: list[Product]
    next_cursor: str | None


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    product_id: UUID
    quantity: Annotated[int, Field(ge=1, le=10000, strict=True)]


class NewOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    items: Annotated[list[Line], Field(min_length=1, max_length=100)]


class Item(BaseModel):
    product_id: UUID
    sku: str
    name: str
    unit_price: Money
    quantity: int
    subtotal: Money


class Order(BaseModel):
    id: UUID
    number: str
    status: str
    user_id: UUID
    items: list[Item]
    total: Money
    version: int
    created_at: datetime
    updated_at: datetime


def user_id(credentials: Annotated[HTTPAuthorizationCredentials, Depends(_bearer)]) -> UUID:
    """Verify the access token."""
    try:
        claims = jwt.decode(
            credentials.credentials,
            _KEY,
            algorithms=["HS256"],
            audience="orderly",
            issuer="orderly",
        )
    except jwt.InvalidTokenError as error:
        raise HTTPException(401) from error
    return UUID(claims["sub"])


User = Annotated[UUID, Depends(user_id)]
