"""Plans as data: their limits, and the Stripe prices at which they are sold."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

#: The plan of an organization that has no other.
FREE = "free"
#: One answer of the API lists all plans.
MOST_PLANS = 50

Name = Annotated[str, Field(min_length=1, max_length=120)]
Allowed = Annotated[int, Field(ge=0, le=10**12)] | None
PriceId = Annotated[str, Field(pattern=r"^price_[A-Za-z0-9_]{1,200}$")] | None


class Plan(BaseModel):
    """The limits of a plan; None means no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    name: Name
    numbers: Allowed
    minutes: Allowed
    messages: Allowed
    seats: Allowed
    #: The price of the subscription's item; None if the plan is not for sale.
    price_id: PriceId = None
    #: The price of an additional seat; None if there are none for sale.
    seat_price_id: PriceId = None
    #: The prices of metered usage: items without a quantity.
    metered_price_ids: Annotated[list[PriceId], Field(max_length=10)] = []
    #: The plan's cost in words.
    price_text: Name | None = None

    @model_validator(mode="after")
    def _sold_as_a_whole(self) -> Self:
        if self.price_id is None and (self.seat_price_id is not None or self.metered_price_ids):
            raise ValueError("has prices for seats or meters, but no price_id")
        if self.seat_price_id is not None and self.seats is None:
            raise ValueError("sells seats, but does not limit them")
        return self

    @property
    def is_for_sale(self) -> bool:
        return self.price_id is not None


class Plans(BaseModel):
    """All plans, smallest first, and the event names of Stripe's meters."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    plans: Annotated[list[Plan], Field(min_length=1, max_length=MOST_PLANS)]
    #: The meter's `event_name` by what it counts.
    meters: Mapping[Literal["minutes", "messages"], Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]] = {}

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        names = [plan.id for plan in self.plans]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two plans have the id {repeated[0]}")
        prices = [price for plan in self.plans for price in (plan.price_id, plan.seat_price_id) if price is not None]
        if repeated := sorted({price for price in prices if prices.count(price) > 1}):
            raise ValueError(f"two plans have the price {repeated[0]}")
        if FREE not in names:
            raise ValueError(f"there is no plan {FREE}, which organizations without a subscription have")
        return self

    def get(self, id: str | None) -> Plan | None:
        return next((plan for plan in self.plans if plan.id == id), None)


def parse(text: str) -> Plans:
    """Parse a file of plans.  Raises ValueError with a message about the first problem."""
    try:
        return Plans.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(step) for step in first["loc"])
        raise ValueError(f"{path or 'the file'}: {first['msg'].removeprefix('Value error, ')}") from None
