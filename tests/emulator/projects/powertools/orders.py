"""Powertools' resolver for HTTP APIs, its logger and its metrics."""

from __future__ import annotations

from typing import Annotated, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

app = APIGatewayHttpResolver(enable_validation=True)
logger = Logger()
metrics = Metrics()


class Order(BaseModel):
    """What somebody orders."""

    article: str
    count: Annotated[int, Field(gt=0)]


@app.post("/orders")
def create(order: Order) -> Order:
    """Count the order, and return it."""
    logger.info("ordered", extra={"article": order.article})
    metrics.add_metric(name="Ordered", unit=MetricUnit.Count, value=order.count)
    return order


@app.get("/orders/<number>")
def read(number: int) -> dict[str, int]:
    """The number as the resolver converted it; there are no orders from 100 on."""
    if number >= 100:
        raise NotFoundError("no such order")
    return {"number": number}


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry."""
    return app.resolve(event, context)
