"""The sources of variables: `${env:X, 'default'}`, `${self:a.b}`, `${file(x.yml):key}` and others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.manifest.account import ACCOUNT_ID
from emulator.manifest.variables.resolver import MISSING, Resolver, Source
from emulator.manifest.yaml.document import Where

_VARIABLE = re.compile(r"([A-Za-z][\w-]*)((?:\.[\w-]+)?)(?:\(([^)]*)\))?(?::(.*))?", re.DOTALL)
_ELSEWHERE = ("ssm", "cf", "s3", "git", "terraform", "vault", "output", "state", "doppler")
"""Sources that ask an account or another service, which the emulator does not."""
_PROGRAMS = (".js", ".cjs", ".mjs", ".ts", ".mts")
"""Files that the framework runs, and the emulator does not."""


@dataclass(frozen=True)
class Variables:
    """The values that come from outside the manifest, and the table of sources."""

    environ: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    plugins: bool = False
    """Whether the manifest has plugins. A plugin can add sources."""

    def given(self, variable: str) -> str | None:
        """The value that `--param 'ssm:/app/key=value'` sets for a variable."""
        return self.params.get(variable)

    def find(self, variable: str, where: Where) -> tuple[Source, str, str] | None:
        """The source of a variable; a ManifestError if there is no such source."""
        match = _VARIABLE.fullmatch(variable)
        if match and (match[3] is not None or match[4] is not None):
            source = self._sources().get(match[1])
            if match[1] == "file" and (match[3] or "").endswith(_PROGRAMS):
                return None
            if source is not None and not match[2]:
                return source, match[3] or "", match[4] or ""
            if match[1] in _ELSEWHERE or self.plugins:
                return None
        raise where.error(f"${{{variable[:100]}}} is not a variable that the emulator knows")

    def _sources(self) -> dict[str, Source]:
        return {
            "env": self._env,
            "opt": self._opt,
            "param": self._param,
            "self": _self,
            "sls": self._sls,
            "aws": self._aws,
            "file": _file,
            "strToBool": _boolean,
        }

    def _env(self, _: Resolver, __: str, name: str, ___: Where) -> Any:
        return self.environ.get(name, MISSING)

    def _opt(self, _: Resolver, __: str, name: str, ___: Where) -> Any:
        return self.options.get(name, MISSING)

    def _param(self, resolver: Resolver, _: str, name: str, where: Where) -> Any:
        if name in self.params:
            return self.params[name]
        for section in (self._sls(resolver, "", "stage", where), "default"):
            for address in (f"params.{section}.{name}", f"stages.{section}.params.{name}"):
                if (found := resolver.lookup(address, where)) is not MISSING:
                    return found
        return MISSING

    def _sls(self, resolver: Resolver, _: str, name: str, where: Where) -> Any:
        if name == "instanceId":
            return "local"
        if name != "stage":
            raise where.error(f"${{sls:{name}}} is not a variable that the emulator knows")
        if "stage" in self.options:
            return self.options["stage"]
        if resolver.being_looked_up("provider.stage"):
            return "dev"
        found = resolver.lookup("provider.stage", where)
        return "dev" if found is MISSING or found is None else found

    def _aws(self, resolver: Resolver, _: str, name: str, where: Where) -> Any:
        if name == "accountId":
            return ACCOUNT_ID
        if name == "region":
            found = resolver.lookup("provider.region", where)
            return self.options.get("region", "us-east-1") if found is MISSING or found is None else found
        raise where.error(f"${{aws:{name}}} is not a variable that the emulator knows")


def _self(resolver: Resolver, _: str, address: str, where: Where) -> Any:
    return resolver.lookup(address, where)


def _boolean(_: Resolver, text: str, __: str, where: Where) -> bool:
    if text.lower() in ("true", "1", "false", "0"):
        return text.lower() in ("true", "1")
    raise where.error(f"strToBool({text}) is neither true nor false")


def _file(resolver: Resolver, name: str, address: str, where: Where) -> Any:
    document = resolver.read(name, where)
    return MISSING if document is None else resolver.find(document, address, where)
