"""What the emulator takes from a manifest about Application Load Balancers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from emulator.manifest.account import arn


@dataclass(frozen=True, slots=True)
class AlbConditions:
    """What a request must be for a rule: one value of each condition that is there."""

    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Names, each with the patterns of its values. A request needs a value of every name."""
    query: tuple[tuple[str, str], ...] = ()
    networks: tuple[str, ...] = ()
    """Whom requests may come from, in CIDR notation."""


@dataclass(frozen=True, slots=True)
class AlbHealthCheck:
    """How a load balancer asks a function whether it is healthy."""

    path: str
    seconds: int
    """From one check to the next."""
    statuses: str
    """The statuses of a healthy function, such as `200` or `200-299,301`."""


@dataclass(frozen=True, slots=True)
class AlbRule:
    """One `alb` event: a rule of a listener, and the function to which it forwards."""

    function: str
    region: str
    listener: str
    priority: int
    conditions: AlbConditions
    multi_value: bool
    """Whether events and answers have every value of a header."""
    authorized: bool
    """Whether a user must log in first."""
    health_check: AlbHealthCheck | None
    line: int

    @property
    def target_group(self) -> str:
        """The ARN of the function's target group."""
        name = hashlib.sha256(f"{self.function} {self.listener}".encode()).hexdigest()
        return arn("elasticloadbalancing", self.region, f"targetgroup/{name[:32]}/{name[-16:]}")
