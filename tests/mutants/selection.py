"""Which modules are mutated, and which tests run on the mutants of each."""

from collections.abc import Iterable
from pathlib import Path

MUTATED = ("functions", "shared", "emulator/gateway")

TESTS = {
    "functions": "tests/api",
    "functions/health": "tests/api/test_health.py",
    "shared": "tests/unit tests/api",
    "shared/admin": "tests/admin",
    "shared/cli": "tests/admin tests/migrate tests/unit/test_progress.py",
    "shared/clock": "tests/unit/test_values.py tests/api/test_time.py",
    "shared/engines/postgresql": "tests/unit/test_postgresql_engine.py tests/faults/test_postgresql_connections.py",
    "shared/engines/sqlite": "tests/unit/test_sqlite_engine.py tests/faults",
    "shared/engines/sqlite/process_lock": "tests/unit/test_process_lock.py",
    "shared/environment": "tests/unit/test_environment.py tests/api",
    "shared/health": "tests/api/test_health.py",
    "shared/identifiers": "tests/unit/test_values.py tests/api/test_list.py",
    "shared/live/aws": "tests/unit/test_aws_platform.py tests/unit/test_signing.py",
    "shared/migrate": "tests/migrate",
    "shared/migrations": "tests/unit/test_schema.py tests/migrate",
    "shared/requests": "tests/api",
    "shared/retention": "tests/admin",
    "shared/retries": "tests/unit/test_repeats.py tests/unit/test_writer.py",
    "shared/rules": "tests/unit/test_rules.py tests/api",
    "shared/session_cache": "tests/api/test_staleness.py tests/api/test_validate.py tests/unit",
    "shared/writer": "tests/unit/test_writer.py tests/unit/test_repeats.py",
    "emulator/gateway": "tests/emulator",
    "emulator/gateway/load_balancer/alb": "tests/emulator/test_alb.py",
    "emulator/gateway/load_balancer/alb_conditions": "tests/emulator/test_alb.py",
    "emulator/gateway/load_balancer/alb_event": "tests/emulator/test_alb.py",
    "emulator/gateway/rest/api_keys": "tests/emulator/test_rest_methods.py",
    "emulator/gateway/authorization/authorizers": "tests/emulator/test_authorizers.py",
    "emulator/gateway/authorization/claim_texts": (
        "tests/emulator/test_authorizers.py tests/emulator/test_rest_authorizers.py"
    ),
    "emulator/gateway/authorization/cognito_authorizer": "tests/emulator/test_rest_authorizers.py",
    "emulator/gateway/cors": "tests/emulator/test_gateway.py",
    "emulator/gateway/authorization/jwt_authorizer": "tests/emulator/test_authorizers.py",
    "emulator/gateway/rest/lambda_integration": "tests/emulator/test_rest_methods.py",
    "emulator/gateway/rest/request_validation": "tests/emulator/test_rest_methods.py",
    "emulator/gateway/rest/rest_api": "tests/emulator/test_rest.py tests/emulator/test_rest_methods.py",
    "emulator/gateway/authorization/rest_lambda_authorizer": "tests/emulator/test_rest_authorizers.py",
    "emulator/gateway/rest/rest_preflights": "tests/emulator/test_rest_methods.py",
    "emulator/gateway/routing": "tests/emulator/test_routing.py tests/emulator/test_gateway.py",
}
"""Tests by the start of a module's path; the longest start counts. A short list saves time and may let mutants live."""


def tests_of(module: Path) -> list[str]:
    """The tests to run on the mutants of this module, as paths from the project's root."""
    path = module.with_suffix("").as_posix()
    starts = [start for start in TESTS if path == start or path.startswith(f"{start}/")]
    return TESTS[max(starts, key=len)].split()


def modules(root: Path, asked: Iterable[str]) -> list[Path]:
    """The modules that were asked for (files or folders), from the root; all that are mutated if none was."""
    found = (root / top for top in tuple(asked) or MUTATED)
    files = (file for top in found for file in (sorted(top.rglob("*.py")) if top.is_dir() else [top]))
    return [file.relative_to(root) for file in files if file.stat().st_size]
